"""What the administrator says for all Ingresses and HTTPProxies: headers (operations.md §5.6), classes (§5.3), and how
names are looked up (§5.2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.test_policies_ingress import rule
from tests.traffic.world import World

from contour.control.settings import Flags, load

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-of-ingress")]

CONFIGURATION = """
enableExternalNameService: true
policy:
  applyToIngress: true
  request-headers:
    set:
      x-to: "%CONTOUR_NAMESPACE%/%CONTOUR_SERVICE_NAME%:%CONTOUR_SERVICE_PORT%"
      x-agent: "%REQ(User-Agent)% 50%"
      Host: default.test
    remove: [x-private]
  response-headers:
    set: {x-frame-options: deny}
    remove: [x-backend-secret]
"""
CLASSES = ["blue", "green"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("w"), settings=load(CONFIGURATION))
    try:
        world.envoy()
        yield world
    finally:
        world.close()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kind", ["Ingress", "HTTPProxy"])
def test_default_headers(world: World, kind: str, secure: bool) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    if kind == "Ingress":
        world.ingress(
            "shop/site",
            f"tls: [{{hosts: [site.test], secretName: tls}}]\n{rule('site.test', ('/', 'Prefix', 'web'))}",
        )
    else:
        route = "{permitInsecure: true, services: [{name: web, port: 80}]}"
        world.proxy("shop/site", f"virtualhost: {{fqdn: site.test, tls: {{secretName: tls}}}}\nroutes: [{route}]")
    sent = [("user-agent", "tests"), ("x-private", "p"), ("x-to", "mine"), ("x-other", "o")]
    get = world.get_tls if secure else world.get
    response = get("site.test", "/", sent)
    assert [response.seen.header(name) for name in ("x-to", "x-agent", "x-private", "x-other", "host")] == [
        *("shop/web:80", "tests 50%", None, "o", "default.test")
    ]
    assert response.header("x-frame-options") == "deny"


def test_a_service_of_a_proxy_has_the_last_word(world: World) -> None:
    world.service("shop/web")
    own = "requestHeadersPolicy: {set: [{name: x-to, value: own}, {name: Host, value: own.test}]}"
    service = (
        f"{{name: web, port: 80, {own}, responseHeadersPolicy: {{set: [{{name: x-frame-options, value: allow}}]}}}}"
    )
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{service}]}}]")
    response = world.get("site.test", "/", [("x-private", "p")])
    assert [response.seen.header(name) for name in ("x-to", "host", "x-private")] == ["own", "own.test", None]
    assert response.header("x-frame-options") == "allow"


def test_classes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """IngressClass objects decide nothing: neither a default, nor a controller, nor parameters."""
    world = World(tmp_path_factory.mktemp("c"), settings=load("", Flags(ingress_class_name=",".join(CLASSES))))
    try:
        world.service("shop/web")
        world.apply(
            """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: red, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: projectcontour.io/ingress-controller, parameters: {kind: Any, name: any}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: green}
spec: {controller: example.com/other, parameters: {kind: Any, name: missing}}
"""
        )
        for name in ("none", "contour", "red", *CLASSES):
            head = f"ingressClassName: {name}\n" if name != "none" else ""
            world.ingress(f"shop/{name}", head + rule(f"{name}.field.test", ("/", "Prefix", "web")))
            said = {"projectcontour.io/ingress.class": name, "kubernetes.io/ingress.class": "red"}
            world.ingress(f"shop/{name}-said", rule(f"{name}.said.test", ("/", "Prefix", "web")), said)
            route = "routes: [{services: [{name: web, port: 80}]}]"
            world.proxy(f"shop/{name}", f"{head}virtualhost: {{fqdn: {name}.proxy.test}}\n{route}")
        world.envoy()
        served = {
            f"{name}.{how}.test"
            for name in ("none", "contour", "red", *CLASSES)
            for how in ("field", "said", "proxy")
            if world.get(f"{name}.{how}.test").status == 200
        }
        assert served == {f"{name}.{how}.test" for name in CLASSES for how in ("field", "said", "proxy")}
    finally:
        world.close()
