"""The order of HTTP filters, one line each with the reason for its place (httpproxy.md §4.11; operations.md §7.5).

Kinds of filter lists: `http`, `https` and `fallback` are those of the `classic` shape; `scoped_http` and `scoped_https`
are the base of our own, whose Lua at the head of the chain is added by `contour.envoy.scoped`. Filters that only some
chains have are given by who knows the chain; the table says where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from contour.envoy import pb
from contour.envoy.filters import (
    compressor,
    cookies,
    cors,
    grpc_stats,
    grpc_web,
    local_ratelimit,
    misdirected,
    rbac,
    router,
)
from contour.envoy.options import Compression, Options

Kind = Literal["http", "https", "fallback", "scoped_http", "scoped_https"]


# Filters of single chains.
Own = Literal["compressor", "cookies", "jwt_authn", "ext_authz", "ratelimit"]


class _Row(NamedTuple):
    """`build` makes the filter of all chains of `kinds`; other chains may have one of their `own` in this place."""

    build: Callable[[], pb.HttpFilter] | None
    kinds: frozenset[Kind]
    reason: str
    own: Own | None = None


_ALL: frozenset[Kind] = frozenset(("http", "https", "fallback", "scoped_http", "scoped_https"))
_CLASSIC_TLS: frozenset[Kind] = frozenset(("https",))
# A Lua filter costs 260 KB a chain (envoy.md §1): in `scoped` only where there is one chain for all hosts.
_ONE_CHAIN_OR_CLASSIC: frozenset[Kind] = frozenset(("http", "https", "fallback", "scoped_http"))

TABLE = (
    _Row(misdirected.http_filter, _CLASSIC_TLS, "before all others: none may act on a request for another host"),
    _Row(
        None,
        frozenset(),
        "first of the response path's last: it compresses what all others made",
        own="compressor",
    ),
    _Row(grpc_web.http_filter, _ALL, "before whatever reads gRPC: from here on the request is plain gRPC"),
    _Row(grpc_stats.http_filter, _ALL, "after grpc_web, so that calls from browsers are counted as what they are"),
    _Row(cors.http_filter, _ALL, "answers preflights, which carry no credentials, before anything asks for some"),
    _Row(local_ratelimit.http_filter, _ALL, "sheds load before the filters that cost something"),
    _Row(
        cookies.http_filter,
        _ONE_CHAIN_OR_CLASSIC,
        "on the response path after the router alone: upstream's cookies",
        own="cookies",
    ),
    _Row(rbac.http_filter, _ALL, "addresses that may not pass are refused before authorization services are asked"),
    _Row(
        None,
        frozenset(),
        "after addresses, whose check is cheap; before services that may rely on a token's being good",
        own="jwt_authn",
    ),
    _Row(
        None,
        frozenset(),
        "after what can refuse without asking anybody; a token that it sees is a good one",
        own="ext_authz",
    ),
    _Row(
        None,
        frozenset(),
        "last of those that refuse: requests that get no further are not counted",
        own="ratelimit",
    ),
    _Row(router.http_filter, _ALL, "last: it ends the chain"),
)


def http_filters(
    kind: Kind,
    options: Options,
    own: Mapping[Own, pb.HttpFilter | None] | None = None,
) -> tuple[pb.HttpFilter, ...]:
    """`own`: what this chain has besides those of its kind; None for nothing."""
    own = {"compressor": _compressor(options.compression), **(own or {})}
    found: list[pb.HttpFilter] = []
    for row in TABLE:
        if row.build is not None and kind in row.kinds:
            found.append(_built(row.build))
        elif row.own is not None and (one := own.get(row.own)) is not None:
            found.append(one)
    return tuple(found)


@lru_cache
def _compressor(algorithm: Compression) -> pb.HttpFilter | None:
    return None if algorithm == "disabled" else compressor.http_filter(algorithm)


@lru_cache
def _built(build: Callable[[], pb.HttpFilter]) -> pb.HttpFilter:
    return build()
