"""Access by client address: without rules the filter lets everything pass until a route or host brings some."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.rbac"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.RBAC()))
