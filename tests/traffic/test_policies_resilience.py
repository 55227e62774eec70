"""Time limits, retries, affinity, WebSockets, health checks, endpoints that come and go (httpproxy.md §2.19, §4.12)."""

from __future__ import annotations

import time

import pytest
from tests.traffic.world import World, until

from contour.testing.clients import Http1, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-resilience")]


def site(world: World, route: str, services: str = "[{name: web, port: 80}]") -> None:
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test}}
        routes:
        - services: {services}
          {route}
        """,
    )


# --- time limits --------------------------------------------------------------------------------------------------


def test_response_timeout(world: World) -> None:
    world.service("shop/web")
    site(world, "timeoutPolicy: {response: 100ms}")
    start = time.monotonic()
    assert world.get("site.test", "/slow/5000").status == 504
    assert 0.09 < time.monotonic() - start < 4
    assert world.get("site.test", "/slow/1").status == 200


@pytest.mark.parametrize("limit", ["infinity", "5s"])
def test_no_response_timeout(world: World, limit: str) -> None:
    world.service("shop/web")
    site(world, f"timeoutPolicy: {{response: {limit}}}")
    assert world.get("site.test", "/slow/300").status == 200


def test_idle_timeout_of_the_stream(world: World) -> None:
    world.service("shop/web")
    site(world, "timeoutPolicy: {idle: 100ms, response: infinity}")
    assert world.get("site.test", "/slow/5000").status == 504
    assert world.get("site.test", "/slow/1").status == 200


def test_idle_timeout_of_the_connection(world: World) -> None:
    world.service("shop/web")
    site(world, "timeoutPolicy: {idleConnection: 50ms}")
    name = "cluster.shop_web_80.upstream_cx_idle_timeout"
    assert world.get("site.test").status == 200
    until(lambda: world.envoys[0].stats(f"^{name}$").get(name) == 1)
    assert world.get("site.test").status == 200


# --- retries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "failures", "status", "tries"),
    [
        ("{}", 1, 200, 2),  # once if nothing is said, for 5xx
        ("{}", 2, 503, 2),
        ("{count: 3}", 3, 200, 4),
        ("{count: 3}", 4, 503, 4),
        ("{count: 0}", 1, 200, 2),
        ("{count: -1}", 1, 503, 1),
        ("{count: 2, retryOn: [gateway-error]}", 2, 200, 3),
        ("{count: 2, retryOn: [retriable-4xx]}", 1, 503, 1),
        ("{count: 2, retryOn: [retriable-status-codes], retriableStatusCodes: [503]}", 2, 200, 3),
        ("{count: 2, retryOn: [retriable-status-codes], retriableStatusCodes: [500]}", 2, 503, 1),
    ],
)
def test_retries(world: World, policy: str, failures: int, status: int, tries: int) -> None:
    backend = world.service("shop/web")
    site(world, f"retryPolicy: {policy}")
    backend.planned.extend(["/status/503"] * failures)
    assert world.get("site.test").status == status
    assert len(backend.seen) == tries


def test_per_try_timeout(world: World) -> None:
    backend = world.service("shop/web")
    site(world, "retryPolicy: {count: 2, perTryTimeout: 100ms}")
    backend.planned.extend(["/slow/3000", "/slow/3000"])
    start = time.monotonic()
    assert world.get("site.test").status == 200
    assert time.monotonic() - start < 2
    assert len(backend.seen) == 3


def test_no_retry_without_a_policy(world: World) -> None:
    backend = world.service("shop/web")
    site(world, "")
    backend.planned.append("/status/503")
    assert world.get("site.test").status == 503
    assert len(backend.seen) == 1


# --- load balancing -----------------------------------------------------------------------------------------------


def test_cookie_affinity(world: World) -> None:
    world.service("shop/web", backends=[world.backend(name) for name in ("one", "two", "three", "four")])
    site(world, "loadBalancerPolicy: {strategy: Cookie}")
    homes = set()
    for _ in range(30):
        first = world.get("site.test")
        cookie = first.header("set-cookie") or ""
        assert cookie.startswith("X-Contour-Session-Affinity=")
        assert "Path=/" in cookie
        assert "Max-Age" not in cookie  # it lives as long as the browser's session
        sticky = [world.get("site.test", "/", [("cookie", cookie.split(";")[0])]) for _ in range(4)]
        assert {answer.backend for answer in sticky} == {first.backend}
        assert not any(answer.header("set-cookie") for answer in sticky)
        homes.add(first.backend)
    assert len(homes) > 1


def test_request_hash_affinity(world: World) -> None:
    world.service("shop/web", backends=[world.backend(name) for name in ("one", "two", "three", "four")])
    site(
        world,
        "loadBalancerPolicy: {strategy: RequestHash, requestHashPolicies:"
        " [{terminal: true, headerHashOptions: {headerName: x-user}},"
        " {queryParameterHashOptions: {parameterName: user}}]}",
    )

    def home(path: str, *headers: tuple[str, str]) -> set[str | None]:
        return {world.get("site.test", path, headers).backend for _ in range(5)}

    by_header = [home("/", ("x-user", str(i))) for i in range(20)]
    by_query = [home(f"/?user={i}") for i in range(20)]
    for homes in (by_header, by_query):
        assert all(len(one) == 1 for one in homes)
        assert len(set.union(*homes)) > 1
    assert len(home("/?user=1", ("x-user", "1")) | home("/?user=2", ("x-user", "1"))) == 1  # the header is terminal


@pytest.mark.parametrize("strategy", ["RoundRobin", "WeightedLeastRequest", "Random", "Unheard-of"])
def test_strategies_reach_all(world: World, strategy: str) -> None:
    world.service("shop/web", backends=[world.backend(name) for name in ("one", "two", "three")])
    site(world, f"loadBalancerPolicy: {{strategy: {strategy}}}")
    with world.session() as session:
        order = [session.get("site.test").backend for _ in range(90)]
    assert set(order) == {"one", "two", "three"}
    in_turn = order[:87] == order[3:]
    assert in_turn == (strategy in ("RoundRobin", "Unheard-of"))


# --- WebSockets ---------------------------------------------------------------------------------------------------


def test_websockets(world: World) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test, tls: {secretName: tls}}
        routes:
        - conditions: [{prefix: /ws}]
          enableWebsockets: true
          permitInsecure: true
          services: [{name: web, port: 80}]
        - conditions: [{prefix: /no}]
          permitInsecure: true
          services: [{name: web, port: 80}]
        """,
    )
    for address, sni in ((world.http, None), (world.https, "site.test")):
        for path, status in (("/ws", 101), ("/no", 403)):
            with Http1(connect(address, sni=sni)) as client:
                answer = client.websocket("site.test", path, text="over")
                assert answer.status == status
                if status == 101:
                    assert (answer.backend, answer.body) == ("shop/web", b"over")


# --- health checks ------------------------------------------------------------------------------------------------


def test_a_sick_endpoint_gets_no_traffic(world: World) -> None:
    good, sick = world.backend("good"), world.backend("sick")
    sick.health = 500
    world.service("shop/web", backends=[good, sick])
    site(
        world,
        "healthCheckPolicy: {path: /healthy, intervalSeconds: 1, timeoutSeconds: 1, unhealthyThresholdCount: 1,"
        " healthyThresholdCount: 1}",
    )
    with world.session() as session:
        assert {session.get("site.test").backend for _ in range(40)} == {"good"}
    check = next(seen for seen in good.seen if seen.path == "/healthy")
    assert check.header("host") == "contour-envoy-healthcheck"
    # Until a cluster has had traffic Envoy looks at it every 60 s only: an endpoint that comes now is looked at more often.
    third = world.backend("third")
    third.health = 500
    world.endpoints("shop/web", good, sick, third)
    until(lambda: third.seen)
    with world.session() as session:
        assert {session.get("site.test").backend for _ in range(40)} == {"good"}
        third.health = 200
        until(lambda: session.get("site.test").backend == "third")


@pytest.mark.parametrize(
    ("statuses", "answers"), [("[{start: 418, end: 419}]", 418), ("[{start: 200, end: 201}]", 200)]
)
def test_expected_statuses(world: World, statuses: str, answers: int) -> None:
    good, sick = world.backend("good"), world.backend("sick")
    good.health, sick.health = answers, {418: 200, 200: 418}[answers]
    world.service("shop/web", backends=[good, sick])
    site(
        world,
        f"healthCheckPolicy: {{path: /healthy, host: checks.test, timeoutSeconds: 1, expectedStatuses: {statuses}}}",
    )
    with world.session() as session:
        assert {session.get("site.test").backend for _ in range(40)} == {"good"}
    assert next(seen for seen in good.seen if seen.path == "/healthy").header("host") == "checks.test"


def test_with_no_healthy_endpoint_there_is_no_panic(world: World) -> None:
    sick = world.service("shop/web")
    sick.health = 500
    site(world, "healthCheckPolicy: {path: /healthy, timeoutSeconds: 1}")
    assert world.get("site.test").status == 503
    assert {seen.path for seen in sick.seen} == {"/healthy"}


# --- endpoints ----------------------------------------------------------------------------------------------------


def test_endpoints_come_and_go(world: World) -> None:
    one, two = world.backend("one"), world.backend("two")
    world.service("shop/web", backends=[one, two])
    site(world, "")

    def reached() -> set[str | int]:
        with world.session() as session:
            answers = [session.get("site.test") for _ in range(20)]
        return {answer.backend or answer.status for answer in answers}

    assert reached() == {"one", "two"}
    world.endpoints("shop/web", one, two, ready=lambda backend: backend is one)
    assert reached() == {"one"}
    world.endpoints("shop/web", one, two)
    assert reached() == {"one", "two"}
    world.endpoints("shop/web", two)
    assert reached() == {"two"}
    world.endpoints("shop/web")
    assert reached() == {503}
    world.endpoints("shop/web", one)
    assert reached() == {"one"}
    world.endpoints("shop/web", one, ready=lambda _: False)
    assert reached() == {503}


def test_endpoints_of_the_older_kind(world: World) -> None:
    backend = world.service("shop/web")
    world.endpoints("shop/web")
    site(world, "")
    assert world.get("site.test").status == 503
    world.apply(
        f"""
apiVersion: v1
kind: Endpoints
metadata: {{name: web, namespace: shop}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: http, port: {backend.port}, protocol: TCP}}]}}]
"""
    )
    assert world.get("site.test").backend == "shop/web"
