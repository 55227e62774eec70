"""HTTPProxies as their first versions had them, answered by a real Envoy (operations.md §12.8)."""

from __future__ import annotations

import pytest
from tests.traffic.world import World

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("early-httpproxy")]


def answer(world: World, path: str = "/", headers: tuple[tuple[str, str], ...] = ()) -> str | int:
    response = world.get("site.test", path, headers)
    return response.backend or response.status


def test_a_rewritten_prefix_of_the_first_version(world: World) -> None:
    world.service("shop/web")
    world.apply(
        """
apiVersion: projectcontour.io/v1alpha1
kind: HTTPProxy
metadata: {namespace: shop, name: site}
spec:
  virtualhost: {fqdn: site.test}
  routes:
  - conditions: [{prefix: /old}]
    prefixRewrite: /new
    services: [{name: web, port: 80}]
"""
    )
    assert world.get("site.test", "/old/x?q").seen.path == "/new/x?q"
    assert answer(world, "/other") == 404


def test_conditions_are_a_list_of_single_tests(world: World) -> None:
    """Prefixes are put together from root to route, slashes do not double; headers must all hold, the first word of an
    item counts."""
    for name in ("shop/web", "team/web"):
        world.service(name)
    world.proxy(
        "team/child",
        """
        routes:
        - conditions:
          - prefix: /v1/
          - header: {name: x-tenant, present: true}
          - header: {name: x-tenant, notexact: blue}
          - header: {name: x-kind, contains: a}
          - header: {name: x-kind, notcontains: b}
          services: [{name: web, port: 80}]
        """,
        valid=False,  # nobody includes it yet
    )
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        includes: [{name: child, namespace: team, conditions: [{prefix: /app/}, {header: {name: x-in, exact: "yes"}}]}]
        routes: [{services: [{name: web, port: 80}]}]
        """,
    )
    right = (("x-in", "yes"), ("x-tenant", "red"), ("x-kind", "cat"))
    assert answer(world, "/app/v1/x", right) == "team/web"
    assert answer(world, "/app/v2/x", right) == "shop/web"
    for name, value in (("x-in", "no"), ("x-tenant", "blue"), ("x-kind", "dog"), ("x-kind", "cab")):
        assert answer(world, "/app/v1/x", tuple({**dict(right), name: value}.items())) == "shop/web"
    assert answer(world, "/app/v1/x", right[:1] + right[2:]) == "shop/web"


def test_header_policies_of_routes_and_services(world: World) -> None:
    world.service("shop/web")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - requestHeadersPolicy: {set: [{name: x-route, value: r}, {name: Host, value: other.test}], remove: [x-gone]}
          responseHeadersPolicy: {set: [{name: x-answer, value: a}], remove: [x-backend-gone]}
          services:
          - name: web
            port: 80
            requestHeadersPolicy: {set: [{name: x-service, value: s}]}
            responseHeadersPolicy: {set: [{name: x-of-service, value: o}]}
        """,
    )
    response = world.get("site.test", "/", [("x-gone", "g"), ("x-route", "mine")])
    seen = response.seen
    assert [seen.header(name) for name in ("x-route", "x-service", "x-gone", "host")] == ["r", "s", None, "other.test"]
    assert (response.header("x-answer"), response.header("x-of-service")) == ("a", "o")


@pytest.mark.parametrize("field", ["include", "includes"])
def test_connections_by_either_name_of_an_include(world: World, field: str) -> None:
    world.service("team/db")
    world.certificate("shop/tls", "site.test")
    world.proxy("team/child", "tcpproxy: {services: [{name: db, port: 80}]}", valid=False)
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test, tls: {{secretName: tls}}}}
        tcpproxy: {{{field}: {{name: child, namespace: team}}}}
        """,
    )
    context = world.authority.client_context()
    assert world.get_tls("site.test", context=context).backend == "team/db"
    assert world.errors("team/child") == []
