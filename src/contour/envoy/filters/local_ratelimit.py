"""Rate limits of one Envoy: without a token bucket the filter lets everything pass until a route or host brings one."""

from __future__ import annotations

from contour.dag import graph
from contour.envoy import pb
from contour.envoy.headers import header_values

NAME = "envoy.filters.http.local_ratelimit"

_ALWAYS = pb.RuntimeFractionalPercent(
    default_value=pb.FractionalPercent(numerator=100, denominator=pb.FractionalPercent.HUNDRED)
)


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.LocalRateLimit(stat_prefix="http")))


def bucket(limit: graph.LocalRateLimit, host: str) -> pb.Any:
    """Of a host or a route of it (§4.7)."""
    message = pb.LocalRateLimit(
        stat_prefix=f"vhost.{host}",
        token_bucket=pb.TokenBucket(
            max_tokens=limit.max_tokens,
            tokens_per_fill=pb.UInt32Value(value=limit.tokens_per_fill),
            fill_interval=pb.duration(limit.fill_interval),
        ),
        filter_enabled=_ALWAYS,
        filter_enforced=_ALWAYS,
        response_headers_to_add=header_values(limit.headers),
    )
    if limit.status > 0:
        message.status.code = limit.status  # type: ignore[assignment]
    return pb.pack(message)
