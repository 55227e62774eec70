"""The order of HTTP filters, one line each with the reason for its place (httpproxy.md §4.11; operations.md §7.5).

Kinds of filter lists: `http` and `https` are those of the `classic` shape; `scoped_http` and `scoped_https` are the
base of our own, whose Lua at the head of the chain is added by `contour.envoy.scoped`.
"""

from __future__ import annotations

from collections.abc import Callable
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
from contour.envoy.options import Options

Kind = Literal["http", "https", "scoped_http", "scoped_https"]


class _Row(NamedTuple):
    build: Callable[[], pb.HttpFilter]
    kinds: frozenset[Kind]
    reason: str


_ALL: frozenset[Kind] = frozenset(("http", "https", "scoped_http", "scoped_https"))
_CLASSIC_TLS: frozenset[Kind] = frozenset(("https",))
# A Lua filter costs 260 KB a chain (envoy.md §1): in `scoped` only where there is one chain for all hosts.
_ONE_CHAIN_OR_CLASSIC: frozenset[Kind] = frozenset(("http", "https", "scoped_http"))

TABLE = (
    _Row(misdirected.http_filter, _CLASSIC_TLS, "before all others: none may act on a request for another host"),
    _Row(compressor.http_filter, _ALL, "first of the response path's last: it compresses what all others made"),
    _Row(grpc_web.http_filter, _ALL, "before whatever reads gRPC: from here on the request is plain gRPC"),
    _Row(grpc_stats.http_filter, _ALL, "after grpc_web, so that calls from browsers are counted as what they are"),
    _Row(cors.http_filter, _ALL, "answers preflights, which carry no credentials, before anything asks for some"),
    _Row(local_ratelimit.http_filter, _ALL, "sheds load before the filters that cost something"),
    _Row(cookies.http_filter, _ONE_CHAIN_OR_CLASSIC, "on the response path after the router alone: upstream's cookies"),
    _Row(rbac.http_filter, _ALL, "addresses that may not pass are refused before authorization services are asked"),
    _Row(router.http_filter, _ALL, "last: it ends the chain"),
)


@lru_cache
def http_filters(kind: Kind, options: Options) -> tuple[pb.HttpFilter, ...]:  # noqa: ARG001 (compression and services)
    return tuple(row.build() for row in TABLE if kind in row.kinds)
