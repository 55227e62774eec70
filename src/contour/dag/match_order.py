"""The order in which Envoy tries a host's routes: the most specific match first (httpproxy.md §4.8).

A key for each route, and Python's stable sort. Lengths and texts compare by bytes, as in the reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from contour.dag.graph import HeaderKind, HeaderMatch, PathKind, PathMatch, QueryKind, QueryMatch, Route

_PATH_RANK = {PathKind.EXACT: 0, PathKind.REGEX: 1, PathKind.PREFIX: 2, PathKind.SEGMENT: 2}
_HEADER_RANK = {HeaderKind.EXACT: 0, HeaderKind.REGEX: 1, HeaderKind.CONTAINS: 2, HeaderKind.PRESENT: 3}
_QUERY_RANK = {
    QueryKind.EXACT: 0,
    QueryKind.REGEX: 1,
    QueryKind.PREFIX: 2,
    QueryKind.SUFFIX: 3,
    QueryKind.CONTAINS: 4,
    QueryKind.PRESENT: 5,
}
_METHOD = ":method"

# Sorts texts descending: every byte mirrored, and an end above all of them (UTF-8 has no byte 0xFF), so that of two
# texts the longer one comes first when it begins with the other.
_MIRRORED = bytes(0xFE - byte if byte <= 0xFE else 0xFF for byte in range(256))
_END = b"\xff"


def in_match_order(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Sort routes, and the matchers within each. Routes of equal rank keep the order they come in."""
    keyed = [(_key(route), route) for route in map(_with_sorted_matchers, routes)]
    keyed.sort(key=_first)
    return tuple(route for _, route in keyed)


def _first(pair: tuple[Any, Route]) -> Any:
    return pair[0]


def _with_sorted_matchers(route: Route) -> Route:
    if len(route.headers) < 2 and len(route.query) < 2:
        return route
    return msgspec.structs.replace(
        route,
        headers=tuple(sorted(route.headers, key=_header_key)),
        query=tuple(sorted(route.query, key=_query_key)),
    )


def _key(route: Route) -> tuple[Any, ...]:
    headers = [match for match in route.headers if match.name != _METHOD]
    return (
        _path_key(route.path),
        len(headers) == len(route.headers),  # one with a method before one without
        -len(headers),
        -len(route.query),
        route.priority,
        [_header_key(match) for match in headers],
        [_query_key(match) for match in route.query],
    )


def _path_key(path: PathMatch) -> tuple[int, int, bytes, bool]:
    value = path.value.encode()
    length = 0 if path.kind is PathKind.EXACT else -len(value)  # exact paths: by text alone
    return _PATH_RANK[path.kind], length, value.translate(_MIRRORED) + _END, path.kind is PathKind.PREFIX


def _header_key(match: HeaderMatch) -> tuple[str, int, str, bool]:
    value = "" if match.kind is HeaderKind.PRESENT else match.value
    return match.name, _HEADER_RANK[match.kind], value, match.invert


def _query_key(match: QueryMatch) -> tuple[str, int, str, bool]:
    return match.name, _QUERY_RANK[match.kind], match.value, match.ignore_case
