"""Redirects that Envoy follows itself, where routes are selected by scope (envoy.md §2).

The router looks for the new route when the private header is gone: it must not reach an upstream. It gets one again:
clusters of such routes have a filter that turns the response's location into a scope, which the router copies into the
request (`response_headers_to_copy`) before it looks. What an upstream says in that header is overwritten; therefore
such clusters have names of their own, so that no route can copy the header from a cluster without the filter.
"""

from __future__ import annotations

from functools import cache

from contour.dag import graph
from contour.envoy import names, pb, selection
from contour.envoy.filters.script import script

FILTER = "contour.redirect"
_CODEC = "envoy.filters.http.upstream_codec"
_UPSTREAM_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def follow(message: pb.Route, forward: graph.Forward, scope: str) -> None:
    """Make a route of `scope` find the route that a redirect of its upstream leads to."""
    if not message.HasField("route"):  # a redirect to https, or a refusal, stands in its place
        return
    action = message.route
    action.internal_redirect_policy.response_headers_to_copy.append(selection.HEADER)
    message.response_headers_to_remove.append(selection.HEADER)
    if action.cluster:
        action.cluster = names.redirecting(action.cluster)
    for entry in action.weighted_clusters.clusters:
        entry.name = names.redirecting(entry.name)
    group, _, host = scope.partition("/")
    data = {"group": group, "scope": scope}
    if host != selection.ANY_HOST:
        data["host"] = host
    elif _rewrites_host(forward):
        data["rewritten"] = "true"
    message.metadata.filter_metadata[FILTER].MergeFrom(pb.struct(data))


def _rewrites_host(forward: graph.Forward) -> bool:
    """The host that was asked for is no longer to be seen then."""
    headers = (forward.request_headers, *(backend.request_headers for backend in forward.backends))
    return any(one.host_rewrite or one.host_rewrite_header for one in headers)


def set_filter(cluster: pb.Cluster) -> None:
    """Make a cluster one that such routes may have."""
    options = pb.UpstreamHttpOptions()
    packed = cluster.typed_extension_protocol_options[_UPSTREAM_OPTIONS]
    if packed.value:
        options.MergeFromString(packed.value)
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    options.http_filters.extend((_location_to_scope(), _codec()))
    packed.CopyFrom(pb.pack(options))


@cache
def _location_to_scope() -> pb.HttpFilter:
    lua = pb.Lua(default_source_code=pb.DataSource(inline_string=script("redirect")))
    return pb.HttpFilter(name=FILTER, typed_config=pb.pack(lua))


@cache
def _codec() -> pb.HttpFilter:
    """Ends the chain of a cluster's filters, as the router does that of a listener's."""
    return pb.HttpFilter(name=_CODEC, typed_config=pb.pack(pb.UpstreamCodec()))
