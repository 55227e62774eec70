"""JWT verification: the providers of a chain, and which of them a route asks for (httpproxy.md §4.9, §4.11).

Only in chains of hosts that have providers. A route that names a provider which its chain does not know is refused by
the filter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from contour.api.remembered import remembered
from contour.dag import graph
from contour.envoy import pb

NAME = "envoy.filters.http.jwt_authn"


def http_filter(
    providers: Iterable[graph.JwtProvider],
    key_set: Callable[[graph.LocalKeys], bytes | None],
    cluster_name: Callable[[graph.DnsCluster], str],
    refused: Collection[str] = (),
) -> pb.HttpFilter | None:
    """None without providers. One that is refused, or whose key set is not there (any more), is left out: its routes
    let nobody pass.
    """
    providers = tuple(providers)
    if not providers:
        return None
    message = pb.JwtAuthentication()
    for provider in providers:
        if provider.name in refused:
            continue
        entry = pb.JwtProvider(issuer=provider.issuer, audiences=provider.audiences, forward=provider.forward)
        if isinstance(provider.keys, graph.LocalKeys):
            text = key_set(provider.keys)
            if text is None:
                continue
            entry.local_jwks.inline_string = text.decode("utf-8", "replace")
        else:
            entry.remote_jwks.CopyFrom(remote(provider.keys, cluster_name(provider.keys.cluster)))
        message.providers[provider.name].CopyFrom(entry)
        message.requirement_map[provider.name].provider_name = provider.name
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(message))


def remote(keys: graph.RemoteKeys, cluster: str) -> pb.RemoteJwks:
    message = pb.RemoteJwks(http_uri=pb.HttpUri(uri=keys.uri, cluster=cluster, timeout=pb.duration(keys.timeout)))
    if keys.cache_duration is not None:
        message.cache_duration.CopyFrom(pb.duration(keys.cache_duration))
    return message


@remembered(1024)
def requirement(provider: str) -> pb.Any:
    """Of a route."""
    return pb.pack(pb.JwtPerRoute(requirement_name=provider))
