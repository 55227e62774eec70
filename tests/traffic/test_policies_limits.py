"""Circuit breakers, which annotations of a Service set (httpproxy.md §2.21): what is over a limit is refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

import pytest
from tests.traffic.world import World, until

from contour.testing import clients
from contour.testing.backends import Backend
from contour.testing.clients import Http1, Http2
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-limits")]

PREFIXES = ("projectcontour.io/", "contour.heptio.com/")
OVERFLOW = "x-envoy-overloaded"


def site(world: World, protocol: str = "", prefix: str = PREFIXES[0], route: str = "", **limits: int | str) -> Backend:
    annotations = {f"{prefix}{name.replace('_', '-')}": str(limit) for name, limit in limits.items()}
    # A name of its own for each test: Envoy keeps the counters of a cluster that comes again.
    backend = world.service(f"shop/{NAMES.pop()}", annotations=annotations, protocol=protocol)
    world.certificate("shop/tls", "site.test", "*.wild.test")
    for fqdn in ("site.test", "*.wild.test"):
        world.proxy(
            f"shop/{fqdn.replace('*', 'any')}",
            f"""
            virtualhost: {{fqdn: "{fqdn}", tls: {{secretName: tls}}}}
            routes:
            - permitInsecure: true
              enableWebsockets: true
              services: [{{name: {backend.name.removeprefix("shop/")}, port: 80}}]
              {route}
            """,
        )
    return backend


NAMES = [f"web-{i}" for i in reversed(range(100))]


def counter(envoy: Envoy, backend: Backend, name: str) -> int:
    full = f"cluster.{backend.name.replace('/', '_')}_80.{name}"
    return envoy.stats(f"^{full}$").get(full, 0)


class Held:
    """Requests that a backend is slow to answer, each over a connection of its own."""

    def __init__(self, world: World, envoy: Envoy) -> None:
        self._world, self._envoy = world, envoy
        self._stack = ExitStack()
        self.clients: list[Http1] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, *, tls: bool = False, path: str = "/slow/30000") -> None:
        address = (
            self._world.opened(self._envoy, "site.test") if tls else self._world.address("ingress_http", self._envoy)
        )
        connection = clients.connect(address, sni="site.test" if tls else None)
        self.clients.append(self._stack.enter_context(Http1(connection)))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: site.test\r\n\r\n".encode())


@pytest.fixture
def held(world: World, envoy: Envoy) -> Iterator[Held]:
    with Held(world, envoy) as found:
        yield found


def ask(world: World, envoy: Envoy, host: str = "site.test", *, tls: bool = False) -> clients.Response:
    if tls:
        return clients.get_tls(world.opened(envoy, host.lower()), host.lower(), "/", host=host)
    return clients.get(world.address("ingress_http", envoy), host)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_requests_that_wait_for_a_connection(world: World, envoy: Envoy, held: Held, prefix: str, tls: bool) -> None:
    backend = site(world, prefix=prefix, max_connections=1, max_pending_requests=2)
    held.send(tls=tls)
    until(lambda: backend.seen)  # until then it waits for its connection, and counts among those that do
    for _ in range(2):
        held.send(tls=tls)
    until(lambda: counter(envoy, backend, "upstream_rq_pending_active") == 2)
    for host in ("site.test", "a.wild.test"):
        answer = ask(world, envoy, host, tls=tls)
        assert (answer.status, answer.header(OVERFLOW)) == (503, "true")
    assert len(backend.seen) == 1
    assert counter(envoy, backend, "upstream_rq_pending_overflow") == 2
    assert counter(envoy, backend, "upstream_cx_overflow") > 0
    assert counter(envoy, backend, "upstream_cx_active") == 1
    held.__exit__()
    until(lambda: ask(world, envoy, tls=tls).status == 200)


def test_connections(world: World, envoy: Envoy, held: Held) -> None:
    """What finds none waits, as long as it may."""
    backend = site(world, max_connections=2)
    for _ in range(2):
        held.send()
    until(lambda: len(backend.seen) == 2)
    held.send(path="/")
    until(lambda: counter(envoy, backend, "upstream_rq_pending_active") == 1)
    assert counter(envoy, backend, "upstream_cx_active") == 2
    held.clients[0].close()
    assert held.clients[2]._read(head=False).status == 200


def test_connections_of_each_endpoint(world: World, envoy: Envoy, held: Held) -> None:
    backend = site(world, per_host_max_connections=1)
    other = world.backend("other")
    world.endpoints(backend.name, backend, other)
    for _ in range(4):
        held.send()
    until(lambda: counter(envoy, backend, "upstream_rq_pending_active") == 2)
    until(lambda: (len(backend.seen), len(other.seen)) == (1, 1))
    assert counter(envoy, backend, "upstream_cx_active") == 2


@pytest.mark.parametrize("tls", [False, True])
def test_requests_over_http2(world: World, envoy: Envoy, held: Held, tls: bool) -> None:
    """One connection carries many, so that requests themselves are counted; calls over gRPC are told in their way."""
    backend = site(world, "h2c", max_requests=2)
    for _ in range(2):
        held.send(tls=tls)
    until(lambda: counter(envoy, backend, "upstream_rq_active") == 2)
    for host in ("site.test", "a.wild.test"):
        answer = ask(world, envoy, host, tls=tls)
        assert (answer.status, answer.header(OVERFLOW)) == (503, "true")
        connection = (
            clients.connect(world.opened(envoy, host), sni=host, alpn="h2")
            if tls
            else clients.connect(world.address("ingress_http", envoy))
        )
        with Http2(connection) as client:
            assert client.grpc(host, "/s.S/Method", b"").header("grpc-status") == "14"  # UNAVAILABLE
    assert counter(envoy, backend, "upstream_cx_active") == 1
    held.__exit__()
    until(lambda: ask(world, envoy, tls=tls).status == 200)


def test_websockets_count_as_connections(world: World, envoy: Envoy) -> None:
    backend = site(world, max_connections=1, max_pending_requests=1)
    address = world.address("ingress_http", envoy)
    with Http1(clients.connect(address)) as first, Http1(clients.connect(address)) as second:
        assert first.websocket("site.test", "/", text="over").body == b"over"
        second.socket.sendall(b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
        until(lambda: counter(envoy, backend, "upstream_rq_pending_active") == 1)
        with Http1(clients.connect(address)) as third:
            assert third.websocket("site.test").status == 503
        first.close()
        assert second._read(head=False).status == 200


def test_retries_at_a_time(world: World, envoy: Envoy, held: Held) -> None:
    route = "retryPolicy: {count: 1, retryOn: [5xx]}"
    backend = site(world, route=route, max_retries=1)
    backend.planned.append("/status/503")
    assert ask(world, envoy).status == 200
    # The only retry that there may be is under way: it is slow.
    backend.planned.extend(["/status/503", "/slow/30000"])
    held.send(path="/")
    until(lambda: counter(envoy, backend, "upstream_rq_retry") == 2)
    until(lambda: not backend.planned)
    backend.planned.append("/status/503")
    answer = ask(world, envoy)
    assert answer.status == 503
    assert counter(envoy, backend, "upstream_rq_retry_overflow") == 1


def test_no_limits_but_envoy_s_own(world: World, envoy: Envoy, held: Held) -> None:
    """What is no number in 32 bits is none; unset limits are not counted either."""
    backend = site(world, max_connections="many", max_pending_requests=-1, max_requests=2**32, max_retries="0x1")
    for _ in range(20):
        held.send()
    until(lambda: len(backend.seen) == 20)
    assert ask(world, envoy).status == 200
    assert counter(envoy, backend, "upstream_rq_pending_overflow") == 0


def test_what_remains_is_counted(world: World, envoy: Envoy, held: Held) -> None:
    backend = site(world, max_connections=7, max_requests=9)
    for _ in range(3):
        held.send()
    until(lambda: len(backend.seen) == 3)
    remaining = {name: counter(envoy, backend, f"circuit_breakers.default.remaining_{name}") for name in ("cx", "rq")}
    assert remaining == {"cx": 4, "rq": 6}


def test_limits_change_while_it_serves(world: World, envoy: Envoy, held: Held) -> None:
    backend = site(world, max_requests=1000, protocol="h2c")
    for _ in range(3):
        held.send()
    until(lambda: counter(envoy, backend, "upstream_rq_active") == 3)
    assert ask(world, envoy).status == 200
    world.service(backend.name, annotations={f"{PREFIXES[0]}max-requests": "1"}, backends=[backend], protocol="h2c")
    with Held(world, envoy) as more:
        more.send()
        until(lambda: ask(world, envoy).status == 503)


# --- protocols ------------------------------------------------------------------------------------------------------


def service(
    world: World, annotations: dict[str, str], ports: str = "[{name: http, port: 80}]", **kwargs: object
) -> Backend:
    backend = world.service("shop/web", **kwargs)  # type: ignore[arg-type]
    lines = "".join(f'\n    {name}: "{value}"' for name, value in annotations.items())
    world.apply(
        f"""
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: {lines or "{}"}
spec: {{ports: {ports}}}
"""
    )
    world.proxy("shop/site", "virtualhost: {fqdn: site.test}\nroutes: [{services: [{name: web, port: 80}]}]")
    return backend


@pytest.mark.parametrize(
    ("annotations", "seen"),
    [
        ({}, "HTTP/1.1"),
        ({"h2c": "80"}, "HTTP/2"),
        ({"h2c": "http"}, "HTTP/2"),
        ({"h2c": "443, http ,x"}, "HTTP/2"),
        ({"h2c": "8080,https"}, "HTTP/1.1"),
        ({"h2c": "80", "h2": "80"}, "HTTP/2"),  # h2c beats h2
        ({"h2c": "http", "h2": "80"}, "HTTP/2"),
        ({"h2": "http", "h2c": "80"}, 503),  # names before numbers: TLS, which the backend does not speak
        ({"tls": "80", "h2c": "80"}, 503),  # tls beats both
    ],
)
def test_protocols_by_annotation(world: World, annotations: dict[str, str], seen: str | int) -> None:
    service(world, {f"{PREFIXES[0]}upstream-protocol.{name}": ports for name, ports in annotations.items()})
    answer = world.get("site.test")
    assert (answer.seen.protocol if answer.status == 200 else answer.status) == seen


@pytest.mark.parametrize(
    ("protocol", "seen"),
    [
        ("kubernetes.io/h2c", "HTTP/2"),
        ("kubernetes.io/ws", "HTTP/1.1"),
        ("http", "HTTP/1.1"),
        ("example.com/other", "HTTP/1.1"),
        ("https", 503),
    ],
)
def test_protocols_of_the_port_replace_all_annotations(world: World, protocol: str, seen: str | int) -> None:
    ports = f"[{{name: http, port: 80, appProtocol: {protocol}}}]"
    service(world, {f"{PREFIXES[0]}upstream-protocol.h2c": "80"}, ports)
    answer = world.get("site.test")
    assert (answer.seen.protocol if answer.status == 200 else answer.status) == seen
