"""Which objects a resource of Envoy came from: whom a refusal is told to.

Only asked when Envoy refuses something: routes are found by their host's name, anything else by a search, so that
nothing on the way of a change pays for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from contour.api.meta import ObjectRef, Ref
from contour.dag.build import Graph
from contour.dag.graph import Cluster, DnsCluster, Forward, Host, Route
from contour.envoy import names
from contour.envoy.resource import CLUSTER, ENDPOINTS, ROUTE, SCOPED_ROUTE, SECRET, TypeUrl

_ANY_HOST = "*"


def blamed(graph: Graph, type_url: TypeUrl, name: str) -> tuple[ObjectRef, ...]:
    """The objects behind a resource; none for a listener, which comes from all of them."""
    if type_url in (CLUSTER, ENDPOINTS) and (extension := _extension(graph, name)):
        return (extension,)
    host = graph.hosts.get(name.partition("/")[2]) if type_url == SCOPED_ROUTE else None
    if host is not None and host.name != _ANY_HOST:
        return tuple(sorted(host.roots))
    found: dict[ObjectRef, None] = {}
    for _, host in graph.hosts.items():  # noqa: PERF102  # a collection has no values()
        found |= dict.fromkeys(_of_host(host, type_url, name))
    return tuple(sorted(found))


def _extension(graph: Graph, name: str) -> ObjectRef | None:
    """The ExtensionService that an upstream belongs to."""
    kind, _, key = name.partition("/")
    ref = Ref(*key.split("/")) if kind == "extension" and key.count("/") == 1 else None
    return ObjectRef("ExtensionService", *ref) if ref is not None and graph.extensions.get(ref) else None


def _of_host(host: Host, type_url: TypeUrl, name: str) -> Iterator[ObjectRef]:
    if type_url == SCOPED_ROUTE:
        _, _, wanted = name.partition("/")
        if host.name.lower() == wanted or (wanted == _ANY_HOST and host.name.startswith("*")):
            yield from host.roots
    elif type_url == ROUTE:
        if name in (names.INGRESS_HTTP, names.https_route_configuration(host.name)):
            yield from host.roots
    elif type_url == SECRET:
        if host.https is not None and host.https.secret is not None and _is_secret(name, str(host.https.secret)):
            yield from host.roots
    elif type_url in (CLUSTER, ENDPOINTS):
        yield from _users(host, type_url, name)


def _users(host: Host, type_url: TypeUrl, name: str) -> Iterator[ObjectRef]:
    for route in _routes(host):
        if any(_is_upstream(cluster, type_url, name) for cluster in _clusters(route)):
            yield route.origin
    if type_url == CLUSTER and any(name in _names(server) for server in host.dns_clusters):
        yield from host.roots


def _is_secret(name: str, ref: str) -> bool:
    """`classic` appends a digest of the certificate."""
    return name == ref or name.rpartition("/")[0] == ref


def _is_upstream(cluster: Cluster, type_url: TypeUrl, name: str) -> bool:
    return name in _names(cluster) if type_url == CLUSTER else name == names.assignment(cluster.service)


def _names(cluster: Cluster | DnsCluster) -> tuple[str, str]:
    """In both shapes."""
    return names.upstream(cluster), names.scoped_upstream(cluster)


def _routes(host: Host) -> Iterator[Route]:
    for side in (host.http, host.https):
        if side is not None:
            yield from side.routes


def _clusters(route: Route) -> Iterator[Cluster]:
    if isinstance(route.action, Forward):
        yield from (backend.cluster for backend in route.action.backends)
        yield from (mirror.cluster for mirror in route.action.mirrors)
