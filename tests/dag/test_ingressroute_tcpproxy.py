"""operations.md §12.3: an IngressRoute that forwards connections."""

from __future__ import annotations

import pytest
from tests.dag.world import World, delegate, ingress, ingressroute, prefix, root, service, serving, to

from contour.api.meta import ObjectRef, Ref
from contour.dag.graph import SecureVirtualHost

SERVICES = (service("web"), service("db"), service("team/db"))
PASSTHROUGH = {"tls": {"passthrough": True}}
TERMINATED = {"tls": {"secretName": "cert"}}


def tcp(*services: str, **fields: object) -> dict[str, object]:
    found: dict[str, object] = {"services": [{"name": one, "port": 80} for one in services]} if services else {}
    return {"tcpproxy": found | fields}


def secure(world: World, host: str = "shop.test") -> SecureVirtualHost:
    found = world.host(host).https
    assert found is not None
    return found


def backends(world: World, host: str = "shop.test") -> list[str]:
    found = secure(world, host).tcp_proxy
    assert found is not None
    return [f"{one.cluster.service.namespace}/{one.cluster.service.service}" for one in found.backends]


@pytest.mark.parametrize(("virtualhost", "secret"), [(PASSTHROUGH, None), (TERMINATED, Ref("shop", "cert"))])
def test_connections_with_tls_are_forwarded(virtualhost: dict[str, object], secret: Ref | None) -> None:
    site = ingressroute("site", "shop.test", virtualhost=virtualhost, **tcp("web", "db"), routes=[prefix("/", "web")])
    world = World(*SERVICES, serving("cert"), site)
    assert (backends(world), secure(world).secret, secure(world).routes) == (["shop/web", "shop/db"], secret, ())
    assert secure(world).tcp_proxy.origin == ObjectRef("IngressRoute", "shop", "site")  # type: ignore[union-attr]
    # Routes are for plain requests, and nobody is redirected.
    assert [route.https_redirect for route in world.routes("shop.test")] == [False]
    assert world.description("site") == ""
    assert all(not one.http for one in world.host("shop.test").clusters if one.service.service == "db")


def test_weights_and_what_is_for_requests_is_ignored() -> None:
    services = [
        {"name": "web", "port": 80, "weight": 7, "strategy": "Cookie", "healthCheck": {"path": "/"}},
        {"name": "db", "port": 80, "strategy": "Random"},
    ]
    site = ingressroute("site", "shop.test", virtualhost=PASSTHROUGH, tcpproxy={"services": services})
    found = secure(World(*SERVICES, site)).tcp_proxy
    assert found is not None
    assert [(one.weight, one.cluster.lb_policy, one.cluster.health_check) for one in found.backends] == [
        (0, "", None),
        (0, "Random", None),
    ]


def test_without_tls_nothing_is_forwarded() -> None:
    world = World(*SERVICES, ingressroute("site", "shop.test", **tcp("db"), routes=[prefix("/", "web")]))
    assert (world.host("shop.test").https, len(world.routes("shop.test"))) == (None, 1)
    assert world.description("site") == ""


def test_passthrough_without_tcpproxy_is_a_plain_host() -> None:
    world = World(*SERVICES, ingressroute("site", "shop.test", virtualhost=PASSTHROUGH))
    assert (world.host("shop.test").https, len(world.routes("shop.test"))) == (None, 1)


def test_a_secret_is_stronger_than_passthrough() -> None:
    both = {"tls": {"passthrough": True, "secretName": "cert"}}
    world = World(*SERVICES, serving("cert"), ingressroute("site", "shop.test", virtualhost=both, **tcp("db")))
    assert secure(world).secret == Ref("shop", "cert")


def test_delegation() -> None:
    site = ingressroute(
        "site", "shop.test", virtualhost=PASSTHROUGH, **tcp(delegate={"name": "child", "namespace": "team"})
    )
    child = ingressroute("team/child", **tcp(delegate={"name": "more"}))
    world = World(*SERVICES, site, child, ingressroute("team/more", **tcp("db")))
    assert backends(world) == ["team/db"]
    assert secure(world).tcp_proxy.origin == ObjectRef("IngressRoute", "team", "more")  # type: ignore[union-attr]
    assert [world.description(name) for name in ("site", "team/child", "team/more")] == ["", "", ""]
    world.delete("IngressRoute", "team/more")
    assert world.host("shop.test").https is None
    assert world.description("team/child") == ""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (tcp("db", delegate={"name": "child"}), "tcpproxy: cannot specify services and delegate in the same tcpproxy"),
        (tcp("web", "none"), "tcpproxy: service shop/none/80: not found"),
        (tcp(services=[{"name": "db", "port": 12345}]), "tcpproxy: service shop/db/12345: not found"),
        (tcp(delegate={"name": "other"}), "root ingressroute cannot delegate to another root ingressroute"),
        (tcp(delegate={"name": "site"}), "tcpproxy creates a delegation cycle: shop/site -> shop/site"),
        (tcp(), ""),  # left open: no mistake
        (tcp(delegate={"name": "nobody"}), ""),
        (tcp(delegate={"name": "routes-only"}), ""),
    ],
)
def test_what_forwards_nothing(spec: dict[str, object], text: str) -> None:
    world = World(
        *SERVICES,
        ingressroute("site", "shop.test", virtualhost=PASSTHROUGH, routes=[prefix("/", "web")], **spec),
        ingressroute("other", "other.test"),
        ingressroute("routes-only"),
    )
    assert (world.description("site"), world.host("shop.test").https) == (text, None)
    assert len(world.routes("shop.test")) == 1  # plain requests are served all the same


def test_a_cycle_shows_on_the_object_that_closes_it() -> None:
    world = World(
        *SERVICES,
        ingressroute("site", "shop.test", virtualhost=PASSTHROUGH, **tcp(delegate={"name": "a"})),
        ingressroute("a", **tcp(delegate={"name": "b"})),
        ingressroute("b", **tcp(delegate={"name": "a"})),
    )
    cycle = "tcpproxy creates a delegation cycle: shop/site -> shop/a -> shop/b -> shop/a"
    assert [world.description(name) for name in ("site", "a", "b")] == ["", "", cycle]


def test_the_first_of_several_mistakes_is_told() -> None:
    site = ingressroute("site", "shop.test", virtualhost=PASSTHROUGH, **tcp("none"), routes=[prefix("/", "gone")])
    assert World(*SERVICES, site).description("site") == "tcpproxy: service shop/none/80: not found"


def test_a_child_may_serve_routes_and_connections() -> None:
    site = ingressroute(
        "site",
        "shop.test",
        virtualhost=PASSTHROUGH,
        **tcp(delegate={"name": "child"}),
        routes=[delegate("/", "child")],
    )
    world = World(*SERVICES, site, ingressroute("child", **tcp("db"), routes=[prefix("/", "web")]))
    assert (backends(world), len(world.routes("shop.test"))) == (["shop/db"], 1)


def test_beside_other_kinds() -> None:
    """Connections are an IngressRoute's before they are an Ingress's, and a proxy's with TLS before both."""
    site = ingressroute("site", "shop.test", virtualhost=PASSTHROUGH, **tcp("db"))
    world = World(*SERVICES, serving("cert"), site, ingress("site", "shop.test", tls="cert"))
    assert (backends(world), secure(world).secret, secure(world).routes) == (["shop/db"], None, ())
    world.apply(root("site", "shop.test"))
    assert (backends(world), secure(world).secret) == (["shop/db"], None)
    world.apply(root("site", "shop.test", virtualhost=TERMINATED, routes=[to("web")]))
    assert (secure(world).tcp_proxy, secure(world).secret, len(secure(world).routes)) == (None, Ref("shop", "cert"), 1)
