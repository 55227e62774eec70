"""How a request finds its scope: the private header, the key made from it, the filter that looks again (envoy.md §2).

Everything that names the header or the filter is here; the filter's script is `lua/scope.lua`.
"""

from __future__ import annotations

from functools import cache

from contour.envoy import pb
from contour.envoy.config_source import ADS
from contour.envoy.filters.script import script

HEADER = "x-contour-scope"
FILTER = "contour.scope"
HTTP = "http"  # the group of the plain listener
MISDIRECTED_STATUS, MISDIRECTED = 421, "misdirected request\n"
ANY_HOST = "*"  # in place of a host: the scope of a group's wildcard hosts

_MUTATION = "envoy.http.early_header_mutation.header_mutation"
_KEYS = pb.ScopedRoutes.ScopeKeyBuilder
_FRAGMENT = _KEYS.FragmentBuilder
_EXTRACTOR = _FRAGMENT.HeaderValueExtractor
_UPGRADE = "upgrade"

# All listeners have the same configuration here, so that Envoy keeps one subscription and one copy of all scopes.
SCOPED_ROUTES = pb.ScopedRoutes(
    name="ingress",
    scope_key_builder=_KEYS(
        fragments=[
            # The first element before a `:`, so that a port does not matter; upstreams and redirects still see it.
            _FRAGMENT(header_value_extractor=_EXTRACTOR(name=HEADER, element_separator=":", index=0))
        ]
    ),
    rds_config_source=ADS,
    scoped_rds=pb.ScopedRds(scoped_rds_config_source=ADS),
)


def scope_key(scope: str) -> pb.ScopedRouteConfiguration.Key:
    return pb.ScopedRouteConfiguration.Key(fragments=[pb.ScopedRouteConfiguration.Key.Fragment(string_key=scope)])


def set_group(manager: pb.HttpConnectionManager, group: str, *, by_authority: bool = False) -> None:
    """Make the chain's requests look in the scopes of `group`: by the name that the connection was opened for, or
    `by_authority` of the request, where there is none.

    The header is removed first: with an empty host nothing would be written over a forged one.
    """
    host = "%REQ(:AUTHORITY)%" if by_authority else "%REQUESTED_SERVER_NAME%"
    value = pb.HeaderValueOption(
        header=pb.HeaderValue(key=HEADER, value=f"{group}/{host}"),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    mutations = pb.HeaderMutation()
    mutations.mutations.add(remove=HEADER)
    mutations.mutations.add(append=value)
    manager.early_header_mutation_extensions.append(
        pb.TypedExtensionConfig(name=_MUTATION, typed_config=pb.pack(mutations))
    )


@cache
def second_look() -> pb.HttpFilter:
    """The filter that runs where no route was found; first of its chain."""
    lua = pb.Lua(default_source_code=pb.DataSource(inline_string=script("scope")))
    return pb.HttpFilter(name=FILTER, typed_config=pb.pack(lua))


_NO_ROUTE = "NR"
_NO_VIRTUAL_HOST = pb.pack(pb.CelFilter(expression="!has(xds.virtual_host_name)"))


@cache
def misdirected_without_scope() -> pb.LocalReplyConfig:
    """Over TLS, 421 where no scope is found: the host has moved to another group, so that its own chain is reached by a
    new connection, and not while an old one is held (a host with a scope answers 404 where it has no route).
    """
    both = pb.AndFilter(
        filters=[
            pb.AccessLogFilter(response_flag_filter=pb.ResponseFlagFilter(flags=[_NO_ROUTE])),
            pb.AccessLogFilter(
                extension_filter=pb.ExtensionFilter(
                    name="envoy.access_loggers.extension_filters.cel", typed_config=_NO_VIRTUAL_HOST
                )
            ),
        ]
    )
    return pb.LocalReplyConfig(
        mappers=[
            pb.ResponseMapper(
                filter=pb.AccessLogFilter(and_filter=both),
                status_code=pb.UInt32Value(value=MISDIRECTED_STATUS),
                body=pb.DataSource(inline_string=MISDIRECTED),
            )
        ]
    )


# --- marks that the script reads, and its absence on a hit ---------------------------------------------------------

_KNOWN = pb.struct({"known": True})
_WEBSOCKET = pb.struct({_UPGRADE: "websocket"})
_DISABLED = pb.pack(pb.FilterConfig(disabled=True))


def mark_known(host: pb.VirtualHost) -> None:
    """The host exists: where no route of it matches, the answer is 404, not a wildcard's."""
    host.metadata.filter_metadata[FILTER].CopyFrom(_KNOWN)


def mark_upgrades(host: pb.VirtualHost) -> None:
    """Which routes allow a WebSocket: behind the script, Envoy no longer asks them itself."""
    for route in host.routes:
        if route.HasField("route") and route.route.upgrade_configs:
            route.metadata.filter_metadata[FILTER].CopyFrom(_WEBSOCKET)


def set_selected(configuration: pb.RouteConfiguration) -> None:
    """What the RouteConfiguration of every scope says: no second look, and the header goes no further.

    And a route may name a cluster that Envoy has refused, as in a RouteConfiguration of its own: otherwise the scope
    would be refused for the cluster's sake, and still be when the cluster is mended.
    """
    configuration.request_headers_to_remove.append(HEADER)
    configuration.validate_clusters.value = False
    configuration.typed_per_filter_config[FILTER].CopyFrom(_DISABLED)
