"""Clusters and their endpoints, which both shapes have in common: one resource for each name that hosts use."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from contour.api.meta import Ref
from contour.dag import graph
from contour.dag.build import Graph
from contour.envoy import endpoints, names, order, pb
from contour.envoy.resource import Resource, TypeUrl, Withheld, resource
from contour.reactive import Collection, Engine, Index, Read

# What a shape is: its resources by type, each keyed by resource name.
Shape = dict[TypeUrl, Collection[str, Resource | Withheld]]


# What a cluster is made from.
Source = graph.Cluster | graph.DnsCluster | graph.ExtensionCluster

_Place = tuple[str, int]  # a host, and the place among its own
_NO_PLACE: _Place = ("", 0)


def clusters(
    engine: Engine,
    graph_: Graph,
    translate: Callable[[Read, str, Source], Resource | Withheld],
    name_of: Callable[[graph.Cluster | graph.DnsCluster], str],
    *,
    first_key_set: bool = False,
) -> Collection[str, Resource | Withheld]:
    """Clusters of one name are sent once, although their names do not tell all their settings (httpproxy.md §4.3).

    `first_key_set`: of servers of key sets with one name, that of the first host is sent, as in the reference. It makes
    an edit of such a host cost what all hosts with that server cost.
    """

    def named(name: str, host: graph.Host) -> Iterator[tuple[str, tuple[_Place, Source]]]:
        for cluster in host.clusters:
            yield name_of(cluster), (_NO_PLACE, cluster)
        for place, server in enumerate(host.dns_clusters):
            yield name_of(server), ((name, place) if first_key_set else _NO_PLACE, server)

    by_name: Index[str, tuple[_Place, Source]] = engine.index("clusters by name", graph_.hosts, named)
    extensions: Index[str, graph.ExtensionCluster] = engine.index(
        "extension clusters by name", graph_.extensions, _named_extensions
    )

    def one(read: Read, name: str) -> Resource | Withheld:
        found: list[tuple[_Place, Source]] = [*read(by_name, name)]
        found = found or [(_NO_PLACE, extension) for extension in read(extensions, name)]
        if len(found) > 1:
            found.sort(key=lambda one: (one[0], order.cluster(one[1])))
        return translate(read, name, found[0][1])

    return engine.collection("clusters", (by_name, extensions), one)


def assignments(
    engine: Engine,
    graph_: Graph,
    adjust: Callable[[pb.ClusterLoadAssignment], None] | None = None,
    *,
    weighed: bool = False,
) -> Collection[str, Resource | Withheld]:
    """`adjust` changes what the shape does not send as it is. `weighed`: see `cluster.weigh_services`.

    A Service in a namespace `extension` may ask for the name of an ExtensionService's endpoints: it gets those, never the
    other way round.
    """
    store, loopback = graph_.store, graph_.options.loopback_endpoints
    by_name: Index[str, tuple[graph.ServicePort, str]] = engine.index(
        "endpoint sources by name", graph_.hosts, _endpoint_sources
    )

    extensions: Index[str, graph.ExtensionCluster] = engine.index(
        "extension endpoints by name", graph_.extensions, _extension_endpoints
    )

    def of_service(
        read: Read, name: str, port: graph.ServicePort, health_port_name: str = ""
    ) -> pb.ClusterLoadAssignment:
        service = Ref(port.namespace, port.service)
        slices = [
            piece for ref in read(store.slices_by_service, service) if (piece := read(store.endpoint_slices, ref))
        ]
        if not slices and (older := read(store.endpoints, service)):
            return endpoints.assignment_of_endpoints(name, port, health_port_name, older, loopback=loopback)
        return endpoints.assignment(name, port, health_port_name, slices, loopback=loopback)

    def of_name(read: Read, name: str) -> pb.ClusterLoadAssignment:
        for extension in read(extensions, name):
            found = [(target.weight, of_service(read, name, target.port)) for target in extension.targets]
            if weighed and len(found) > 1:
                for target, (_, one) in zip(extension.targets, found, strict=True):
                    endpoints.set_apart(one, target.port)
            return endpoints.of_extension(name, found)
        return of_service(read, name, *min(read(by_name, name), key=order.endpoint_source))

    def assignment(read: Read, name: str) -> Resource | Withheld:
        try:
            message = of_name(read, name)
        except ValueError as error:  # a port that no field of the message holds
            return Withheld(name, str(error))
        if adjust is not None:
            adjust(message)
        return resource(name, message)

    return engine.collection("endpoints", (by_name, extensions), assignment)


def _named_extensions(_: object, extension: graph.Extension) -> Iterator[tuple[str, graph.ExtensionCluster]]:
    if extension.cluster is not None:
        yield names.extension(extension.cluster.ref), extension.cluster


def _extension_endpoints(ref: object, extension: graph.Extension) -> Iterator[tuple[str, graph.ExtensionCluster]]:
    """No API server lets one without Services pass; it has no endpoints, not even an empty list."""
    if extension.cluster is not None and extension.cluster.targets:
        yield from _named_extensions(ref, extension)


def _endpoint_sources(_: str, host: graph.Host) -> Iterator[tuple[str, tuple[graph.ServicePort, str]]]:
    """Of clusters whose endpoints Envoy is told: it resolves external names itself."""
    for cluster in host.clusters:
        if not cluster.service.external_name:
            health_port_name = cluster.health_check.port_name if cluster.health_check else ""
            yield names.assignment(cluster.service), (cluster.service, health_port_name)
