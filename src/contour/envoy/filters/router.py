"""The filter that sends the request upstream."""

from __future__ import annotations

from contour.envoy import pb

NAME = "router"  # not Envoy's own name for it: the reference's, seen in configuration dumps


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.Router()))
