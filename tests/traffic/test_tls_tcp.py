"""Connections that are proxied as such, with a real Envoy: terminated or passed through (httpproxy.md §2.9)."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.traffic.live import until
from tests.traffic.world import World

from contour.testing import backends, clients
from contour.testing.backends import Backend
from contour.testing.certs import Authority
from contour.testing.clients import Http1, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tls-tcp")]

UPSTREAM = Authority("upstream")
# Long enough to see a share, short enough to be quick.
MANY = 120


def tcp(
    world: World, spec: str, *, name: str = "db", fqdn: str = "", tls: str = "secretName: tls", **kwargs: bool
) -> None:
    world.proxy(
        f"shop/{name}",
        f"""
        virtualhost: {{fqdn: {fqdn or name + ".test"}, tls: {{{tls}}}}}
        tcpproxy: {spec}
        """,
        **kwargs,
    )


def raw(world: World, sni: str = "db.test") -> str | None:
    """Who answers; what goes over the connection is up to both ends, here HTTP."""
    return clients.get_tls(world.https, sni, context=world.authority.client_context()).backend


@pytest.fixture
def tls_backend(tmp_path: Path) -> Iterator[Backend]:
    pair = UPSTREAM.sign("db.test", "upstream.test")
    with Backend("tls", tls=backends.server_context(pair.certificate, pair.private_key, str(tmp_path))) as backend:
        yield backend


def test_tls_is_terminated(world: World) -> None:
    world.certificate("shop/tls", "db.test")
    world.service("shop/db")
    tcp(world, "{services: [{name: db, port: 80}]}")
    connection = connect(world.https, sni="db.test", context=world.authority.client_context(), alpn="postgresql")
    with connection, Http1(connection) as client:
        assert isinstance(connection, ssl.SSLSocket)
        assert connection.selected_alpn_protocol() is None  # none is offered: it is not HTTP
        answer = client.get("whatever", "/x")
        assert answer.backend == "shop/db"
        # Not a header more or less than the client sent.
        assert answer.seen.headers == [("host", "whatever")]
        assert client.get("again").backend == "shop/db"


def test_tls_is_passed_through(world: World, tls_backend: Backend) -> None:
    """The certificate is the backend's own."""
    world.service("shop/db", backends=[tls_backend])
    tcp(world, "{services: [{name: db, port: 80}]}", tls="passthrough: true")
    context = UPSTREAM.client_context()
    assert clients.get_tls(world.https, "db.test", context=context).backend == "tls"
    with pytest.raises(OSError):
        clients.get_tls(world.https, "other.test", context=context)
    answer = world.get("db.test", "/x")
    assert answer.status == 404  # it has no routes


def test_routes_beside_it_are_for_plain_requests(world: World) -> None:
    world.certificate("shop/tls", "db.test")
    world.service("shop/db")
    world.service("shop/web")
    world.proxy(
        "shop/db",
        """
        virtualhost: {fqdn: db.test, tls: {secretName: tls}}
        tcpproxy: {services: [{name: db, port: 80}]}
        routes:
        - {services: [{name: web, port: 80}]}
        - {conditions: [{prefix: /open}], permitInsecure: true, services: [{name: web, port: 80}]}
        """,
    )
    assert raw(world) == "shop/db"
    assert world.get("db.test", "/").status == 301
    assert world.get("db.test", "/open").backend == "shop/web"


def test_weights(world: World) -> None:
    world.certificate("shop/tls", "db.test")
    for name in ("one", "two", "none"):
        world.service(f"shop/{name}")
    services = "[{name: one, port: 80, weight: 3}, {name: two, port: 80, weight: 1}, {name: none, port: 80}]"
    tcp(world, f"{{services: {services}}}")
    found = Counter(raw(world) for _ in range(MANY))
    assert found.keys() == {"shop/one", "shop/two"}
    assert found["shop/one"] > found["shop/two"] > MANY // 12
    tcp(world, "{services: [{name: one, port: 80}, {name: two, port: 80}]}")
    until(lambda: Counter(raw(world) for _ in range(20)).keys() == {"shop/one", "shop/two"})


@pytest.mark.parametrize("field", ["include", "includes"])
def test_another_proxy_says_where_to(world: World, field: str) -> None:
    """Two steps of delegation, the second into another namespace, whose service it is."""
    world.certificate("shop/tls", "db.test")
    world.service("data/db")
    tcp(world, f"{{{field}: {{name: middle}}}}", valid=False)
    assert world.errors("shop/db") == [("TCPProxyIncludeError", "IncludeNotFound", "include shop/middle not found")]
    world.proxy("shop/middle", f"tcpproxy: {{{field}: {{name: end, namespace: data}}}}", valid=False)
    world.proxy("data/end", "tcpproxy: {services: [{name: db, port: 80}]}")
    assert raw(world) == "data/db"
    assert world.errors("data/end") == []
    world.delete("HTTPProxy", "data/end")
    errors = world.errors("shop/middle")
    assert errors == [("TCPProxyIncludeError", "IncludeNotFound", "include data/end not found")]
    assert world.errors("shop/db") == []
    until(lambda: _refused(world, "db.test"))


def test_active_health_checks(world: World) -> None:
    world.certificate("shop/tls", "db.test")
    alive, third, dead = (world.backend(name) for name in ("alive", "third", "dead"))
    dead.stop()
    world.service("shop/db", backends=[dead, alive])
    check = "{intervalSeconds: 1, timeoutSeconds: 1, unhealthyThresholdCount: 1, healthyThresholdCount: 1}"
    tcp(world, f"{{services: [{{name: db, port: 80}}], healthCheckPolicy: {check}}}")
    # Without checks every other connection would be closed.
    until(lambda: {raw(world) for _ in range(20)} == {"alive"})
    # The interval holds for a cluster that has had connections; before, Envoy asks once a minute.
    world.endpoints("shop/db", alive, third)
    until(lambda: {raw(world) for _ in range(20)} == {"alive", "third"})
    third.stop()
    until(lambda: {raw(world) for _ in range(20)} == {"alive"})


def test_tls_to_the_backend(world: World, tls_backend: Backend) -> None:
    world.certificate("shop/tls", "db.test")
    world.secret("shop/upstream-ca", "Opaque", {"ca.crt": UPSTREAM.certificate})
    world.service("shop/db", backends=[tls_backend])
    service = "{{name: db, port: 80, protocol: tls, validation: {{caSecret: upstream-ca, subjectName: {name}}}}}"
    tcp(world, f"{{services: [{service.format(name='upstream.test')}]}}")
    assert raw(world) == "tls"
    tcp(world, f"{{services: [{service.format(name='impostor.test')}]}}")
    until(lambda: _refused(world, "db.test"))


def test_a_wildcard_certificate_is_no_reason_to_take_others_connections(world: World) -> None:
    world.certificate("shop/tls", "*.shop.test")
    world.service("shop/db")
    world.service("shop/web")
    tcp(world, "{services: [{name: db, port: 80}]}", fqdn="db.shop.test")
    world.proxy(
        "shop/web",
        """
        virtualhost: {fqdn: web.shop.test, tls: {secretName: tls}}
        routes: [{services: [{name: web, port: 80}]}]
        """,
    )
    assert [raw(world, f"{name}.shop.test") for name in ("db", "web")] == ["shop/db", "shop/web"]
    answer = clients.get_tls(world.https, "web.shop.test", host="db.shop.test")
    assert answer.status == 421
    # A wildcard host of its own kind takes what nobody else has.
    tcp(world, "{services: [{name: db, port: 80}]}", name="any", fqdn="'*.shop.test'")
    until(lambda: raw(world, "other.shop.test") == "shop/db")
    assert raw(world, "web.shop.test") == "shop/web"


def test_a_connection_that_is_held_when_a_host_becomes_one_of_connections(world: World) -> None:
    world.certificate("shop/tls", "*.shop.test")
    world.service("shop/db")
    world.service("shop/web")
    for name in ("one", "two"):
        world.proxy(f"shop/{name}", _site(name))
    with (
        Http1(connect(world.https, sni="one.shop.test")) as held,
        Http1(connect(world.https, sni="two.shop.test")) as other,
    ):
        assert (held.get("one.shop.test").backend, other.get("two.shop.test").backend) == ("shop/web", "shop/web")
        tcp(world, "{services: [{name: db, port: 80}]}", name="one", fqdn="one.shop.test")
        until(lambda: raw(world, "one.shop.test") == "shop/db")
        assert held.get("one.shop.test").status == 421
        answer = other.get("two.shop.test")
        assert (answer.backend, answer.header("connection")) == ("shop/web", None)


def test_weights_that_no_message_holds_hurt_nobody_else(world: World) -> None:
    world.certificate("shop/tls", "db.test", "big.test", "web.shop.test")
    world.service("shop/db")
    world.service("shop/web")
    world.proxy("shop/web", _site("web"))
    too_much = "[{name: db, port: 80, weight: 5000000000}, {name: db, port: 80, weight: 1}]"
    tcp(world, f"{{services: {too_much}}}", valid=False)
    assert [one[:2] for one in world.errors("shop/db")] == [("EnvoyError", "Rejected")]
    tcp(
        world,
        "{services: [{name: db, port: 80, weight: 4294967295}, {name: db, port: 80, weight: 4294967295}]}",
        name="big",
    )
    assert [raw(world, name) for name in ("big.test", "web.shop.test")] == ["shop/db", "shop/web"]


def _site(name: str) -> str:
    return f"""
    virtualhost: {{fqdn: {name}.shop.test, tls: {{secretName: tls}}}}
    routes: [{{services: [{{name: web, port: 80}}]}}]
    """


def _refused(world: World, sni: str) -> bool:
    try:
        raw(world, sni)
    except OSError:
        return True
    return False
