"""CORS: does nothing until a virtual host has a policy (httpproxy.md §4.7)."""

from __future__ import annotations

from contour.dag import graph
from contour.envoy import pb

NAME = "envoy.filters.http.cors"
_SECOND = 1_000_000_000


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.Cors()))


def policy(cors: graph.Cors) -> pb.Any:
    """Of a virtual host."""
    message = pb.CorsPolicy(
        allow_origin_string_match=[_origin(origin) for origin in cors.allow_origins],
        allow_methods=",".join(cors.allow_methods),
        allow_headers=",".join(cors.allow_headers),
        expose_headers=",".join(cors.expose_headers),
        allow_credentials=pb.BoolValue(value=cors.allow_credentials),
        allow_private_network_access=pb.BoolValue(value=cors.allow_private_network),
    )
    if cors.max_age is not None:
        message.max_age = str(_seconds(cors.max_age))
    return pb.pack(message)


def _origin(origin: graph.Origin) -> pb.StringMatcher:
    if origin.regex:
        return pb.StringMatcher(safe_regex=pb.RegexMatcher(regex=origin.text))
    return pb.StringMatcher(exact=origin.text, ignore_case=True)


def _seconds(nanoseconds: int) -> int:
    """Whole seconds, half to even, as the reference prints them."""
    return round(nanoseconds / _SECOND)
