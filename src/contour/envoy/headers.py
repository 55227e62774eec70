"""Headers in messages: what they are matched by, and what is set (httpproxy.md §4.9)."""

from __future__ import annotations

from typing import assert_never

from contour.dag import graph
from contour.envoy import pb

_OVERWRITE = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


def header_match(m: graph.HeaderMatch) -> pb.HeaderMatcher:
    message = pb.HeaderMatcher(
        name=m.name,
        invert_match=m.invert,
        treat_missing_header_as_empty=m.invert and m.treat_missing_as_empty,
    )
    match m.kind:
        case graph.HeaderKind.EXACT:
            message.string_match.exact = m.value
            message.string_match.ignore_case = m.ignore_case
        case graph.HeaderKind.CONTAINS:
            message.string_match.contains = m.value
            message.string_match.ignore_case = m.ignore_case
        case graph.HeaderKind.REGEX:
            message.string_match.safe_regex.regex = m.value
        case graph.HeaderKind.PRESENT:
            message.present_match = True
        case _:
            assert_never(m.kind)
    return message


def header_values(values: tuple[tuple[str, str], ...]) -> list[pb.HeaderValueOption]:
    """Headers of a policy replace what is there."""
    return [
        pb.HeaderValueOption(header=pb.HeaderValue(key=key, value=value), append_action=_OVERWRITE)
        for key, value in values
    ]
