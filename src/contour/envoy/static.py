"""The listeners that serve Envoy's own pages: statistics, readiness, administration (operations.md §7.10)."""

from __future__ import annotations

from collections.abc import Sequence

from contour.envoy import hcm, listener, metrics, names, pb
from contour.envoy.options import Options

STATS_HEALTH = "stats-health"
STATS = "stats"
HEALTH = "health"
ENFORCED_HEALTH = "health-om-enforced"
ADMIN = "envoy-admin"

_READY = "/ready"
_STATS = ("/stats", "/stats/prometheus")
_ADMIN_PATHS = (
    "/certs",
    "/clusters",
    "/listeners",
    "/config_dump",
    "/memory",
    "/ready",
    "/runtime",
    "/server_info",
    *_STATS,
    "/stats/recentlookups",
)
_ADMIN_ADDRESS = "127.0.0.1"  # never reachable from outside, even though it is read-only

_ROUTER = pb.HttpFilter(name="envoy.filters.http.router", typed_config=pb.pack(pb.Router()))
# The admin interface also changes things, by POST.
_GET = pb.HeaderMatcher(name=":method", string_match=pb.StringMatcher(exact="GET", ignore_case=True))


def listeners(options: Options, source: pb.ConfigSource) -> tuple[pb.Listener, ...]:
    """Statistics and readiness always, administration where its port is above 0. `source`: of certificates."""
    stats = (options.stats_address, options.stats_port)
    found = []
    if options.health is None:
        found.append(_listener(STATS_HEALTH, STATS, stats, (_READY, *_STATS)))
    else:
        found.append(_listener(STATS, STATS, stats, _STATS))
        found.append(_listener(HEALTH, STATS, options.health, (_READY,)))
    if options.stats_tls is not None:
        found[0].filter_chains[0].transport_socket.CopyFrom(metrics.transport_socket(options.stats_tls, source))
    if options.enforced_health is not None:
        enforced = _listener(ENFORCED_HEALTH, STATS, options.enforced_health, (_READY,))
        enforced.ignore_global_conn_limit = False
        found.append(enforced)
    if options.admin_port > 0:
        found.append(_listener(ADMIN, ADMIN, (_ADMIN_ADDRESS, options.admin_port), _ADMIN_PATHS))
    return tuple(found)


def _listener(name: str, stat_prefix: str, endpoint: tuple[str, int], paths: Sequence[str]) -> pb.Listener:
    manager = pb.HttpConnectionManager(
        stat_prefix=stat_prefix,
        route_config=pb.RouteConfiguration(
            virtual_hosts=[pb.VirtualHost(name="backend", domains=["*"], routes=[_route(path) for path in paths])]
        ),
        http_filters=[_ROUTER],
        normalize_path=pb.BoolValue(value=True),
    )
    return pb.Listener(
        name=name,
        address=listener.socket_address(*endpoint),
        filter_chains=[pb.FilterChain(filters=[hcm.network_filter(manager)])],
        socket_options=listener.KEEPALIVE,
        ignore_global_conn_limit=True,  # an overloaded Envoy must still say that it is
    )


def _route(path: str) -> pb.Route:
    return pb.Route(match=pb.RouteMatch(path=path, headers=[_GET]), route=pb.RouteAction(cluster=names.ADMIN_CLUSTER))
