"""`projectcontour.io/` on an Ingress, and the older `contour.heptio.com/` (operations.md §5.4, §12.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from contour.api.annotations import key_of, value
from contour.api.invalid import Invalid
from contour.api.scalars import parse_timeout, quote
from contour.dag.graph import Retry, Timeout
from contour.dag.verdict import Finding

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_VERSIONS = ("1.2", "1.3")
_RETIRED_VERSION = "1.1"  # once the default, and no mistake: the least that is served is what it asks for


class ContourAnnotations(msgspec.Struct, frozen=True, gc=False):
    response_timeout: Timeout = None
    retry: Retry | None = None
    websocket_paths: frozenset[str] = frozenset()  # as written in the rules
    min_tls: str = "1.2"
    max_tls: str = "1.3"
    certificate_namespace: str = ""  # of `spec.tls[].secretName` without one of its own


def read(annotations: Mapping[str, str]) -> tuple[ContourAnnotations, tuple[Finding, ...]]:
    """What they say, and what of it cannot be used."""
    problems: list[Finding] = []
    # `request-timeout` is what `response-timeout` was called first.
    timeout = "response-timeout" if value(annotations, "response-timeout") else "request-timeout"
    return (
        ContourAnnotations(
            response_timeout=_timeout(annotations, timeout, problems),
            retry=_retry(annotations, problems),
            websocket_paths=frozenset(_items(value(annotations, "websocket-routes"))),
            min_tls=_version(annotations, "tls-minimum-protocol-version", "1.2", problems),
            max_tls=_version(annotations, "tls-maximum-protocol-version", "1.3", problems),
            certificate_namespace=value(annotations, "tls-cert-namespace"),
        ),
        tuple(problems),
    )


def _retry(annotations: Mapping[str, str], problems: list[Finding]) -> Retry | None:
    """The conditions go to Envoy as they are written; without them there are no retries."""
    conditions = value(annotations, "retry-on")
    if not conditions:
        return None
    return Retry(
        retry_on=conditions,
        num_retries=_count(annotations, "num-retries", problems),
        per_try_timeout=_timeout(annotations, "per-try-timeout", problems),
    )


def _count(annotations: Mapping[str, str], name: str, problems: list[Finding]) -> int:
    """-1 is none; 0, what is no int32, and other negative numbers are one."""
    text = value(annotations, name)
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not -(2**31) <= number < 2**31:
        if text:
            problems.append(_problem(annotations, name, f"{quote(text)} is not a number"))
        return 1
    return 0 if number == -1 else max(number, 1)


def _timeout(annotations: Mapping[str, str], name: str, problems: list[Finding]) -> Timeout:
    timeout = parse_timeout(value(annotations, name))
    if isinstance(timeout, Invalid):
        problems.append(_problem(annotations, name, timeout.text))
        return None
    return timeout


def _version(annotations: Mapping[str, str], name: str, default: str, problems: list[Finding]) -> str:
    text = value(annotations, name)
    if text in _VERSIONS:
        return text
    if text and text != _RETIRED_VERSION:
        problems.append(_problem(annotations, name, f"{quote(text)} is neither 1.2 nor 1.3"))
    return default


def _problem(annotations: Mapping[str, str], name: str, text: str) -> Finding:
    return Finding("IngressError", "AnnotationNotValid", f"annotation {quote(key_of(annotations, name))}: {text}")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
