"""CORS: does nothing until a virtual host has a policy."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.cors"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.Cors()))
