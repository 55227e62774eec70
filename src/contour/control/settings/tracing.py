"""Tracing: what is required, and percents (operations.md §2.4.11)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from contour.api.scalars import quote
from contour.control.settings.error import SettingsError

_ALL = 100.0
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


class _Tag(Protocol):
    @property
    def tag_name(self) -> str: ...
    @property
    def literal(self) -> str: ...
    @property
    def request_header_name(self) -> str: ...


def check(extension_service: str, tags: Sequence[_Tag]) -> None:
    """Raises SettingsError."""
    if not extension_service:
        raise SettingsError("tracing.extensionService must be defined")
    seen: set[str] = set()
    for tag in tags:
        if not tag.tag_name:
            raise SettingsError("tracing.customTag.tagName must be defined")
        if tag.tag_name in seen:
            raise SettingsError(f"tagName {tag.tag_name} is duplicate")
        if bool(tag.literal) == bool(tag.request_header_name):
            raise SettingsError("must set exactly one of Literal or RequestHeaderName")
        seen.add(tag.tag_name)


def check_samplings(overall: str | None, client: str | None, random: str | None) -> None:
    """Raises SettingsError."""
    for what, text in (
        ("invalid tracing sampling", overall),
        ("invalid tracing client sampling", client),
        ("invalid tracing random sampling", random),
    ):
        if text is not None and not _NUMBER.fullmatch(text):
            raise SettingsError(f"{what}: strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
        if text is not None and not 0 <= float(text) <= _ALL:  # Envoy would refuse the listener
            raise SettingsError(f"{what}: {text} is not a percentage from 0 to 100")


def percent(text: str | None) -> float:
    """Absent and 0 are all, as in the reference: there is no sampling of nothing."""
    return float(text or 0) or _ALL
