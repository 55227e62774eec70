"""gRPC-Web to gRPC, for requests that ask for it."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.grpc_web"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.GrpcWeb()))
