from __future__ import annotations

from typing import Any

import pytest
from tests.dag import world

from contour.api.decode import decode
from contour.api.meta import Ref
from contour.dag.graph import CircuitBreakers, ServicePort
from contour.dag.services import ResolvedPort, ServiceFacts, limits, resolve, service_facts
from contour.dag.verdict import Invalid

REF = Ref("shop", "web")


def facts(*ports: dict[str, Any], **fields: Any) -> ServiceFacts | None:
    return service_facts(decode(world.service("web", *ports, **fields)))


def annotated(*ports: dict[str, Any], **annotations: str) -> ServiceFacts | None:
    return facts(*ports, metadata={"annotations": {f"projectcontour.io/{k}": v for k, v in annotations.items()}})


def test_a_port_is_meant_by_number_or_by_a_name_that_reads_the_same() -> None:
    found = facts({"name": "http", "port": 80}, {"name": "9000", "port": 81})
    assert resolve(found, REF, "80") == ResolvedPort(ServicePort("shop", "web", 80, "http"), "", CircuitBreakers())
    assert resolve(found, REF, "http") == resolve(found, REF, "80")
    assert resolve(found, REF, "9000") == ResolvedPort(ServicePort("shop", "web", 81, "9000"), "", CircuitBreakers())


@pytest.mark.parametrize(
    ("found", "port", "message"),
    [
        (None, "80", 'service "shop/web" not found'),
        (facts({"port": 80}), "81", 'port "81" on service "shop/web" not matched'),
        (facts({"port": 80}), "9" * 5000, f'port "{"9" * 5000}" on service "shop/web" not matched'),
        (facts({"port": 80, "protocol": "UDP"}), "80", 'unsupported service protocol "UDP"'),
    ],
)
def test_references_that_do_not_hold(found: ServiceFacts | None, port: str, message: str) -> None:
    assert resolve(found, REF, port) == Invalid(message)


def test_tcp_is_the_only_protocol() -> None:
    assert isinstance(resolve(facts({"port": 80, "protocol": "TCP"}), REF, "80"), ResolvedPort)


def test_a_health_port_is_looked_up_like_the_other() -> None:
    found = facts({"name": "http", "port": 80}, {"name": "health", "port": 8081})
    resolved = resolve(found, REF, "80", health_port="8081")
    assert isinstance(resolved, ResolvedPort)
    assert (resolved.health_port, resolved.health_port_name) == (8081, "health")
    same = resolve(found, REF, "80", health_port="80")
    assert isinstance(same, ResolvedPort)
    assert same.health_port == 0
    assert resolve(found, REF, "80", health_port="1") == Invalid('port "1" on service "shop/web" not matched')


@pytest.mark.parametrize(
    ("port", "annotations", "protocol"),
    [
        ({}, {}, ""),
        ({}, {"upstream-protocol.h2": "443, http ,8080"}, "h2"),
        ({}, {"upstream-protocol.h2c": "80"}, "h2c"),
        ({}, {"upstream-protocol.h2": "http", "upstream-protocol.h2c": "80"}, "h2"),  # by name first
        ({}, {"upstream-protocol.h2": "80", "upstream-protocol.h2c": "80"}, "h2c"),
        ({}, {"upstream-protocol.tls": "80", "upstream-protocol.h2c": "80"}, "tls"),
        ({}, {"upstream-protocol.tls": "other"}, ""),
        ({"appProtocol": "kubernetes.io/h2c"}, {"upstream-protocol.tls": "80"}, "h2c"),
        ({"appProtocol": "https"}, {}, "tls"),
        ({"appProtocol": "http"}, {"upstream-protocol.tls": "80"}, ""),
        ({"appProtocol": "kubernetes.io/ws"}, {"upstream-protocol.tls": "80"}, ""),
        ({"appProtocol": ""}, {"upstream-protocol.tls": "80"}, ""),
    ],
)
def test_the_protocol_to_the_upstream(port: dict[str, Any], annotations: dict[str, str], protocol: str) -> None:
    found = annotated({"name": "http", "port": 80, **port}, **annotations)
    assert found is not None
    assert found.ports[0].upstream_protocol == protocol


def test_circuit_breakers() -> None:
    found = annotated(
        **{
            "max-connections": "100",
            "max-pending-requests": "4294967295",
            "max-requests": "4294967296",
            "max-retries": "-1",
            "per-host-max-connections": "10",
        }
    )
    assert found is not None
    assert found.circuit_breakers == CircuitBreakers(
        max_connections=100, max_pending_requests=2**32 - 1, per_host_max_connections=10
    )
    assert annotated(**{"max-connections": "9" * 5000}) == annotated(**{"max-connections": "many"}) == facts()


def test_limits_of_the_settings_hold_where_a_service_says_nothing() -> None:
    own, default = CircuitBreakers(max_connections=5, max_retries=0), CircuitBreakers(max_connections=9, max_retries=7)
    assert limits(own, default) == CircuitBreakers(max_connections=5, max_retries=7)
    assert limits(own, CircuitBreakers()) is own
    assert limits(CircuitBreakers(), default) == default


def test_what_does_not_matter_is_left_out() -> None:
    touched = world.service("web", metadata={"annotations": {"note": "x"}, "labels": {"a": "b"}})
    assert service_facts(decode(touched)) == facts()
    assert service_facts(None) is None


def external(name: str, type_: str = "ExternalName") -> ServiceFacts | None:
    return facts({"port": 80}, spec={"type": type_, "externalName": name})


def test_an_external_name_counts_for_its_type_only() -> None:
    other_type = external("x.test", "ClusterIP")
    assert other_type is not None
    assert (other_type.external_name, other_type.says_external_name) == ("", True)
    assert isinstance(resolve(other_type, REF, "80"), ResolvedPort)
    assert external("") == facts({"port": 80})


def test_external_names_are_off() -> None:
    assert resolve(external("backend.test"), REF, "80") == Invalid(
        "shop/web is an ExternalName service, these are not currently enabled. "
        "See the config.enableExternalNameService config file setting"
    )


def test_external_names_where_they_are_on() -> None:
    resolved = resolve(external("backend.test"), REF, "80", external_names=True)
    assert isinstance(resolved, ResolvedPort)
    assert resolved.port == ServicePort("shop", "web", 80, "", "backend.test")


LOCAL = "shop/web is an ExternalName service that points to localhost, this is not allowed"
ADDRESS = (
    "shop/web is an ExternalName service that points to a loopback, link-local or unspecified IP address, "
    "this is not allowed"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("localhost", LOCAL),
        ("localhost.", LOCAL),
        ("LocalHost", LOCAL),
        ("localhost.localdomain", LOCAL),
        ("local.projectcontour.io", LOCAL),
        ("admin.localhost", LOCAL),
        ("ip6-localhost", LOCAL),
        ("IP6-Loopback.", LOCAL),
        ("localhost6.localdomain6", LOCAL),
        ("127.0.0.1", ADDRESS),
        ("127.0.0.1.", ADDRESS),
        ("127.9.9.9", ADDRESS),
        ("127.1", ADDRESS),
        ("2130706433", ADDRESS),
        ("0x7f000001", ADDRESS),
        ("0x7f.0.0.1", ADDRESS),
        ("0177.0.0.1", ADDRESS),
        ("017700000001", ADDRESS),
        ("0", ADDRESS),
        ("0.0.0.0", ADDRESS),
        ("169.254.169.254", ADDRESS),
        ("::1", ADDRESS),
        ("[::1]", ADDRESS),
        ("::", ADDRESS),
        ("fe80::1", ADDRESS),
        ("fe80::1%eth0", ADDRESS),
        ("::ffff:127.0.0.1", ADDRESS),
        ("::FFFF:7f00:1", ADDRESS),
    ],
)
def test_spellings_of_this_machine(name: str, message: str) -> None:
    assert resolve(external(name), REF, "80", external_names=True) == Invalid(message)


@pytest.mark.parametrize("name", ["10.0.0.1", "2001:db8::1", "mylocalhost", "1.2.3.4.5", "0x", "08.0.0.1", "127.test"])
def test_other_names_are_allowed(name: str) -> None:
    assert isinstance(resolve(external(name), REF, "80", external_names=True), ResolvedPort)
