"""Rate limits of one Envoy: without a token bucket the filter lets everything pass until a route or host brings one."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.local_ratelimit"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.LocalRateLimit(stat_prefix="http")))
