"""httpproxy.md §4.12, operations.md §4.9; loopback: security.md."""

from __future__ import annotations

import pytest

from contour.api.core import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSlicePort,
    EndpointSubset,
)
from contour.api.meta import ObjectMeta
from contour.dag.graph import ServicePort
from contour.envoy import endpoints, pb, refusals

WEB = ServicePort("shop", "web", 80, "http")
UNNAMED = ServicePort("shop", "web", 80)
HTTP = EndpointSlicePort("http", 8080, "TCP")


def piece(*addresses: str | Endpoint, ports: tuple[EndpointSlicePort, ...] = (HTTP,), name: str = "a") -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(name=name, namespace="shop"),
        endpoints=tuple(one if isinstance(one, Endpoint) else Endpoint((one,)) for one in addresses),
        ports=ports,
    )


def assigned(
    *slices: EndpointSlice, port: ServicePort = WEB, health: str = "", loopback: bool = False
) -> list[tuple[str, int, int]]:
    return listed(endpoints.assignment("shop/web/http", port, health, slices, loopback=loopback))


def listed(message: pb.ClusterLoadAssignment) -> list[tuple[str, int, int]]:
    """Address, port and health port of each endpoint."""
    assert message.cluster_name == "shop/web/http"
    assert all(group.load_balancing_weight.value == 1 for group in message.endpoints)
    return [
        (at.address, at.port_value, one.endpoint.health_check_config.port_value)
        for group in message.endpoints
        for one in group.lb_endpoints
        for at in [one.endpoint.address.socket_address]
    ]


def test_sorted_by_address_whatever_slice_they_are_in() -> None:
    one = [piece("10.0.0.3", "10.0.0.1", name="b"), piece("10.0.0.2", name="a")]
    other = [piece("10.0.0.2", "10.0.0.1", name="c"), piece("10.0.0.3", name="d")]
    assert assigned(*one) == [("10.0.0.1", 8080, 0), ("10.0.0.2", 8080, 0), ("10.0.0.3", 8080, 0)]
    assert assigned(*one) == assigned(*reversed(one)) == assigned(*other)


def test_nothing_is_no_locality_at_all() -> None:
    message = endpoints.assignment("shop/web/http", WEB, "", [], loopback=False)
    assert pb.to_dict(message) == {"cluster_name": "shop/web/http"}


def test_only_what_is_known_to_be_unready_is_left_out() -> None:
    def ready(address: str, value: bool | None) -> Endpoint:
        return Endpoint((address,), EndpointConditions(ready=value, serving=False, terminating=True))

    found = assigned(piece(ready("10.0.0.1", False), ready("10.0.0.2", None), ready("10.0.0.3", True)))
    assert [address for address, *_ in found] == ["10.0.0.2", "10.0.0.3"]


def test_the_first_address_counts_and_an_endpoint_without_any_is_no_crash() -> None:
    assert assigned(piece(Endpoint(("10.0.0.9", "10.0.0.1")), Endpoint(()))) == [("10.0.0.9", 8080, 0)]


def test_the_same_address_and_port_once() -> None:
    assert assigned(piece("10.0.0.1", "10.0.0.1"), piece("10.0.0.1", name="b")) == [("10.0.0.1", 8080, 0)]


@pytest.mark.parametrize(
    ("port", "ports"),
    [
        (WEB, [1, 3]),  # its own name, and a port without a name
        (UNNAMED, [1, 2, 3]),
    ],
)
def test_which_ports(port: ServicePort, ports: list[int]) -> None:
    offered = (
        EndpointSlicePort("http", 1, "TCP"),
        EndpointSlicePort("other", 2, "TCP"),
        EndpointSlicePort(None, 3, "TCP"),
        EndpointSlicePort("http", 4, "UDP"),
        EndpointSlicePort("http", 5, None),
        EndpointSlicePort("http", None, "TCP"),
    )
    assert [number for _, number, _ in assigned(piece("10.0.0.1", ports=offered), port=port)] == ports


def test_a_health_port_of_another_name_is_on_every_endpoint() -> None:
    probe = EndpointSlicePort("probe", 9000, "TCP")
    found = assigned(piece("10.0.0.1", ports=(HTTP, probe)), piece("10.0.0.2", name="b"), health="probe")
    assert found == [("10.0.0.1", 8080, 9000), ("10.0.0.2", 8080, 9000)]
    assert assigned(piece("10.0.0.1"), health="http") == [("10.0.0.1", 8080, 0)]
    assert assigned(piece("10.0.0.1"), health="nowhere") == [("10.0.0.1", 8080, 0)]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "169.254.169.254", "0.0.0.0", "::1", "::", "fe80::1", "::ffff:127.0.0.1", "0:0:0::1"],
)
def test_this_machine_and_its_link_are_never_endpoints_unless_asked_for(address: str) -> None:
    assert assigned(piece(address, "10.0.0.1")) == [("10.0.0.1", 8080, 0)]
    assert (address, 8080, 0) in assigned(piece(address, "10.0.0.1"), loopback=True)


@pytest.mark.parametrize("address", ["128.0.0.1", "10.127.0.1", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"])
def test_other_addresses_are(address: str) -> None:
    assert assigned(piece(address)) == [(address, 8080, 0)]


def test_endpoints_of_the_older_kind() -> None:
    older = Endpoints(
        subsets=(
            EndpointSubset(
                addresses=(EndpointAddress("10.0.0.2"), EndpointAddress("127.0.0.1")),
                not_ready_addresses=(EndpointAddress("10.0.0.3"),),
                ports=(EndpointPort("http", 8080, "TCP"), EndpointPort("x", 1), EndpointPort("http", 2, "UDP")),
            ),
            EndpointSubset(addresses=(EndpointAddress("10.0.0.1"),), ports=(EndpointPort("http", 8081),)),
        )
    )
    message = endpoints.assignment_of_endpoints("shop/web/http", WEB, "x", older, loopback=False)
    assert listed(message) == [("10.0.0.1", 8081, 1), ("10.0.0.2", 8080, 1)]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("10.244.0.255", True), ("0.0.0.0", True), ("249.250.199.9", True), ("2001:db8::1", True),
        ("10.244.0.256", False), ("10.244.00.1", False), ("10.1.2", False), ("10.1.2.3.4", False),
        ("10.1.2.3\n", False), ("\u0661.1.1.1", False), ("10.1.2.3.example.com", False), ("", False),
    ],
)  # fmt: skip
def test_only_what_envoy_reads_as_an_address_is_kept(address, kept):
    message = pb.ClusterLoadAssignment()
    message.endpoints.add().lb_endpoints.add().endpoint.address.socket_address.address = address
    refusals.drop_names(message)
    assert bool(message.endpoints[0].lb_endpoints) == kept
