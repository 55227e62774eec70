"""HTTP health checks: how endpoints are asked, over every protocol, and on another port (httpproxy.md §4.5, §4.12)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.traffic.world import World, until

from contour.testing import clients
from contour.testing.backends import Backend, Seen, server_context

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-health")]


@pytest.fixture(scope="module")
def running(running: World) -> World:
    """With an Envoy of each shape."""
    running.envoy(shape="classic")
    return running


def site(world: World, service: str, policy: str = "path: /healthy, timeoutSeconds: 2") -> None:
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test, tls: {{secretName: tls}}}}
        routes:
        - permitInsecure: true
          services: [{service}]
          healthCheckPolicy: {{{policy}}}
        """,
    )


def check_of(backend: Backend, host: str = "contour-envoy-healthcheck", *, newest: bool = False) -> Seen:
    """One of this host: the checks of the policy before end when the new ones have begun."""

    def found() -> list[Seen]:
        return [seen for seen in backend.seen if seen.path == "/healthy" and seen.header("host") == host]

    until(lambda: bool(found()))
    return found()[-1 if newest else 0]


def statuses(world: World) -> set[int]:
    """What both Envoys answer, over HTTP and TLS."""
    return {
        status
        for envoy in world.envoys
        for status in (
            clients.get(world.address("ingress_http", envoy), "site.test").status,
            clients.get_tls(world.opened(envoy, "site.test"), "site.test").status,
        )
    }


@pytest.mark.parametrize("protocol", ["", "h2c", "tls", "h2"])
def test_in_the_protocol_of_the_traffic(world: World, tmp_path: Path, protocol: str) -> None:
    kwargs = {}
    if protocol in ("tls", "h2"):
        pair = world.authority.sign("web.internal")
        alpn = ("h2",) if protocol == "h2" else ()
        kwargs["tls"] = server_context(pair.certificate, pair.private_key, str(tmp_path), alpn=alpn)
    good, sick = world.backend("good", **kwargs), world.backend("sick", **kwargs)
    sick.health = 503
    world.service("shop/web", backends=[good, sick], protocol=protocol)
    site(world, "{name: web, port: 80}")
    for backend in (good, sick):
        wanted = "HTTP/2" if protocol in ("h2", "h2c") else "HTTP/1.1"
        until(lambda backend=backend, wanted=wanted: check_of(backend, newest=True).protocol == wanted)  # type: ignore[misc]
        check = check_of(backend, newest=True)
        assert check.method == "GET"
        assert (check.header("user-agent") or "").startswith("Envoy/HC")
    until(lambda: statuses(world) == {200})
    for _ in range(10):
        assert statuses(world) == {200}
    assert "/" not in {seen.path for seen in sick.seen}


def test_another_port_of_the_service(world: World) -> None:
    """The port that is asked is not the port of the traffic: that one may be as well as it likes."""
    web, health = world.backend("web"), world.backend("health")
    health.health = 503
    world.apply(
        f"""
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{ports: [{{name: http, port: 80}}, {{name: health, port: 81}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-0, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: {web.port}, protocol: TCP}}, {{name: health, port: {health.port}, protocol: TCP}}]
endpoints: [{{addresses: [127.0.0.1]}}]
"""
    )
    interval = "intervalSeconds: 1, unhealthyThresholdCount: 1, healthyThresholdCount: 1"
    site(world, "{name: web, port: 80, healthPort: 81}", f"path: /healthy, {interval}")
    check_of(health)
    until(lambda: statuses(world) == {503})
    assert web.seen == []
    # Without the policy's `healthPort` the endpoint itself is asked.
    site(world, "{name: web, port: 80}", f"path: /healthy, host: other.test, {interval}")
    check_of(web, "other.test")
    until(lambda: statuses(world) == {200})


@pytest.mark.parametrize(("status", "healthy"), [(199, False), (200, True), (204, False), (399, False), (499, True)])
def test_ranges_are_half_open(world: World, status: int, healthy: bool) -> None:
    web = world.service("shop/web")
    web.health = status
    statuses_ = "[{start: 200, end: 201}, {start: 400, end: 500}]"
    site(world, "{name: web, port: 80}", f"path: /healthy, timeoutSeconds: 2, expectedStatuses: {statuses_}")
    check_of(web)
    until(lambda: statuses(world) == {200 if healthy else 503})


def test_an_endpoint_that_says_nothing(world: World) -> None:
    """It is sick when it has not answered in time."""
    web = world.service("shop/web")
    site(world, "{name: web, port: 80}", "path: /slow/20000, timeoutSeconds: 2")
    until(lambda: any(seen.path == "/slow/20000" for seen in web.seen))
    until(lambda: statuses(world) == {503})
    assert "/" not in {seen.path for seen in web.seen}
