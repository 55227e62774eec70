"""Every order that the translation imposes (httpproxy.md §4.6-§4.8, §4.10; operations.md §4.12).

Routes of a host, and the matches of a route, are ordered by `contour.dag` already: order is their meaning.
HTTP filters have a table of their own, `contour.envoy.filters.order`.
"""

from __future__ import annotations

from contour.api.core import EndpointSlice
from contour.dag import graph
from contour.envoy import names


def weighted_cluster(backend: graph.Backend) -> tuple[str, int]:
    """By name, then weight (§4.6). The sort is stable: equal entries keep the order of the route's services."""
    return names.cluster(backend.cluster), backend.weight


def virtual_host(host: str) -> bytes:
    """Virtual hosts of one RouteConfiguration: by name, byte by byte."""
    return names.virtual_host(host).encode()


def filter_chain(host: str) -> tuple[bool, bytes]:
    """By server name (§4.10); the any-host's chain, which has none, after the others."""
    return host == "*", host.encode()


def slices(piece: EndpointSlice) -> str:
    """By name: it decides between endpoints of one address only."""
    return piece.metadata.name


def endpoint(address: tuple[str, int]) -> str:
    """By address alone, ports in the order of the slices.

    The reference sorts inside each slice and leaves the order of slices open; this is one of its orders, and
    endpoints that move to another slice change nothing.
    """
    return address[0]


def cluster(c: graph.Cluster | graph.DnsCluster | graph.ExtensionCluster) -> tuple[bool, str]:
    """Which of the clusters that share a name is sent: one of requests rather than of connections, as in the reference,
    else any, but the same one on every replica.
    """
    return isinstance(c, graph.Cluster) and not c.http, repr(c)


def endpoint_source(source: tuple[graph.ServicePort, str]) -> tuple[bool, str, int]:
    """Which of the clusters that share an assignment says where its endpoints are: one that names a health port."""
    port, health_port_name = source
    return not health_port_name, health_port_name, port.port
