"""What an Ingress serves (operations.md §5), and what becomes of it beside an HTTPProxy for the same host."""

from __future__ import annotations

import pytest
from tests.traffic.world import World, quoted

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-ingress")]


def rule(host: str, *paths: tuple[str, str, str]) -> str:
    """A spec with one rule: path, path type, service."""
    entries = ", ".join(
        f"{{path: {quoted(path)}, pathType: {kind}, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}"
        for path, kind, service in paths
    )
    return f"rules: [{{host: {quoted(host)}, http: {{paths: [{entries}]}}}}]"


def answer(world: World, path: str, host: str = "site.test") -> str | int:
    response = world.get(host, path)
    return response.backend.rpartition("/")[2] if response.backend else response.status


def test_path_types(world: World) -> None:
    for name in ("prefix", "deep", "exact", "regex", "plain"):
        world.service(f"shop/{name}")
    world.ingress(
        "shop/site",
        rule(
            "site.test",
            ("/foo", "Prefix", "prefix"),
            ("/foo/deep/", "Prefix", "deep"),
            ("/foo/exact", "Exact", "exact"),
            ("/v[0-9]+/.*", "ImplementationSpecific", "regex"),
            ("/plain", "ImplementationSpecific", "plain"),
        ),
    )
    answers: dict[str, str | int] = {
        "/foo": "prefix",
        "/foo?q": "prefix",
        "/foo/": "prefix",
        "/foo/x": "prefix",
        "/foobar": 404,
        "/foo/deep": "deep",
        "/foo/deep/x": "deep",
        "/foo/deeper": "prefix",
        "/foo/exact": "exact",
        "/foo/exact/": "prefix",
        "/v12/x": "regex",
        "/v12": 404,
        "/x/v12/x": 404,
        "/plain": "plain",
        "/plainer": "plain",
        "/": 404,
    }
    assert {path: answer(world, path) for path in answers} == answers


def test_default_backend_and_rules_without_a_host(world: World) -> None:
    for name in ("default", "any", "site"):
        world.service(f"shop/{name}")
    world.ingress("shop/default", "defaultBackend: {service: {name: default, port: {name: http}}}")
    world.ingress("shop/any", rule("", ("/any", "Prefix", "any")))
    world.ingress("shop/site", rule("site.test", ("/site", "Prefix", "site")))
    assert answer(world, "/", "whoever.test") == "default"
    assert answer(world, "/any", "whoever.test") == "any"
    assert answer(world, "/any/x", "1.2.3.4:8080") == "any"
    assert answer(world, "/site") == "site"
    assert answer(world, "/any") == 404  # a host of its own answers for itself
    assert answer(world, "/", "base.test") == 200
    world.delete("Ingress", "shop/default")
    assert answer(world, "/", "whoever.test") == 404


def test_a_wildcard_is_one_label(world: World) -> None:
    world.service("shop/web")
    world.service("shop/exact")
    world.ingress("shop/wild", rule("*.wild.test", ("/", "Prefix", "web")))
    world.ingress("shop/exact", rule("one.wild.test", ("/", "Prefix", "exact")))
    hosts = {
        "a.wild.test": "web",
        "A.Wild.test:80": "web",
        "one.wild.test": "exact",
        "b.a.wild.test": 404,
        "wild.test": 404,
        "awild.test": 404,
    }
    assert {host: answer(world, "/", host) for host in hosts} == hosts


def test_a_missing_service_costs_its_own_path(world: World) -> None:
    world.service("shop/web")
    world.ingress("shop/site", rule("site.test", ("/gone", "Prefix", "gone"), ("/web", "Prefix", "web")))
    assert (answer(world, "/gone"), answer(world, "/web")) == (404, "web")


def test_tls_and_redirects(world: World) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "plain.test", "forced.test", "secure.test")
    for name, extra in (
        ("plain", {}),
        ("forced", {"ingress.kubernetes.io/force-ssl-redirect": "true"}),
    ):
        spec = rule(f"{name}.test", ("/", "Prefix", "web"))
        world.ingress(f"shop/{name}", f"tls: [{{hosts: [{name}.test], secretName: tls}}]\n{spec}", extra)
    for name in ("plain", "forced"):
        assert world.get_tls(f"{name}.test").backend == "shop/web"
    assert answer(world, "/", "plain.test") == "web"  # unlike an HTTPProxy's
    forced = world.get("forced.test", "/x?q")
    assert (forced.status, forced.header("location")) == (301, "https://forced.test/x?q")


def test_a_proxy_and_an_ingress_share_a_host(world: World) -> None:
    world.service("shop/ingress")
    world.service("shop/proxy")
    world.certificate("shop/tls", "site.test")
    paths = (("/both", "ImplementationSpecific", "ingress"), ("/ingress", "ImplementationSpecific", "ingress"))
    world.ingress("shop/site", f"tls: [{{hosts: [site.test], secretName: tls}}]\n{rule('site.test', *paths)}")
    assert answer(world, "/both") == "ingress"
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test, tls: {secretName: tls, minimumProtocolVersion: "1.3"}}
        routes:
        - conditions: [{prefix: /both}]
          permitInsecure: true
          services: [{name: proxy, port: 80}]
        - conditions: [{prefix: /proxy}]
          permitInsecure: true
          services: [{name: proxy, port: 80}]
        """,
    )
    wanted = {"/both": "proxy", "/proxy": "proxy", "/ingress": "ingress"}
    assert {path: answer(world, path) for path in wanted} == wanted
    secure = {path: (world.get_tls("site.test", path).backend or "").rpartition("/")[2] for path in wanted}
    assert secure == wanted
    world.delete("HTTPProxy", "shop/site")
    assert [answer(world, path) for path in wanted] == ["ingress", 404, "ingress"]


@pytest.mark.parametrize(
    ("annotations", "field", "served"),
    [
        ({}, None, True),
        ({"kubernetes.io/ingress.class": "contour"}, None, True),
        ({}, "contour", True),
        ({"kubernetes.io/ingress.class": "nginx"}, None, False),
        ({}, "nginx", False),
        ({"projectcontour.io/ingress.class": "contour"}, "nginx", True),
        ({"projectcontour.io/ingress.class": "nginx", "kubernetes.io/ingress.class": "contour"}, None, False),
    ],
)
def test_ingress_classes(world: World, annotations: dict[str, str], field: str | None, served: bool) -> None:
    world.service("shop/web")
    head = f"ingressClassName: {field}\n" if field else ""
    world.ingress("shop/site", head + rule("site.test", ("/", "Prefix", "web")), annotations)
    assert answer(world, "/") == ("web" if served else 404)
