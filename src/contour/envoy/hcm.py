"""The HTTP connection manager (httpproxy.md §4.11; operations.md §7.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from contour.envoy import accesslog, pb
from contour.envoy.options import Options, ServerHeader

NAME = "envoy.filters.network.http_connection_manager"


_SERVER_HEADERS: dict[ServerHeader, pb.HttpConnectionManager.ServerHeaderTransformation.ValueType] = {
    "overwrite": pb.HttpConnectionManager.OVERWRITE,
    "append_if_absent": pb.HttpConnectionManager.APPEND_IF_ABSENT,
    "pass_through": pb.HttpConnectionManager.PASS_THROUGH,
}


def connection_manager(
    options: Options,
    *,
    stat_prefix: str,
    access_log_path: str,
    routes: pb.Rds | pb.ScopedRoutes | pb.RouteConfiguration,
    filters: Iterable[pb.HttpFilter],
    tracing: pb.HttpConnectionManager.Tracing | None = None,
    any_codec: bool = False,
) -> pb.HttpConnectionManager:
    """`routes`: where the routes come from; `filters` in their order, the router last (`filters.order`).

    `any_codec`: the protocol is the client's choice, whatever versions the settings allow (the fallback chain's).
    """
    message = pb.HttpConnectionManager(
        codec_type=pb.HttpConnectionManager.AUTO if any_codec else _codec(options),
        stat_prefix=stat_prefix,
        http_filters=filters,
        http_protocol_options=pb.Http1ProtocolOptions(
            accept_http_10=True,
            allow_chunked_length=options.allow_chunked_length,  # with a Content-Length too: length is then ignored
        ),
        access_log=accesslog.file_logs(access_log_path, options.access_log),
        use_remote_address=pb.BoolValue(value=True),
        xff_num_trusted_hops=options.xff_trusted_hops,
        strip_trailing_host_dot=options.strip_trailing_host_dot,
        normalize_path=pb.BoolValue(value=True),
        merge_slashes=options.merge_slashes,
        preserve_external_request_id=True,
        server_header_transformation=_SERVER_HEADERS[options.server_header],
        tracing=tracing,
    )
    if options.http2_max_concurrent_streams:
        message.http2_protocol_options.max_concurrent_streams.value = options.http2_max_concurrent_streams
    common = message.common_http_protocol_options
    common.SetInParent()  # there even where it says nothing
    if options.max_requests_per_connection:
        common.max_requests_per_connection.value = options.max_requests_per_connection
    _set_timeouts(message, options)
    if isinstance(routes, pb.Rds):
        message.rds.CopyFrom(routes)
    elif isinstance(routes, pb.ScopedRoutes):
        message.scoped_routes.CopyFrom(routes)
    elif isinstance(routes, pb.RouteConfiguration):
        message.route_config.CopyFrom(routes)
    else:
        assert_never(routes)
    return message


def _codec(options: Options) -> pb.HttpConnectionManager.CodecType.ValueType:
    if options.http_versions == {"1.1"}:
        return pb.HttpConnectionManager.HTTP1
    if options.http_versions == {"2"}:
        return pb.HttpConnectionManager.HTTP2
    return pb.HttpConnectionManager.AUTO


def _set_timeouts(message: pb.HttpConnectionManager, options: Options) -> None:
    """0 switches off; a connection's longest life is the one that cannot be: no limit is Envoy's default."""
    common = message.common_http_protocol_options
    for timeout, field in (
        (options.connection_idle_timeout, common.idle_timeout),
        (options.max_connection_duration or None, common.max_connection_duration),
        (options.request_timeout, message.request_timeout),
        (options.stream_idle_timeout, message.stream_idle_timeout),
        (options.drain_timeout, message.drain_timeout),
        (options.delayed_close_timeout, message.delayed_close_timeout),
    ):
        if timeout is not None:
            field.CopyFrom(pb.duration(timeout))


def network_filter(manager: pb.HttpConnectionManager) -> pb.Filter:
    return pb.Filter(name=NAME, typed_config=pb.pack(manager))
