"""A real Envoy and tiny resources: order, refusals, first loads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest
from tests.xds.wired import serving

from contour.envoy import pb
from contour.envoy.bootstrap import Settings, bootstrap
from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    SCOPED_ROUTE,
    SECRET,
    Resource,
    resource,
)
from contour.testing import certs, clients
from contour.testing.backends import Backend
from contour.testing.envoy import Envoy
from contour.xds.hub import Hub
from contour.xds.node import Shape
from contour.xds.server import HubOf
from contour.xds.stream import Timing

pytestmark = pytest.mark.traffic

ADS = {"ads": {}, "resource_api_version": "V3"}
T = "type.googleapis.com/envoy."


def listener(name: str = "l", **fields) -> Resource:
    manager = {
        "@type": T + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "scoped_routes": {
            "name": "scopes",
            "rds_config_source": ADS,
            "scoped_rds": {"scoped_rds_config_source": ADS},
            "scope_key_builder": {
                "fragments": [{"header_value_extractor": {"name": ":authority", "element_separator": ":", "index": 0}}]
            },
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": T + "extensions.filters.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "hcm", "typed_config": manager}]}
    return resource(
        name,
        pb.from_dict(
            pb.Listener,
            {
                "name": name,
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                "filter_chains": [chain],
                **fields,
            },
        ),
    )


def scope(host: str, action: dict) -> Resource:
    message = {
        "name": host,
        "key": {"fragments": [{"string_key": host}]},
        "route_configuration": {
            "name": host,
            "virtual_hosts": [{"name": host, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}],
        },
    }
    return resource(host, pb.from_dict(pb.ScopedRouteConfiguration, message))


def direct(host: str, text: str = "ok") -> Resource:
    return scope(host, {"direct_response": {"status": 200, "body": {"inline_string": text}}})


def bad(host: str) -> Resource:
    action = {"match": {"safe_regex": {"regex": "("}}, "direct_response": {"status": 200}}
    return scope(host, action)


def eds_cluster(name: str, **fields) -> Resource:
    message = {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS, "service_name": f"eds/{name}"}}
    return resource(name, pb.from_dict(pb.Cluster, {**message, "connect_timeout": "2s", **fields}))


def endpoints(name: str, port: int) -> Resource:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    assignment = {
        "cluster_name": f"eds/{name}",
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }
    return resource(f"eds/{name}", pb.from_dict(pb.ClusterLoadAssignment, assignment))


def some(*items: Resource) -> dict[str, Resource]:
    return {r.name: r for r in items}


@contextlib.asynccontextmanager
async def running(hub: Hub | HubOf, directory, *, ready: bool = True, shape: Shape = "scoped"):
    async with serving(hub, directory):
        settings = Settings(
            shape=shape, xds_socket=str(directory / "xds.sock"), admin_address=str(directory / "admin.sock")
        )
        node = ("--service-node", "envoy-1", "--service-cluster", "test")
        envoy = Envoy(bootstrap(settings), directory=directory, arguments=node)
        envoy.launch()
        try:
            if ready:
                await asyncio.to_thread(envoy.wait_ready)
            yield envoy
        finally:
            await asyncio.to_thread(envoy.stop)


async def get(address, host: str) -> tuple[int, str]:
    answer = await asyncio.to_thread(clients.get, address, host)
    return answer.status, answer.body.decode()


async def until(condition, seconds: float = 10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("in vain")


async def test_a_backend_is_switched_under_load_without_a_failure(tmp_path):
    hub = Hub()
    with Backend("one") as one, Backend("two") as two:
        backends = (one, two)

        def generation(i: int):
            name = f"cluster-{i:03}"
            return (
                eds_cluster(name),
                endpoints(name, backends[i % 2].port),
                scope("h.test", {"route": {"cluster": name}}),
            )

        c, e, s = generation(0)
        hub.publish(
            {CLUSTER: (some(c), set()), ENDPOINTS: (some(e), set()), SCOPED_ROUTE: (some(s), set()),
             LISTENER: (some(listener()), set())}
        )  # fmt: skip
        async with running(hub, tmp_path) as envoy:
            address = envoy.address("l")
            statuses: list[int] = []
            stop = asyncio.Event()

            def load():
                with clients.Http1(clients.connect(address)) as client:
                    while not stop.is_set():
                        statuses.append(client.get("h.test").status)
                        time.sleep(0.002)

            loads = [asyncio.create_task(asyncio.to_thread(load)) for _ in range(2)]
            for i in range(1, 101):
                (c, e, s), (old_c, old_e, _) = generation(i), generation(i - 1)
                hub.publish(
                    {
                        CLUSTER: (some(c), {old_c.name}),
                        ENDPOINTS: (some(e), {old_e.name}),
                        SCOPED_ROUTE: (some(s), set()),
                    }
                )
                await asyncio.sleep(0.015)
            await until(lambda: asyncio.to_thread(lambda: "cluster-100" in envoy.admin("/clusters")))
            await until(lambda: asyncio.to_thread(lambda: "cluster-099" not in envoy.admin("/clusters")))
            stop.set()
            await asyncio.gather(*loads)
            assert set(statuses) == {200}
            assert len(statuses) > 500
            assert {s.backend for b in backends for s in b.seen} == {"one", "two"}
            stats = envoy.stats("cluster_manager.active_clusters|warming_clusters")
            assert stats["cluster_manager.warming_clusters"] == 0
            assert stats["cluster_manager.active_clusters"] == 3  # xDS, admin, the last


async def test_a_changed_cluster_does_not_stay_warming(tmp_path):
    hub = Hub()
    with Backend("one") as one:
        hub.publish(
            {CLUSTER: (some(eds_cluster("c")), set()), ENDPOINTS: (some(endpoints("c", one.port)), set()),
             SCOPED_ROUTE: (some(scope("h.test", {"route": {"cluster": "c"}})), set()),
             LISTENER: (some(listener()), set())}
        )  # fmt: skip
        async with running(hub, tmp_path) as envoy:
            for i in range(1, 4):
                hub.publish({CLUSTER: (some(eds_cluster("c", connect_timeout=f"{i + 2}s")), set())})

                def settled(i=i):
                    active = json.loads(envoy.admin("/config_dump"))["configs"]
                    dump = next(x for x in active if x["@type"].endswith("ClustersConfigDump"))
                    return not dump.get("dynamic_warming_clusters") and any(
                        x["cluster"].get("connect_timeout") == f"{i + 2}s" for x in dump["dynamic_active_clusters"]
                    )

                await until(lambda: asyncio.to_thread(settled), seconds=3)
                assert (await get(envoy.address("l"), "h.test"))[0] == 200


async def test_one_bad_scope_among_fifty(tmp_path):
    refused: list[tuple[str, str]] = []
    accepted: list[str] = []
    hub = Hub(
        on_refused=lambda _t, name, _v, text: refused.append((name, text)),
        on_accepted=lambda _t, name, _v: accepted.append(name),
    )
    scopes = some(*(direct(f"h{i}.test") for i in range(50) if i != 33), bad("h33.test"))
    hub.publish({SCOPED_ROUTE: (scopes, set()), LISTENER: (some(listener()), set())})
    async with running(hub, tmp_path) as envoy:
        await until(lambda: refused and len(accepted) == 50)
        assert [name for name, _ in refused] == ["h33.test"]
        assert "missing )" in refused[0][1]
        address = envoy.address("l")
        for i in range(50):
            assert (await get(address, f"h{i}.test"))[0] == (404 if i == 33 else 200), i
        # A host that works and is then broken keeps its last good version.
        hub.publish({SCOPED_ROUTE: (some(bad("h7.test"), direct("new.test")), set())})
        await until(lambda: len(refused) == 2)
        await until(lambda: "new.test" in accepted)
        assert (await get(address, "h7.test"))[0] == (await get(address, "new.test"))[0] == 200
        before = hub.counters.messages[SCOPED_ROUTE]
        hub.publish({SCOPED_ROUTE: (some(direct("h33.test", "mended")), set())})
        await until(lambda: "h33.test" in accepted)
        assert (await get(address, "h33.test")) == (200, "mended")
        assert hub.counters.messages[SCOPED_ROUTE] == before + 1


async def test_bad_clusters_and_listeners_are_named(tmp_path):
    refused: list[str] = []
    hub = Hub(on_refused=lambda _t, name, _v, text: refused.append(f"{name}: {text}"))
    broken = eds_cluster("broken", lb_policy="CLUSTER_PROVIDED")
    good = [eds_cluster(f"c{i}") for i in range(8)]
    wrong = listener("wrong", filter_chains=[{"filters": [{"name": "no such filter"}]}])
    hub.publish(
        {CLUSTER: (some(broken, *good), set()), ENDPOINTS: (some(*(endpoints(f"c{i}", 1) for i in range(8))), set()),
         LISTENER: (some(listener(), wrong), set()), SCOPED_ROUTE: (some(direct("h.test")), set())}
    )  # fmt: skip
    async with running(hub, tmp_path) as envoy:
        await until(lambda: len(refused) == 2)
        assert sorted(r.split(":")[0] for r in refused) == ["broken", "wrong"]
        assert (await get(envoy.address("l"), "h.test"))[0] == 200
        assert all(f"c{i}::" in envoy.admin("/clusters") for i in range(8))
        assert hub.counters.messages[CLUSTER] == 1
        assert hub.counters.messages[LISTENER] == 1


async def test_a_proto_rule_names_nobody_and_is_bisected(tmp_path):
    refused: list[tuple[str, str]] = []
    hub = Hub(on_refused=lambda _t, name, _v, text: refused.append((name, text)))
    broken = eds_cluster("broken", connect_timeout="-1s")
    hub.publish({CLUSTER: (some(*(eds_cluster(f"c{i}") for i in range(9)), broken), set()),
                 ENDPOINTS: (some(*(endpoints(f"c{i}", 1) for i in range(9))), set()),
                 LISTENER: (some(listener()), set()), SCOPED_ROUTE: (some(direct("h.test")), set())})  # fmt: skip
    async with running(hub, tmp_path) as envoy:
        await until(lambda: refused)
        assert [name for name, _ in refused] == ["broken"]
        assert "Expected positive duration" in refused[0][1]
        await until(lambda: asyncio.to_thread(lambda: all(f"c{i}::" in envoy.admin("/clusters") for i in range(9))))
        assert (await get(envoy.address("l"), "h.test"))[0] == 200


async def test_a_first_load_is_served_from_the_first_request_on(tmp_path):
    """Envoy listens after the first response of scopes: what is not in it would be 404 for a while."""
    hub = Hub()
    scopes = [direct(f"h{i}.test") for i in range(3000)]
    hub.publish({SCOPED_ROUTE: (some(*scopes), set()), LISTENER: (some(listener()), set())})
    async with running(hub, tmp_path, ready=False) as envoy:

        def last_host():
            while True:
                with contextlib.suppress(OSError, KeyError):
                    return clients.get(envoy.address("l"), "h2999.test").status

        assert await asyncio.to_thread(last_host) == 200


async def test_reconnecting_brings_nothing_that_envoy_has(tmp_path):
    def publish(hub: Hub) -> None:
        hub.publish(
            {CLUSTER: (some(eds_cluster("c")), set()), ENDPOINTS: (some(endpoints("c", 1)), set()),
             SCOPED_ROUTE: (some(direct("a.test"), direct("b.test")), set()), LISTENER: (some(listener()), set()),
             RUNTIME: (some(resource("dynamic", pb.Runtime(name="dynamic"))), set())}
        )  # fmt: skip

    first, second = Hub(), Hub()
    publish(first)
    publish(second)
    hubs = [first]
    async with running(lambda _node: hubs[-1], tmp_path) as envoy:
        assert (await get(envoy.address("l"), "a.test"))[0] == 200
        hubs.append(second)
        for session in tuple(first.sessions):
            session.end()
        await until(lambda: any(len(s.stream.channels) >= 4 for s in second.sessions))
        await asyncio.sleep(0.2)  # for messages that should not come
        assert {t: n for t, n in second.counters.resources.items() if n} == {}
        second.publish({SCOPED_ROUTE: (some(direct("a.test", "edited")), set())})
        await until(lambda: get(envoy.address("l"), "a.test"))
        assert (await get(envoy.address("l"), "a.test")) == (200, "edited")


async def test_a_secret_rotates_without_a_listener_update(tmp_path):
    authority = certs.Authority()

    def secret() -> Resource:
        pair = authority.sign("h.test")
        chain, key = ({"inline_string": part.decode()} for part in (pair.certificate, pair.private_key))
        return resource(
            "ns/s",
            pb.from_dict(
                pb.Secret, {"name": "ns/s", "tls_certificate": {"certificate_chain": chain, "private_key": key}}
            ),
        )

    plain = json.loads(pb.to_json(pb.Listener.FromString(listener().body)))
    chain = plain["filter_chains"][0]
    chain["transport_socket"] = {
        "name": "tls",
        "typed_config": {
            "@type": T + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "ns/s", "sds_config": ADS}]},
        },
    }
    hub = Hub()
    hub.publish({SECRET: (some(secret()), set()), SCOPED_ROUTE: (some(direct("h.test")), set()),
                 LISTENER: (some(listener(filter_chains=[chain])), set())})  # fmt: skip
    async with running(hub, tmp_path) as envoy:
        address = envoy.address("l")
        before = await asyncio.to_thread(clients.certificate, address, "h.test")
        hub.publish({SECRET: (some(secret()), set())})
        await until(lambda: asyncio.to_thread(lambda: clients.certificate(address, "h.test") != before))
        assert hub.counters.messages[LISTENER] == 1


async def test_health_checks_are_waited_for(tmp_path):
    hub = Hub(timing=Timing(warm=5))
    check = {"timeout": "1s", "interval": "5s", "healthy_threshold": 1, "unhealthy_threshold": 1,
             "no_traffic_interval": "5s", "http_health_check": {"path": "/slow/150"}}  # fmt: skip
    with Backend("one") as one:
        hub.publish({SCOPED_ROUTE: (some(direct("h.test")), set()), LISTENER: (some(listener()), set())})
        async with running(hub, tmp_path) as envoy:
            address = envoy.address("l")
            hub.publish(
                {CLUSTER: (some(eds_cluster("c", health_checks=[check], common_lb_config={"healthy_panic_threshold": {"value": 0}})), set()),
                 ENDPOINTS: (some(endpoints("c", one.port)), set()),
                 SCOPED_ROUTE: (some(scope("h.test", {"route": {"cluster": "c"}})), set())},
                health_holds={"c": 1.0},
            )  # fmt: skip
            seen = set()
            while not any(s.path == "/" for s in one.seen):
                seen.add((await get(address, "h.test"))[0])
            assert seen == {200}


GRPC = {
    "api_config_source": {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "contour", "authority": "contour"}}],
    },
    "resource_api_version": "V3",
}


def classic_listener() -> Resource:
    manager = {
        "@type": T + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "l",
        "rds": {"route_config_name": "ingress_http", "config_source": GRPC},
        "http_filters": [{"name": "router", "typed_config": {"@type": T + "extensions.filters.http.router.v3.Router"}}],
    }
    return listener(filter_chains=[{"filters": [{"name": "hcm", "typed_config": manager}]}])


def classic_routes(cluster: str, regex: str = "/.*") -> Resource:
    routes = [{"match": {"safe_regex": {"regex": regex}}, "route": {"cluster": cluster}}]
    host = {"name": "h", "domains": ["*"], "routes": routes}
    return resource(
        "ingress_http", pb.from_dict(pb.RouteConfiguration, {"name": "ingress_http", "virtual_hosts": [host]})
    )


async def test_contours_own_bootstrap(tmp_path):
    """State of the world on a stream for each resource: serves, switches, and a refusal blocks nothing and loops not."""
    refused: list[str] = []
    hub = Hub(on_refused=lambda _t, name, _v, _text: refused.append(name), timing=Timing(linger=0.5))
    source = {"eds_cluster_config": {"eds_config": GRPC, "service_name": "eds/a"}}
    with Backend("one") as one, Backend("two") as two:
        hub.publish(
            {CLUSTER: (some(eds_cluster("a", **source)), set()), ENDPOINTS: (some(endpoints("a", one.port)), set()),
             ROUTE: (some(classic_routes("a")), set()), LISTENER: (some(classic_listener()), set()),
             RUNTIME: (some(resource("dynamic", pb.Runtime(name="dynamic"))), set())}
        )  # fmt: skip
        async with running(hub, tmp_path, shape="classic") as envoy:
            assert {s.node.shape for s in hub.sessions} == {"classic"}
            address = envoy.address("l")
            assert (await get(address, "h.test"))[0] == 200
            assert one.seen
            hub.publish({ENDPOINTS: (some(endpoints("a", two.port)), set())})
            await until(lambda: _seen(two, address))
            hub.publish({ROUTE: (some(classic_routes("a", "(")), set())})
            await until(lambda: refused == ["ingress_http"])
            sent = hub.counters.messages[ROUTE]
            source["eds_cluster_config"]["service_name"] = "eds/b"
            hub.publish(
                {CLUSTER: (some(eds_cluster("b", **source)), set()), ENDPOINTS: (some(endpoints("b", one.port)), set())}
            )
            await until(lambda: asyncio.to_thread(lambda: "\nb::" in envoy.admin("/clusters")))
            assert hub.counters.messages[ROUTE] == sent
            assert (await get(address, "h.test"))[0] == 200
            one.seen.clear()
            hub.publish({ROUTE: (some(classic_routes("b")), set()), CLUSTER: ({}, {"a"}), ENDPOINTS: ({}, {"eds/a"})})
            await until(lambda: _seen(one, address))
            await until(lambda: asyncio.to_thread(lambda: "\na::" not in envoy.admin("/clusters")))
            assert (await get(address, "h.test"))[0] == 200


async def _seen(backend: Backend, address) -> bool:
    """A request, and whether it arrived there."""
    await get(address, "h.test")
    return bool(backend.seen)
