"""What the API server answers, as values: a refusal is a `Failure`, not an exception."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

_SHOWN = 300  # characters of an answer that is not from Kubernetes


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a request was not granted. `reason` is Kubernetes' own word (`NotFound`, `Conflict`, `Expired` …) or ""."""

    code: int
    reason: str
    message: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message}" if self.reason else f"{self.code}: {self.message}"


class Response(msgspec.Struct, frozen=True, dict=True):
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:  # it may hold Secrets
        return f"Response({self.status}, {len(self.body)} bytes)"

    @property
    def ok(self) -> bool:
        return self.status < 400

    @cached_property
    def failure(self) -> Failure | None:
        """None for an answer that is no refusal."""
        return None if self.ok else failure(self.status, self.headers, self.body)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """A refusal, from Kubernetes' Status or from whatever stands in between."""
    try:
        said = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = _Status()
    if said.kind == "Status":
        after = (said.details or _Details()).retry_after_seconds
        return Failure(status, said.reason, said.message, _seconds(headers.get("retry-after"), after))
    text = " ".join(body[: 4 * _SHOWN].decode(errors="replace").split())
    return Failure(status, "", text[:_SHOWN] or "no further explanation", _seconds(headers.get("retry-after"), 0))


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: int = 0


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def of_event(raw: bytes) -> Failure:
    """The Status that an ERROR event of a watch carries."""
    try:
        said = msgspec.json.decode(raw, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure(500, "", "an ERROR event that is no Status")
    after = (said.details or _Details()).retry_after_seconds
    return Failure(said.code or 500, said.reason, said.message, float(after) if after else None)


def _seconds(header: str | None, detail: int) -> float | None:
    """Kubernetes writes Retry-After as seconds, never as a date."""
    if header is not None and header.strip().isdigit():
        return float(header)
    return float(detail) if detail > 0 else None
