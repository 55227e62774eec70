"""The plain listener of the `scoped` shape with a real Envoy: which host a request is for, however it says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dag.world import ingress, root, service, to
from tests.envoy.site import Site, endpoints

from contour.testing import clients, static
from contour.testing.backends import Backend
from contour.testing.clients import Address, Http1, Http2
from contour.testing.envoy import Envoy

pytestmark = pytest.mark.traffic

PRIVATE = "x-contour-scope"


@pytest.fixture(scope="module")
def envoy() -> Iterator[Envoy]:
    with Backend("web") as web, Backend("other") as other:
        site = Site(
            service("web"),
            service("other"),
            service("h2c", spec={}, metadata={"annotations": {"projectcontour.io/upstream-protocol.h2c": "80"}}),
            endpoints("web", web.port),
            endpoints("other", other.port),
            endpoints("h2c", web.port),
            root(
                "exact",
                "exact.test",
                routes=[to("web", "/x"), to("web", "/ws", enableWebsockets=True), to("h2c", "/grpc")],
            ),
            root("low", "low.wild.test", routes=[to("web", "/x")]),
            root(
                "wild",
                "*.wild.test",
                routes=[to("other", "/x"), to("other", "/ws", enableWebsockets=True), to("h2c", "/grpc")],
            ),
            root("deep", "*.deep.wild.test", routes=[to("web", "/x")]),
        )
        assert not any(site.withheld(type_url) for type_url in site.shape)
        with Envoy(static.static_config(site.state())) as running:
            yield running


@pytest.fixture(scope="module")
def address(envoy: Envoy) -> Address:
    return envoy.address("ingress_http")


@pytest.mark.parametrize(
    ("host", "path", "answer"),
    [
        ("exact.test", "/x", "web"),
        ("exact.test:8080", "/x", "web"),
        ("EXACT.test", "/x", "web"),
        ("Exact.Test:99", "/x", "web"),
        ("a.wild.test", "/x", "other"),
        ("A.WILD.test", "/x", "other"),
        ("a.wild.test:80", "/x", "other"),
        ("A.wild.TEST:80", "/x", "other"),
        ("a.deep.wild.test", "/x", "web"),
        ("A.Deep.Wild.Test", "/x", "web"),
        ("low.wild.test", "/x", "web"),
        ("exact.test", "/none", 404),
        ("EXACT.test", "/none", 404),
        ("low.wild.test", "/ws", 404),  # the exact host exists: its wildcard does not answer for it
        ("Low.Wild.test:80", "/ws", 404),
        ("b.a.wild.test", "/x", 404),  # a wildcard is one label
        ("wild.test", "/x", 404),
        ("unknown.test", "/x", 404),
        ("*", "/x", 404),
        ("*.wild.test", "/x", 404),
        ("exact.test.", "/x", 404),
        ("", "/x", 404),
    ],
)
@pytest.mark.parametrize("forged", [None, "http/exact.test", "http/*", "nonsense"])
def test_host(address: Address, host: str, path: str, answer: str | int, forged: str | None) -> None:
    response = clients.get(address, host, path, [(PRIVATE, forged)] if forged else [])
    assert (response.backend or response.status) == answer
    if response.backend:
        assert response.seen.header("host") == host
        assert response.seen.header(PRIVATE) is None
        assert response.seen.header("x-request-start") is not None


@pytest.mark.parametrize("forged", [None, "http/exact.test"])
def test_no_host(address: Address, forged: str | None) -> None:
    headers = [(PRIVATE, forged)] if forged else []
    assert clients.get(address, None, "/x", headers, version="1.0").status == 400
    assert clients.get(address, None, "/x", headers).status == 400
    assert clients.get(address, "exact.test", "/x", headers, version="1.0").backend == "web"


def test_an_absolute_target_wins_over_the_host_header(address: Address) -> None:
    with Http1(clients.connect(address)) as client:
        assert client.get("unknown.test", "http://Exact.test:99/x").backend == "web"


@pytest.mark.parametrize(
    ("authority", "path", "answer"),
    [
        ("exact.test", "/x", "web"),
        ("EXACT.test:80", "/x", "web"),
        ("a.wild.test", "/x", "other"),
        ("A.wild.test:80", "/x", "other"),
        ("low.wild.test", "/ws", 404),
        ("unknown.test", "/x", 404),
    ],
)
def test_http2(address: Address, authority: str, path: str, answer: str | int) -> None:
    with Http2(clients.connect(address)) as client:
        response = client.get(authority, path, [(PRIVATE, "http/exact.test")])
        assert (response.backend or response.status) == answer


def test_many_hosts_on_one_connection(address: Address) -> None:
    with Http2(clients.connect(address)) as client:
        hosts = ["exact.test", "a.wild.test", "EXACT.test", "low.wild.test", "b.wild.test"]
        assert [client.get(host, "/x").backend for host in hosts] == ["web", "other", "web", "web", "other"]


@pytest.mark.parametrize("authority", ["exact.test", "EXACT.test", "a.wild.test", "A.wild.test"])
def test_grpc(address: Address, authority: str) -> None:
    with Http2(clients.connect(address)) as client:
        response = client.grpc(authority, "/grpc.Service/Method", b"hello")
        assert (response.status, response.backend, response.trailers) == (200, "web", (("grpc-status", "0"),))
        assert response.body[5:] == b"hello"
        assert client.grpc("unknown.test", "/grpc.Service/Method", b"").header("grpc-status") == "12"  # UNIMPLEMENTED


@pytest.mark.parametrize(
    ("host", "path", "answer"),
    [
        ("exact.test", "/ws", "web"),
        ("EXACT.test", "/ws", "web"),
        ("EXACT.test:80", "/ws", "web"),
        ("a.wild.test", "/ws", "other"),
        ("a.wild.test:80", "/ws", "other"),
        ("exact.test", "/x", 403),
        ("EXACT.test", "/x", 403),
        ("a.wild.test", "/x", 403),
        ("A.wild.test", "/x", 403),
        ("A.wild.test", "/ws", 403),  # stricter than need be: there is no third look
        ("exact.test", "/none", 404),
        ("low.wild.test", "/ws", 404),
    ],
)
def test_websocket(address: Address, host: str, path: str, answer: str | int) -> None:
    with Http1(clients.connect(address)) as client:
        response = client.websocket(host, path, text="over")
        assert (response.backend or response.status) == answer
        if response.status == 101:
            assert response.body == b"over"


def test_another_upgrade_is_not_a_websocket(address: Address) -> None:
    with Http1(clients.connect(address)) as client:
        headers = [("connection", "upgrade"), ("upgrade", "spdy/3.1")]
        assert client.get("a.wild.test", "/ws", headers).status == 403


def test_the_any_host_takes_the_rest() -> None:
    with Backend("web") as web, Backend("any") as any_:
        site = Site(
            service("web"),
            service("any"),
            endpoints("web", web.port),
            endpoints("any", any_.port),
            root("exact", "exact.test", routes=[to("web", "/x")]),
            ingress("any", "*", paths={"/": "any"}),
            ingress("wild", "*.wild.test", paths={"/": "web"}),
        )
        with Envoy(static.static_config(site.state())) as envoy:
            address = envoy.address("ingress_http")
            hosts = [
                "exact.test",
                "unknown.test",
                "UNKNOWN.test:80",
                "",
                "a.wild.test",
                "A.wild.test",
                "1.2.3.4",
                "[::1]",
            ]
            answers = [clients.get(address, host, "/x").backend for host in hosts]
            assert answers == ["web", "any", "any", "any", "web", "web", "any", "any"]
            assert clients.get(address, "exact.test", "/none").status == 404
            assert clients.get(address, "EXACT.test", "/none").status == 404


def test_the_script_has_no_error(envoy: Envoy, address: Address) -> None:
    for host in ("A.wild.test", "exact.test", "unknown.test", ""):
        clients.get(address, host, "/none")
    counters = envoy.stats("lua")
    assert counters["http.ingress_http.lua.executions"] > 0
    assert counters["http.ingress_http.lua.errors"] == 0
