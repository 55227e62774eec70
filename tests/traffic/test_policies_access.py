"""CORS and address filters with a real Envoy in both shapes (httpproxy.md §2.17, §2.18)."""

from __future__ import annotations

import socket

import pytest
from tests.dag.world import root, service
from tests.envoy.site import ANY_PORT, LOCAL, QUIET, Site, endpoints
from tests.traffic.world import World

from contour.envoy.options import Options
from contour.testing import clients, static
from contour.testing.backends import Backend
from contour.testing.clients import Http1, Http2, Response
from contour.testing.envoy import Envoy
from contour.testing.jwks import Issuer

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-access")]


@pytest.fixture
def site(world: World) -> World:
    world.service("shop/web")
    world.certificate("shop/tls", "*.shop.test", "*.wild.test")
    return world


def proxy(world: World, virtualhost: str, *, fqdn: str = "a.shop.test", route: str = "", routes: str = "") -> None:
    world.proxy(
        f"shop/{fqdn.replace('*', 'any')}",
        f"""
        virtualhost:
          fqdn: "{fqdn}"
          tls: {{secretName: tls}}
          {virtualhost}
        routes:
        - permitInsecure: true
          enableWebsockets: true
          services: [{{name: web, port: 80}}]
          {route}
        {routes}
        """,
    )


# --- CORS -----------------------------------------------------------------------------------------------------------

POLICY = """corsPolicy:
            allowOrigin: ["https://a.test", 'https://[a-z]+\\.b\\.test']
            allowMethods: [GET, PUT]
            allowHeaders: [x-one, x-two]
            exposeHeaders: [x-three]
            maxAge: 10m
            allowCredentials: true
"""


def preflight(
    world: World, envoy: Envoy, origin: str, *, tls: bool, host: str = "a.shop.test", **more: str
) -> Response:
    headers = [("origin", origin), ("access-control-request-method", "PUT"), *more.items()]
    sni = host.lower() if tls else None
    address = world.opened(envoy, host.lower()) if tls else world.address("ingress_http", envoy)
    with Http1(clients.connect(address, sni=sni)) as client:
        return client.request("OPTIONS", host, "/x", [(name.replace("_", "-"), value) for name, value in headers])


@pytest.mark.parametrize("tls", [False, True])
def test_preflight(site: World, envoy: Envoy, tls: bool) -> None:
    proxy(site, POLICY)
    for origin in ("https://a.test", "https://c.b.test", "HTTPS://A.TEST"):
        answer = preflight(site, envoy, origin, tls=tls)
        assert (answer.status, answer.backend) == (200, None), origin
        assert {name: value for name, value in answer.headers if name.startswith("access-control-")} == {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "GET,PUT",
            "access-control-allow-headers": "x-one,x-two",
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "x-three",
            "access-control-max-age": "600",
        }
    # The whole origin is matched; for others the upstream decides.
    for origin in ("https://a.test.evil", "http://a.test", "https://c.b.test.evil", "https://c.bxtest", "null"):
        answer = preflight(site, envoy, origin, tls=tls)
        assert answer.backend == "shop/web", origin
        assert answer.header("access-control-allow-origin") is None


@pytest.mark.parametrize("tls", [False, True])
def test_simple_requests(site: World, envoy: Envoy, tls: bool) -> None:
    proxy(site, POLICY)
    address = site.opened(envoy, "a.shop.test") if tls else site.address("ingress_http", envoy)
    ask = clients.get_tls if tls else clients.get
    answer = ask(address, "a.shop.test", "/", [("origin", "https://a.test")])
    assert answer.backend == "shop/web"
    assert {name: value for name, value in answer.headers if name.startswith("access-control-")} == {
        "access-control-allow-origin": "https://a.test",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-three",
    }
    for headers in ([("origin", "https://evil.test")], []):
        answer = ask(address, "a.shop.test", "/", headers)
        assert answer.backend == "shop/web"
        assert answer.header("access-control-allow-origin") is None


def test_any_origin_and_private_networks(site: World, envoy: Envoy) -> None:
    private = {"access_control_request_private_network": "true"}
    for allowed in ("false", "true"):
        proxy(
            site,
            f"corsPolicy: {{allowOrigin: ['*'], allowMethods: ['*'], maxAge: '0', allowPrivateNetwork: {allowed}}}",
        )
        answer = preflight(site, envoy, "https://whoever.test", tls=True, **private)
        assert answer.header("access-control-allow-origin") == "https://whoever.test"
        assert answer.header("access-control-allow-private-network") == ("true" if allowed == "true" else None)
        assert answer.header("access-control-max-age") == "0"
        assert answer.header("access-control-allow-credentials") is None


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", ["a.wild.test", "A.wild.TEST"])
def test_preflight_on_hosts_that_are_selected_second(site: World, tls: bool, host: str) -> None:
    proxy(site, POLICY, fqdn="*.wild.test")
    envoy = site.envoys[0]
    answer = preflight(site, envoy, "https://a.test", tls=tls, host=host)
    assert (answer.status, answer.backend) == (200, None)
    assert answer.header("access-control-allow-methods") == "GET,PUT"
    assert preflight(site, envoy, "https://evil.test", tls=tls, host=host).backend == "shop/web"


def test_preflight_in_upper_case(site: World) -> None:
    """An exact host, which the plain listener finds with its second selection."""
    proxy(site, POLICY)
    answer = preflight(site, site.envoys[0], "https://a.test", tls=False, host="A.SHOP.test")
    assert (answer.status, answer.header("access-control-allow-methods")) == (200, "GET,PUT")


def test_preflight_needs_no_token_and_no_address(site: World, envoy: Envoy) -> None:
    """It carries no credentials, so that it is answered before anything asks for some."""
    site.secret("shop/keys", "Opaque", {"jwks": Issuer().key_set()})
    proxy(
        site,
        POLICY
        + """
          jwtProviders: [{name: a, default: true, localJWKS: {secretName: keys, key: jwks}}]
          ipDenyPolicy: [{source: Peer, cidr: 127.0.0.0/8}]
        """,
    )
    assert preflight(site, envoy, "https://a.test", tls=True).status == 200
    assert preflight(site, envoy, "https://evil.test", tls=True).status == 403
    assert clients.get_tls(site.opened(envoy, "a.shop.test"), "a.shop.test").status == 403


# --- address filters ------------------------------------------------------------------------------------------------


def ask_from(
    world: World,
    envoy: Envoy,
    source: str,
    *,
    host: str = "a.shop.test",
    path: str = "/",
    headers: clients.Pairs = (),
) -> Response:
    """From another address of loopback."""
    address = world.address("ingress_http", envoy)
    with Http1(socket.create_connection(address, 10, source_address=(source, 0))) as client:
        return client.get(host, path, headers)


@pytest.mark.parametrize("source", ["Peer", "Remote"])
@pytest.mark.parametrize(
    ("cidrs", "inside", "outside"),
    [
        (["127.0.0.2"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
        (["127.0.0.2/31"], ["127.0.0.2", "127.0.0.3"], ["127.0.0.1", "127.0.0.4"]),
        (["127.0.1.77/24", "::1"], ["127.0.1.1", "127.0.1.200"], ["127.0.0.1"]),
        (["::ffff:127.0.1.77/120"], ["127.0.1.1", "127.0.1.200"], ["127.0.0.1"]),
        (["0.0.0.0/0"], ["127.0.0.1", "127.9.9.9"], []),
    ],
)
def test_addresses(
    site: World, envoy: Envoy, source: str, cidrs: list[str], inside: list[str], outside: list[str]
) -> None:
    if "::ffff" in cidrs[0] and envoy is not site.envoys[0]:
        pytest.skip("in the reference's shape such a range is its lowest address")
    entries = ", ".join(f"{{source: {source}, cidr: '{cidr}'}}" for cidr in cidrs)
    for field, when_inside, when_outside in (("ipAllowPolicy", 200, 403), ("ipDenyPolicy", 403, 200)):
        proxy(site, f"{field}: [{entries}]")
        assert {ask_from(site, envoy, address).status for address in inside} == {when_inside}
        assert {ask_from(site, envoy, address).status for address in outside} <= {when_outside}


def test_a_route_s_own_rules_stand_in_the_host_s_place(site: World, envoy: Envoy) -> None:
    proxy(
        site,
        "ipDenyPolicy: [{source: Peer, cidr: 127.0.0.2}]",
        routes="""
        - conditions: [{prefix: /own}]
          permitInsecure: true
          services: [{name: web, port: 80}]
          ipAllowPolicy: [{source: Peer, cidr: 127.0.0.2}]
        - conditions: [{prefix: /answer}]
          permitInsecure: true
          directResponsePolicy: {statusCode: 204}
        """,
    )
    addresses = ("127.0.0.1", "127.0.0.2")
    assert [ask_from(site, envoy, one).status for one in addresses] == [200, 403]
    assert [ask_from(site, envoy, one, path="/own").status for one in addresses] == [403, 200]
    assert [ask_from(site, envoy, one, path="/answer").status for one in addresses] == [204, 403]


@pytest.mark.parametrize("source", ["Peer", "Remote"])
def test_a_client_cannot_say_who_it_is(site: World, envoy: Envoy, source: str) -> None:
    """No proxy before this one is trusted by default."""
    proxy(site, f"ipAllowPolicy: [{{source: {source}, cidr: 10.0.0.0/8}}]")
    forged = [("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1"), ("x-envoy-external-address", "10.0.0.1")]
    assert ask_from(site, envoy, "127.0.0.1", headers=forged).status == 403


def test_addresses_that_a_trusted_proxy_tells() -> None:
    """One proxy before this one is trusted: what it says is the remote address, and it is itself the peer."""
    deny = {"ipDenyPolicy": [{"source": "Remote", "cidr": "10.0.0.0/8"}]}
    peers = {"ipAllowPolicy": [{"source": "Peer", "cidr": "10.0.0.0/8"}]}
    with Backend("web") as web:
        cluster = Site(
            service("shop/web"),
            endpoints("shop/web", web.port),
            root("remote", "remote.test", virtualhost=deny),
            root("peer", "peer.test", virtualhost=peers),
            options=Options(**LOCAL, **ANY_PORT, **QUIET, xff_trusted_hops=1),
        )
        with Envoy(static.static_config(cluster.state())) as envoy:
            address = envoy.address("ingress_http")
            for forwarded, status in (
                ("10.0.0.1", 403),
                ("192.0.2.1", 200),
                ("10.0.0.1, 192.0.2.1", 200),
                ("192.0.2.1, 10.1.1.1", 403),
            ):
                assert clients.get(address, "remote.test", "/", [("x-forwarded-for", forwarded)]).status == status
            assert clients.get(address, "peer.test", "/", [("x-forwarded-for", "10.0.0.1")]).status == 403


def test_addresses_that_the_proxy_protocol_tells() -> None:
    """The client that a load balancer speaks for is the remote address; the peer is the load balancer."""
    with Backend("web") as web:
        cluster = Site(
            service("shop/web"),
            endpoints("shop/web", web.port),
            root("remote", "remote.test", virtualhost={"ipDenyPolicy": [{"source": "Remote", "cidr": "10.0.0.0/8"}]}),
            root("peer", "peer.test", virtualhost={"ipDenyPolicy": [{"source": "Peer", "cidr": "10.0.0.0/8"}]}),
            options=Options(**LOCAL, **ANY_PORT, **QUIET, use_proxy_protocol=True),
        )
        with Envoy(static.static_config(cluster.state())) as envoy:
            for told, host, status in (
                ("10.0.0.1", "remote.test", 403),
                ("192.0.2.1", "remote.test", 200),
                ("10.0.0.1", "peer.test", 200),
            ):
                with Http1(clients.connect(envoy.address("ingress_http"))) as client:
                    client.socket.sendall(f"PROXY TCP4 {told} 127.0.0.1 4000 80\r\n".encode())
                    assert client.get(host, "/", [("x-forwarded-for", "10.0.0.9")]).status == status


@pytest.mark.parametrize("host", ["a.wild.test", "A.wild.test"])
def test_addresses_on_hosts_that_are_selected_second(site: World, host: str) -> None:
    proxy(site, "ipDenyPolicy: [{source: Peer, cidr: 127.0.0.2}]", fqdn="*.wild.test")
    envoy = site.envoys[0]
    assert [ask_from(site, envoy, one, host=host).status for one in ("127.0.0.1", "127.0.0.2")] == [200, 403]


def test_addresses_over_tls(site: World, envoy: Envoy) -> None:
    for fqdn, host in (("a.shop.test", "a.shop.test"), ("*.wild.test", "a.wild.test")):
        for cidr, status in (("127.0.0.1", 403), ("127.0.0.2", 200)):
            proxy(site, f"ipDenyPolicy: [{{source: Peer, cidr: {cidr}}}]", fqdn=fqdn)
            address = site.opened(envoy, host)
            assert clients.get_tls(address, host).status == status
            with Http2(clients.connect(address, sni=host, alpn="h2")) as client:
                assert client.request("GET", host).status == status
