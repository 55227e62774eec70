"""Access logs (operations.md §7.6): Envoy's own text format to a file."""

from __future__ import annotations

from functools import cache

from contour.envoy import pb


@cache
def file_log(path: str) -> pb.AccessLog:
    return pb.AccessLog(name="envoy.access_loggers.file", typed_config=pb.pack(pb.FileAccessLog(path=path)))
