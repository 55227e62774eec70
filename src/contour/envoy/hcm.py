"""The HTTP connection manager (httpproxy.md §4.11; operations.md §7.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from contour.envoy import accesslog, pb
from contour.envoy.options import Options

NAME = "envoy.filters.network.http_connection_manager"


def connection_manager(
    options: Options,
    *,
    stat_prefix: str,
    access_log_path: str,
    routes: pb.Rds | pb.ScopedRoutes | pb.RouteConfiguration,
    filters: Iterable[pb.HttpFilter],
) -> pb.HttpConnectionManager:
    """`routes`: where the routes come from; `filters` in their order, the router last (`filters.order`)."""
    message = pb.HttpConnectionManager(
        stat_prefix=stat_prefix,
        http_filters=filters,
        http_protocol_options=pb.Http1ProtocolOptions(
            accept_http_10=True,
            allow_chunked_length=True,  # with a Content-Length too: length is then ignored
        ),
        access_log=[accesslog.file_log(access_log_path)],
        use_remote_address=pb.BoolValue(value=True),
        normalize_path=pb.BoolValue(value=True),
        merge_slashes=True,
        preserve_external_request_id=True,
    )
    message.common_http_protocol_options.SetInParent()  # there even where it says nothing
    if options.connection_idle_timeout is not None:
        message.common_http_protocol_options.idle_timeout.CopyFrom(pb.duration(options.connection_idle_timeout))
    if isinstance(routes, pb.Rds):
        message.rds.CopyFrom(routes)
    elif isinstance(routes, pb.ScopedRoutes):
        message.scoped_routes.CopyFrom(routes)
    elif isinstance(routes, pb.RouteConfiguration):
        message.route_config.CopyFrom(routes)
    else:
        assert_never(routes)
    return message


def network_filter(manager: pb.HttpConnectionManager) -> pb.Filter:
    return pb.Filter(name=NAME, typed_config=pb.pack(manager))
