"""Statistics of gRPC calls, and the status of a call for the access log."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.grpc_stats"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(
        name=NAME, typed_config=pb.pack(pb.GrpcStats(emit_filter_state=True, enable_upstream_stats=True))
    )
