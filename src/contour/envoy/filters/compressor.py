"""Response compression (operations.md §7.5)."""

from __future__ import annotations

from contour.envoy import pb
from contour.envoy.options import Compression

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


_LIBRARIES: dict[Compression, type[pb.Message]] = {"gzip": pb.Gzip, "brotli": pb.Brotli, "zstd": pb.Zstd}


def http_filter(algorithm: Compression) -> pb.HttpFilter:
    """`algorithm` is not `disabled`; its settings are Envoy's defaults."""
    direction = pb.Compressor.ResponseDirectionConfig(
        common_config=pb.Compressor.CommonDirectionConfig(content_type=_CONTENT_TYPES)
    )
    library = pb.TypedExtensionConfig(name=algorithm, typed_config=pb.pack(_LIBRARIES[algorithm]()))
    return pb.HttpFilter(
        name=NAME,
        typed_config=pb.pack(pb.Compressor(compressor_library=library, response_direction_config=direction)),
    )
