"""Requests and connections to hosts of IngressRoutes (operations.md §12.3)."""

from __future__ import annotations

import ssl
import threading
import time

import pytest
from tests.traffic.test_policies_tls import negotiated
from tests.traffic.test_policies_upstream import tls_backend
from tests.traffic.world import World

from contour.testing.backends import server_context
from contour.testing.certs import Authority
from contour.testing.clients import Http1, certificate, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("ingressroute")]

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VALID = "valid IngressRoute"


def answer(world: World, path: str = "/", host: str = "site.test") -> str | int:
    response = world.get(host, path)
    return response.backend or response.status


def site(world: World, routes: str, virtualhost: str = "fqdn: site.test") -> None:
    world.ingressroute("shop/site", f"virtualhost: {{{virtualhost}}}\nroutes: [{routes}]")


def test_delegation_across_namespaces(world: World) -> None:
    for name in ("shop/web", "team/web", "other/web"):
        world.service(name)
    site(
        world, "{match: /, services: [{name: web, port: 80}]}, {match: /team, delegate: {name: team, namespace: team}}"
    )
    assert (answer(world), answer(world, "/team/x")) == ("shop/web", "shop/web")
    world.ingressroute(
        "team/team",
        """
        routes:
        - {match: /team, services: [{name: web, port: 80}]}
        - {match: /team/deep, delegate: {name: deep, namespace: other}}
        """,
    )
    world.ingressroute("other/deep", "routes: [{match: /team/deep/er, services: [{name: web, port: 80}]}]")
    wanted = {"/": "shop/web", "/team": "team/web", "/team/deep": "team/web", "/team/deep/er/x": "other/web"}
    assert {path: answer(world, path) for path in wanted} == wanted
    # A service of the same name, each in the namespace of the object that names it; and nobody takes more.
    world.ingressroute("other/deep", "routes: [{match: /, services: [{name: web, port: 80}]}]")
    assert answer(world, "/") == "shop/web"
    assert (
        world.description("other/deep") == 'the path prefix "/" does not match the parent\'s path prefix "/team/deep"'
    )
    world.delete("IngressRoute", "team/team")
    assert answer(world, "/team") == "shop/web"


def test_blue_and_green_by_delegation(world: World) -> None:
    """The switch is one edit of the root, and costs no request."""
    for name in ("blue", "green"):
        world.service(f"shop/{name}")
        world.ingressroute(f"shop/{name}", f"routes: [{{match: /, services: [{{name: {name}, port: 80}}]}}]")
    site(world, "{match: /, delegate: {name: blue}}")
    seen: list[str | int] = []
    done = threading.Event()

    def ask() -> None:
        with world.session() as session:
            while not done.is_set():
                response = session.get("site.test")
                seen.append(response.backend or response.status)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for turn in range(6):
            color = ("green", "blue")[turn % 2]
            site(world, f"{{match: /, delegate: {{name: {color}}}}}")
            assert answer(world) == f"shop/{color}"
    finally:
        done.set()
        asking.join()
    assert set(seen) == {"shop/blue", "shop/green"}
    unused = "this IngressRoute is not part of a delegation chain from a root IngressRoute"
    assert (world.description("shop/blue"), world.description("shop/green")) == (VALID, unused)


def test_weights(world: World) -> None:
    for name in ("blue", "green", "none"):
        world.service(f"shop/{name}")
    services = "{name: blue, port: 80, weight: 90}, {name: green, port: 80, weight: 10}, {name: none, port: 80}"
    site(world, f"{{match: /, services: [{services}]}}")
    answers = [answer(world) for _ in range(200)]
    assert answers.count("shop/blue") > 140
    assert answers.count("shop/green") > 5
    assert "shop/none" not in answers


def test_what_a_route_says(world: World) -> None:
    backend = world.service("shop/web")
    web = "services: [{name: web, port: 80}]"
    site(
        world,
        f"{{match: /, {web}}}, {{match: /old, prefixRewrite: /new, {web}}}, {{match: /chat, enableWebsockets: true, {web}}},"
        f"{{match: /slow, timeoutPolicy: {{request: 100ms}}, {web}}}, {{match: /status, retryPolicy: {{count: 2}}, {web}}}",
    )
    assert world.get("site.test", "/old/x?q").seen.path == "/new/x?q"
    with Http1(connect(world.http)) as client:
        assert client.websocket("site.test", "/chat").body == b"hello"
    with Http1(connect(world.http)) as client:
        assert client.websocket("site.test", "/").status == 403
    start = time.monotonic()
    assert world.get("site.test", "/slow/5000").status == 504
    assert time.monotonic() - start < 4
    before = len(backend.seen)
    assert world.get("site.test", "/status/503").status == 503
    assert len(backend.seen) - before == 3


def test_affinity(world: World) -> None:
    backends = [world.backend(name) for name in ("one", "two", "three")]
    world.service("shop/web", backends=backends)
    site(world, "{match: /, services: [{name: web, port: 80, strategy: Cookie}]}")
    first = world.get("site.test")
    cookie = (first.header("set-cookie") or "").partition(";")[0]
    assert cookie.startswith("X-Contour-Session-Affinity=")
    assert {world.get("site.test", headers=[("cookie", cookie)]).backend for _ in range(20)} == {first.backend}


def test_health_checks(world: World) -> None:
    backends = [world.backend(name) for name in ("well", "sick")]
    backends[1].health = 503
    world.service("shop/web", backends=backends)
    check = (
        "{path: /healthy, intervalSeconds: 1, timeoutSeconds: 1, unhealthyThresholdCount: 1, healthyThresholdCount: 1}"
    )
    site(world, f"{{match: /, services: [{{name: web, port: 80, healthCheck: {check}}}]}}")
    deadline = time.monotonic() + 10
    while {answer(world) for _ in range(10)} != {"well"}:
        assert time.monotonic() < deadline
    assert any(seen.header("host") == "contour-envoy-healthcheck" for seen in backends[0].seen)


@pytest.mark.parametrize(
    ("name", "authority", "expected"),
    [("web.internal", None, "shop/web"), ("other.internal", None, 503), ("web.internal", Authority("other"), 503)],
)
def test_certificates_of_backends(
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    authority: Authority | None,
    expected: str | int,
) -> None:
    world.secret("shop/ca", "Opaque", {"ca.crt": world.authority.certificate})
    backend = tls_backend(world, str(tmp_path_factory.mktemp("t")), name, authority=authority)
    world.service("shop/web", backends=[backend], protocol="tls")
    validated = "{name: web, port: 80, validation: {caSecret: ca, subjectName: web.internal}}"
    site(world, f"{{match: /, services: [{validated}]}}")
    assert answer(world) == expected


def test_tls_and_redirects(world: World) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    web = "services: [{name: web, port: 80}]"
    routes = f"{{match: /, {web}}}, {{match: /open, permitInsecure: true, {web}}}"
    site(world, routes, "fqdn: site.test, tls: {secretName: tls}")
    redirect = world.get("site.test", "/x")
    assert (redirect.status, redirect.header("location")) == (301, "https://site.test/x")
    assert answer(world, "/open") == "shop/web"
    context = world.authority.client_context()
    assert world.get_tls("site.test", "/x", context=context).backend == "shop/web"
    assert [negotiated(world, "site.test", version) for version in (V12, V13)] == ["TLSv1.2", "TLSv1.3"]
    site(world, routes, 'fqdn: site.test, tls: {secretName: tls, minimumProtocolVersion: "1.3"}')
    assert [negotiated(world, "site.test", version) for version in (V12, V13)] == [None, "TLSv1.3"]


def test_connections_are_forwarded(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Passed through: the backend has the certificate. Terminated: Envoy has, and forwards what is inside."""
    pair = Authority("backend").sign("site.test")
    directory = str(tmp_path_factory.mktemp("t"))
    tls = world.backend("shop/tls", tls=server_context(pair.certificate, pair.private_key, directory))
    world.service("shop/tls", backends=[tls])
    world.service("shop/plain")
    world.certificate("shop/cert", "site.test")
    routes = "routes: [{match: /, services: [{name: plain, port: 80}]}]"
    world.ingressroute(
        "shop/site",
        f"virtualhost: {{fqdn: site.test, tls: {{passthrough: true}}}}\ntcpproxy: {{delegate: {{name: child}}}}\n{routes}",
    )
    world.ingressroute("shop/child", "tcpproxy: {services: [{name: tls, port: 80}]}")
    shown = ssl.DER_cert_to_PEM_cert(certificate(world.https, "site.test"))
    assert shown.encode().split() == pair.certificate.split()
    assert world.get_tls("site.test", "/x").backend == "shop/tls"
    assert answer(world) == "shop/plain"
    world.ingressroute(
        "shop/site",
        "virtualhost: {fqdn: site.test, tls: {secretName: cert}}\n"
        f"tcpproxy: {{services: [{{name: plain, port: 80}}]}}\n{routes}",
    )
    context = world.authority.client_context()
    assert world.get_tls("site.test", "/x", context=context).seen.path == "/x"
    assert answer(world) == "shop/plain"


def test_beside_other_kinds(world: World) -> None:
    for name in ("ingress", "route", "proxy"):
        world.service(f"shop/{name}")
    backend = "{service: {name: ingress, port: {number: 80}}}"
    paths = ", ".join(f"{{path: /{one}, pathType: ImplementationSpecific, backend: {backend}}}" for one in "abc")
    world.ingress("shop/site", f"rules: [{{host: site.test, http: {{paths: [{paths}]}}}}]")
    site(world, ", ".join(f"{{match: /{one}, services: [{{name: route, port: 80}}]}}" for one in "bc"))
    proxy = (
        "virtualhost: {fqdn: site.test}\nroutes: [{conditions: [{prefix: /c}], services: [{name: proxy, port: 80}]}]"
    )
    world.proxy("shop/site", proxy)
    wanted = {"/a": "shop/ingress", "/b": "shop/route", "/c": "shop/proxy"}
    assert {path: answer(world, path) for path in wanted} == wanted
    world.delete("HTTPProxy", "shop/site")
    assert answer(world, "/c") == "shop/route"
    world.delete("IngressRoute", "shop/site")
    assert answer(world, "/c") == "shop/ingress"
