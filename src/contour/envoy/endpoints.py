"""ClusterLoadAssignments (httpproxy.md §4.12; operations.md §4.9)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from contour.api.core import Endpoints, EndpointSlice
from contour.dag.graph import ServicePort
from contour.envoy import order, pb

_TCP = "TCP"
_LOCAL_IPV4 = ("127.", "169.254.", "0.")


def assignment(
    name: str,
    port: ServicePort,
    health_port_name: str,
    slices: Iterable[EndpointSlice],
    *,
    loopback: bool,
) -> pb.ClusterLoadAssignment:
    """The ready endpoints of a service port.

    `loopback`: take addresses that mean this machine or its link. Whoever may write EndpointSlices in a cluster
    could otherwise reach Envoy's own admin interface with them (security.md, CVE-2021-25740).
    """
    addresses: dict[tuple[str, int], None] = {}
    health_port = 0
    for piece in sorted(slices, key=order.slices):
        for one in piece.ports:
            if health_port_name and health_port_name != port.port_name and one.name == health_port_name:
                health_port = one.port or 0
        addresses.update(dict.fromkeys(_ready(piece, port)))
    return _message(name, addresses, health_port, loopback=loopback)


def of_extension(name: str, targets: Iterable[tuple[int, pb.ClusterLoadAssignment]]) -> pb.ClusterLoadAssignment:
    """The endpoints of the Services behind an ExtensionService, each given with its weight; if all are 0 they are
    equal (§4.12). A Service without endpoints is left out.
    """
    targets = list(targets)
    equal = not any(weight for weight, _ in targets)
    message = pb.ClusterLoadAssignment(cluster_name=name)
    for weight, one in targets:
        for locality in one.endpoints:
            locality.ClearField("load_balancing_weight")
            if equal or weight:
                locality.load_balancing_weight.value = weight or 1
            message.endpoints.append(locality)
    return message


def set_apart(message: pb.ClusterLoadAssignment, port: ServicePort) -> None:
    """Envoy knows one weight for each locality, and all endpoints that name none are in the same one."""
    for locality in message.endpoints:
        locality.locality.sub_zone = f"{port.service}/{port.port}"


def assignment_of_endpoints(
    name: str, port: ServicePort, health_port_name: str, endpoints: Endpoints, *, loopback: bool
) -> pb.ClusterLoadAssignment:
    """The same from the older kind, for a Service that has no EndpointSlice."""
    addresses: dict[tuple[str, int], None] = {}
    health_port = 0
    for subset in endpoints.subsets:
        for one in subset.ports:
            if one.protocol not in ("", _TCP):
                continue
            if health_port_name and health_port_name != port.port_name and one.name == health_port_name:
                health_port = one.port
            if port.port_name in ("", one.name):
                addresses.update(((address.ip, one.port), None) for address in subset.addresses)
    return _message(name, addresses, health_port, loopback=loopback)


def external(name: str, port: ServicePort, health_port: int) -> pb.ClusterLoadAssignment:
    """The static assignment of an ExternalName service: one endpoint that Envoy resolves."""
    one = _endpoint(port.external_name, port.port, health_port if health_port != port.port else 0)
    return pb.ClusterLoadAssignment(cluster_name=name, endpoints=[pb.LocalityLbEndpoints(lb_endpoints=[one])])


def named(name: str, host: str, port: int) -> pb.ClusterLoadAssignment:
    """A static assignment of one endpoint that Envoy resolves."""
    return pb.ClusterLoadAssignment(
        cluster_name=name, endpoints=[pb.LocalityLbEndpoints(lb_endpoints=[_endpoint(host, port, 0)])]
    )


def _ready(piece: EndpointSlice, port: ServicePort) -> Iterator[tuple[str, int]]:
    """Addresses of a slice: the first of each endpoint that is not known to be unready, at each port that matches."""
    numbers = [
        one.port
        for one in piece.ports
        if one.port is not None
        and one.protocol == _TCP
        # A slice's port without a name (None) matches every port of the Service.
        and not (port.port_name and one.name is not None and one.name != port.port_name)
    ]
    for one in piece.endpoints:
        if one.addresses and one.conditions.ready is not False:
            for number in numbers:
                yield one.addresses[0], number


def _message(
    name: str, addresses: Iterable[tuple[str, int]], health_port: int, *, loopback: bool
) -> pb.ClusterLoadAssignment:
    endpoints = [
        _endpoint(address, port, health_port)
        for address, port in sorted(addresses, key=order.endpoint)
        if loopback or not _is_local(address)
    ]
    message = pb.ClusterLoadAssignment(cluster_name=name)
    if endpoints:
        message.endpoints.append(
            pb.LocalityLbEndpoints(lb_endpoints=endpoints, load_balancing_weight=pb.UInt32Value(value=1))
        )
    return message


def _endpoint(address: str, port: int, health_port: int) -> pb.LbEndpoint:
    message = pb.LbEndpoint(
        endpoint=pb.Endpoint(address=pb.Address(socket_address=pb.SocketAddress(address=address, port_value=port)))
    )
    if health_port:
        message.endpoint.health_check_config.port_value = health_port
    return message


def _is_local(address: str) -> bool:
    """An address of this machine or its link, or none at all. Envoy takes canonical spellings only, so that text is enough."""
    if ":" not in address:
        return address.startswith(_LOCAL_IPV4)
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:
        return False
    if ip.ipv4_mapped is not None:
        return _is_local(str(ip.ipv4_mapped))
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified
