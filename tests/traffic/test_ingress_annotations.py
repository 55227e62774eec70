"""What the annotations of an Ingress do to requests (operations.md §5.4, §12.7)."""

from __future__ import annotations

import ssl
import time

import pytest
from tests.traffic.test_policies_ingress import answer, rule
from tests.traffic.test_policies_tls import negotiated
from tests.traffic.world import World

from contour.testing.clients import Http1, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("ingress-annotations")]

P, OLD = "projectcontour.io/", "contour.heptio.com/"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def site(world: World, annotations: dict[str, str], tls: str = "") -> None:
    spec = rule("site.test", ("/", "Prefix", "web"))
    world.ingress(
        "shop/site", f"tls: [{{hosts: [site.test], secretName: {tls}}}]\n{spec}" if tls else spec, annotations
    )


@pytest.mark.parametrize("name", [f"{P}response-timeout", f"{P}request-timeout", f"{OLD}request-timeout"])
def test_response_timeout(world: World, name: str) -> None:
    world.service("shop/web")
    site(world, {name: "100ms"})
    start = time.monotonic()
    assert world.get("site.test", "/slow/5000").status == 504
    assert 0.09 < time.monotonic() - start < 4
    site(world, {name: "infinity"})
    assert world.get("site.test", "/slow/300").status == 200


@pytest.mark.parametrize(
    ("annotations", "failures", "status", "tries"),
    [
        ({f"{P}num-retries": "3"}, 1, 503, 1),  # no condition, no retry
        ({f"{P}retry-on": "5xx"}, 1, 200, 2),
        ({f"{P}retry-on": "5xx"}, 2, 503, 2),
        ({f"{P}retry-on": "5xx", f"{P}num-retries": "3"}, 3, 200, 4),
        ({f"{P}retry-on": "5xx", f"{P}num-retries": "-1"}, 1, 503, 1),
        ({f"{P}retry-on": "reset", f"{P}num-retries": "3"}, 1, 503, 1),
        ({f"{OLD}retry-on": "5xx", f"{OLD}num-retries": "2"}, 2, 200, 3),
    ],
)
def test_retries(world: World, annotations: dict[str, str], failures: int, status: int, tries: int) -> None:
    backend = world.service("shop/web")
    site(world, annotations)
    backend.planned.extend(["/status/503"] * failures)
    assert world.get("site.test").status == status
    assert len(backend.seen) == tries


def test_time_for_each_try(world: World) -> None:
    backend = world.service("shop/web")
    site(world, {f"{P}retry-on": "5xx", f"{P}per-try-timeout": "100ms"})
    backend.planned.append("/slow/5000")
    assert (world.get("site.test").status, len(backend.seen)) == (200, 2)


@pytest.mark.parametrize("prefix", [P, OLD])
def test_websockets_where_they_are_allowed(world: World, prefix: str) -> None:
    world.service("shop/web")
    paths = (("/chat", "Prefix", "web"), ("/", "Prefix", "web"))
    world.ingress("shop/site", rule("site.test", *paths), {f"{prefix}websocket-routes": "/chat"})
    with Http1(connect(world.http)) as client:
        assert client.websocket("site.test", "/chat/room").body == b"hello"
    with Http1(connect(world.http)) as client:
        assert client.websocket("site.test", "/other").status == 403


def test_plain_requests_are_not_answered(world: World) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    site(world, {"kubernetes.io/ingress.allow-http": "false"}, tls="tls")
    assert (answer(world, "/"), world.get_tls("site.test").backend) == (404, "shop/web")
    site(
        world,
        {"kubernetes.io/ingress.allow-http": "false", "ingress.kubernetes.io/force-ssl-redirect": "true"},
        tls="tls",
    )
    assert world.get("site.test", "/x").header("location") == "https://site.test/x"
    assert world.get_tls("site.test").backend == "shop/web"


def spoken(world: World, version: ssl.TLSVersion) -> str | None:
    """As `negotiated`; a name without a certificate has no chain at all, so that the connection is reset."""
    try:
        return negotiated(world, "site.test", version)
    except ConnectionResetError:
        return None


@pytest.mark.parametrize(
    ("annotations", "versions"),
    [
        ({}, ["TLSv1.2", "TLSv1.3"]),
        ({f"{P}tls-minimum-protocol-version": "1.3"}, [None, "TLSv1.3"]),
        ({f"{OLD}tls-minimum-protocol-version": "1.3"}, [None, "TLSv1.3"]),
        ({f"{P}tls-maximum-protocol-version": "1.2"}, ["TLSv1.2", None]),
        ({f"{P}tls-minimum-protocol-version": "1.3", f"{P}tls-maximum-protocol-version": "1.2"}, [None, None]),
    ],
)
def test_tls_versions(world: World, annotations: dict[str, str], versions: list[str | None]) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    site(world, annotations, tls="tls")
    assert [spoken(world, version) for version in (V12, V13)] == versions
    assert answer(world, "/") == "web"


def test_a_certificate_of_another_namespace(world: World) -> None:
    world.service("shop/web")
    world.certificate("vault/tls", "site.test")
    site(world, {f"{P}tls-cert-namespace": "vault"}, tls="tls")
    assert spoken(world, V13) is None
    for version in ("contour.heptio.com/v1beta1", "projectcontour.io/v1"):
        grant = f"""
apiVersion: {version}
kind: TLSCertificateDelegation
metadata: {{namespace: vault, name: grant}}
spec: {{delegations: [{{secretName: tls, targetNamespaces: [shop]}}]}}
"""
        world.apply(grant)
        context = world.authority.client_context()
        assert world.get_tls("site.test", context=context).backend == "shop/web"
        kind = "TLSCertificateDelegation"
        world.delete(f"{kind}.contour.heptio.com" if version.startswith("contour") else kind, "vault/grant")
        assert spoken(world, V13) is None


@pytest.mark.parametrize("prefix", [P, OLD])
def test_annotations_of_a_service(world: World, prefix: str) -> None:
    world.service("shop/web", annotations={f"{prefix}upstream-protocol.h2c": "80"})
    site(world, {})
    assert world.get("site.test").seen.protocol == "HTTP/2"


def test_a_regular_expression(world: World) -> None:
    world.service("shop/web")
    paths = ("/v[0-9]+/items/.*", "ImplementationSpecific", "web")
    world.ingress("shop/site", rule("site.test", paths), {f"{P}websocket-routes": "/v[0-9]+/items/.*"})
    answers = {"/v1/items/2": "web", "/v12/items/": "web", "/v/items/2": 404, "/v1/items": 404, "/x/v1/items/2": 404}
    assert {path: answer(world, path) for path in answers} == answers
    with Http1(connect(world.http)) as client:
        assert client.websocket("site.test", "/v1/items/x").body == b"hello"
