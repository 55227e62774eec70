"""The TLS listener of the `scoped` shape with a real Envoy: which host a connection may reach (envoy.md §2, security.md).

Several tenants share the listener. `team-a` owns a wildcard, `team-b` has hosts below it with stricter settings (TLS
1.3 stands for client certificates), and `evil` has certificates with names that are not its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from tests.dag.world import AUTHORITY, Mapping, root, service, serving, to
from tests.envoy.site import Site, endpoints

from contour.testing import clients, static
from contour.testing.backends import Backend
from contour.testing.clients import Address, Http1, Http2
from contour.testing.envoy import Envoy

pytestmark = pytest.mark.traffic

PRIVATE = "x-contour-scope"
OLD, NEW = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"


def host(name: str, fqdn: str, secret: str, created: str = OLD, **tls: str) -> Mapping:
    routes = [to("web", "/x"), to("web", "/ws", enableWebsockets=True)]
    return root(name, fqdn, created, routes=routes, virtualhost={"tls": {"secretName": secret, **tls}})


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with Backend("a") as a, Backend("b") as b, Backend("e") as e:
        backends = {"team-a": a, "team-b": b, "evil": e}
        site = Site(
            *(service(f"{team}/web") for team in backends),
            *(endpoints(f"{team}/web", backend.port) for team, backend in backends.items()),
            serving("team-a/wild", "*.shop.test"),
            host("team-a/wild", "*.shop.test", "wild"),
            host("team-a/one", "one.shop.test", "wild"),
            host("team-a/two", "two.shop.test", "wild"),
            host("team-a/uncovered", "uncovered.test", "wild"),
            serving("team-a/shared", "*.plain.test"),
            host("team-a/p1", "p1.plain.test", "shared"),
            host("team-a/p2", "p2.plain.test", "shared"),
            serving("team-b/wild", "*.shop.test", "*.plain.test"),
            host("team-b/strict", "strict.shop.test", "wild", minimumProtocolVersion="1.3"),
            host("team-b/guest", "guest.plain.test", "wild", NEW),
            serving("evil/tls", "evil.test", "one.shop.test", "*.shop.test", "*.plain.test", "*.evil.test"),
            host("evil/evil", "evil.test", "tls"),
            host("evil/wild", "*.evil.test", "tls"),
            host("evil/below", "below.shop.test", "tls"),
            host("evil/late", "late.plain.test", "tls", NEW),
        )
        assert not any(site.withheld(type_url) for type_url in site.shape)
        with Envoy(static.static_config(site.state())) as envoy:
            yield envoy.address("ingress_https")


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("one.shop.test", "a"),
        ("two.shop.test", "a"),
        ("other.shop.test", "a"),
        ("uncovered.test", "a"),
        ("p1.plain.test", "a"),
        ("strict.shop.test", "b"),
        ("guest.plain.test", "b"),
        ("evil.test", "e"),
        ("x.evil.test", "e"),
        ("below.shop.test", "e"),
        ("late.plain.test", "e"),
    ],
)
def test_each_host_over_its_own_connection(address: Address, name: str, backend: str) -> None:
    assert clients.get_tls(address, name, "/x").backend == backend
    assert clients.get_tls(address, name, "/none").status == 404
    for spelled in (name.upper(), f"{name}:8443", f"{name.title()}:1"):
        response = clients.get_tls(address, name, "/x", [(PRIVATE, "http/*")], host=spelled)
        assert response.backend == backend
        assert response.seen.header(PRIVATE) is None
        assert response.seen.header("host") == spelled
    assert clients.get_tls(address, name.upper(), "/x", host=name).backend == backend


@pytest.mark.parametrize(
    "name",
    ["unknown.test", "shop.test", "plain.test", "a.uncovered.test", ""],
)
def test_names_that_nobody_configured_are_refused(address: Address, name: str) -> None:
    with pytest.raises(OSError):
        clients.get_tls(address, name, "/x")


def test_a_name_that_only_a_wildcard_covers_is_misdirected(address: Address) -> None:
    assert clients.get_tls(address, "p9.plain.test", "/x").status == 421
    assert clients.get_tls(address, "b.a.shop.test", "/x").status == 404  # below a wildcard host, which has one label


@pytest.mark.parametrize(
    ("sni", "other"),
    [
        ("one.shop.test", "two.shop.test"),  # of the same group
        ("one.shop.test", "other.shop.test"),  # served by the group's wildcard
        ("one.shop.test", "strict.shop.test"),  # another tenant's, with stricter settings
        ("one.shop.test", "below.shop.test"),
        ("one.shop.test", "unknown.test"),
        ("one.shop.test", ""),
        ("other.shop.test", "one.shop.test"),
        ("other.shop.test", "another.shop.test"),
        ("other.shop.test", "strict.shop.test"),
        ("other.shop.test", "evil.test"),
        ("p1.plain.test", "p2.plain.test"),
        ("p1.plain.test", "guest.plain.test"),
        ("evil.test", "one.shop.test"),
        ("x.evil.test", "one.shop.test"),
        ("x.evil.test", "strict.shop.test"),
        ("below.shop.test", "one.shop.test"),
        ("below.shop.test", "strict.shop.test"),
        ("late.plain.test", "p1.plain.test"),
        ("strict.shop.test", "one.shop.test"),
    ],
)
@pytest.mark.parametrize("forged", [None, "http/*"])
def test_another_host_on_the_same_connection_is_misdirected(
    address: Address, sni: str, other: str, forged: str | None
) -> None:
    headers = [(PRIVATE, forged)] if forged else []
    with Http1(clients.connect(address, sni=sni)) as client:
        assert client.get(sni, "/x").status == 200
        for spelled in (other, other.upper(), f"{other}:443"):
            assert client.get(spelled, "/x", headers).status == 421
        assert client.get(sni, "/x").status == 200
    with Http2(clients.connect(address, sni=sni, alpn="h2")) as http2:
        assert http2.get(sni, "/x").status == 200
        assert http2.get(other or "-", "/x", headers).status == 421
        assert http2.get(sni, "/x").status == 200


def test_nobody_but_its_group_answers_for_a_strict_host(address: Address) -> None:
    """Every server name with every host: a host of team-b is reached over its own connection alone."""
    names = ["one.shop.test", "two.shop.test", "any.shop.test", "uncovered.test", "p1.plain.test", "p9.plain.test",
             "guest.plain.test", "evil.test", "x.evil.test", "below.shop.test", "late.plain.test"]  # fmt: skip
    for sni in names:
        with Http1(clients.connect(address, sni=sni)) as client:
            assert client.get("strict.shop.test", "/x").status in (404, 421), sni
    with pytest.raises(ssl.SSLError):
        clients.connect(address, sni="strict.shop.test", max_version=ssl.TLSVersion.TLSv1_2)
    assert clients.get_tls(address, "strict.shop.test", "/x").backend == "b"


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("one.shop.test", {"*.shop.test"}),
        ("uncovered.test", {"*.shop.test"}),
        ("guest.plain.test", {"*.shop.test", "*.plain.test"}),
        ("p1.plain.test", {"*.plain.test"}),
    ],
)
def test_certificates(address: Address, name: str, names: set[str]) -> None:
    from cryptography import x509

    shown = x509.load_der_x509_certificate(clients.certificate(address, name))
    listed = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(listed.get_values_for_type(x509.DNSName)) == names


def test_a_client_that_looks_at_names(address: Address) -> None:
    context = AUTHORITY.client_context()
    assert clients.get_tls(address, "one.shop.test", "/x", context=context).backend == "a"
    with pytest.raises(ssl.SSLCertVerificationError):
        clients.get_tls(address, "uncovered.test", "/x", context=context)


@pytest.mark.parametrize(
    ("name", "path", "answer"),
    [
        ("one.shop.test", "/ws", "a"),
        ("one.shop.test", "/x", 403),
        ("other.shop.test", "/ws", "a"),
        ("other.shop.test", "/x", 403),
        ("p1.plain.test", "/ws", "a"),
        ("p1.plain.test", "/x", 403),
    ],
)
def test_websocket(address: Address, name: str, path: str, answer: str | int) -> None:
    for spelled in (name, name.upper()):
        with Http1(clients.connect(address, sni=name)) as client:
            response = client.websocket(spelled, path)
            assert (response.backend or response.status) == answer
    with Http1(clients.connect(address, sni=name)) as client:
        assert client.websocket("strict.shop.test", "/ws").status in (403, 421)


def test_grpc(address: Address) -> None:
    with Http2(clients.connect(address, sni="other.shop.test", alpn="h2")) as client:
        assert client.grpc("strict.shop.test", "/x/Method", b"").header("grpc-status") is not None
        assert client.grpc("strict.shop.test", "/x/Method", b"").backend is None


def test_plain_requests_are_sent_to_https() -> None:
    site = Site(service(), serving("tls", "a.test"), host("a", "a.test", "tls"))
    with Envoy(static.static_config(site.state())) as envoy:
        response = clients.get(envoy.address("ingress_http"), "a.test", "/x")
        assert (response.status, response.header("location")) == (301, "https://a.test/x")
