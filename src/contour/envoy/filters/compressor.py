"""Response compression (operations.md §7.5)."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.compressor"

# Text that is worth it; in this order in every listener of the reference.
_CONTENT_TYPES = (
    "text/html",
    "text/plain",
    "text/css",
    "application/javascript",
    "application/x-javascript",
    "text/javascript",
    "text/x-javascript",
    "text/ecmascript",
    "text/js",
    "text/jscript",
    "text/x-js",
    "application/ecmascript",
    "application/x-json",
    "application/xml",
    "application/json",
    "image/svg+xml",
    "text/xml",
    "application/xhtml+xml",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web+json",
    "application/grpc-web+thrift",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
    "application/grpc-web-text+thrift",
)


def http_filter() -> pb.HttpFilter:
    direction = pb.Compressor.ResponseDirectionConfig(
        common_config=pb.Compressor.CommonDirectionConfig(content_type=_CONTENT_TYPES)
    )
    library = pb.TypedExtensionConfig(name="gzip", typed_config=pb.pack(pb.Gzip()))
    return pb.HttpFilter(
        name=NAME,
        typed_config=pb.pack(pb.Compressor(compressor_library=library, response_direction_config=direction)),
    )
