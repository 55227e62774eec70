"""gRPC with its own clients and servers: calls of each kind, over HTTP/2 with and without TLS, and gRPC-Web."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
import pytest
from tests.traffic.world import World

from contour.testing import clients
from contour.testing.clients import Http1
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-grpc")]

LIMIT = 20.0
HOSTS = ("site.test", "SITE.test", "any.wild.test", "ANY.wild.test")
# In the reference's shape a wildcard's label is in lower case.
PLACES = [*(f"scoped {host}" for host in HOSTS), *(f"classic {host}" for host in HOSTS[:-1])]


class Echo:
    """A server of `/echo.Echo/…`: Unary, Stream (three times), Chat (both ways), Fail, Metadata."""

    name = "echo"

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8)
        self._server = grpc.server(self._threads)
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "Stream": grpc.unary_stream_rpc_method_handler(lambda request, _: iter([request] * 3)),
            "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: (one + one for one in requests)),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Metadata": grpc.unary_unary_rpc_method_handler(self._metadata),
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", handlers)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.stop(None).wait()
        self._threads.shutdown()

    def _fail(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata([("why", "because")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not yet: 50%")
        return b""

    def _metadata(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata([("first", "1")])
        context.set_trailing_metadata([("last", "2")])
        return repr(sorted(context.invocation_metadata())).encode()


@pytest.fixture(scope="module")
def classic(running: World) -> Envoy:
    return running.envoy(shape="classic")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Shape and host."""
    shape, _, host = str(request.param).partition(" ")
    return shape, host


@pytest.fixture
def envoy(place: tuple[str, str], running: World, classic: Envoy) -> Envoy:
    return classic if place[0] == "classic" else running.envoys[0]


@pytest.fixture
def host(place: tuple[str, str]) -> str:
    return place[1]


@pytest.fixture
def site(world: World) -> Iterator[World]:
    with Echo() as echo:
        world.service("shop/echo", backends=[echo], protocol="h2c")  # type: ignore[list-item]
        world.certificate("shop/tls", "site.test", "*.wild.test")
        for fqdn in ("site.test", "*.wild.test"):
            world.proxy(
                f"shop/{fqdn.replace('*', 'any')}",
                f"""
                virtualhost: {{fqdn: "{fqdn}", tls: {{secretName: tls}}}}
                routes:
                - permitInsecure: true
                  conditions: [{{prefix: /echo.Echo/}}]
                  services: [{{name: echo, port: 80}}]
                - permitInsecure: true
                  conditions: [{{prefix: /echo.Echo/Stream}}, {{header: {{name: x-limit, present: true}}}}]
                  services: [{{name: echo, port: 80}}]
                  timeoutPolicy: {{response: infinity}}
                """,
            )
        yield world


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def channel(request: pytest.FixtureRequest, site: World, envoy: Envoy, host: str) -> Iterator[grpc.Channel]:
    options = [("grpc.default_authority", host), ("grpc.use_local_subchannel_pool", 1)]
    if request.param:
        address, port = site.opened(envoy, host.lower())
        credentials = grpc.ssl_channel_credentials(site.authority.certificate)
        options = [*options, ("grpc.ssl_target_name_override", host.lower())]
        found = grpc.secure_channel(f"{address}:{port}", credentials, options)
    else:
        address, port = site.address("ingress_http", envoy)
        found = grpc.insecure_channel(f"{address}:{port}", options)
    with found:
        yield found


def test_calls(channel: grpc.Channel) -> None:
    unary: Any = channel.unary_unary("/echo.Echo/Unary")
    assert unary(b"hello", timeout=LIMIT) == b"hello"
    assert unary(b"x" * 1_000_000, timeout=LIMIT) == b"x" * 1_000_000
    stream: Any = channel.unary_stream("/echo.Echo/Stream")
    assert list(stream(b"hello", timeout=LIMIT)) == [b"hello"] * 3
    chat: Any = channel.stream_stream("/echo.Echo/Chat")
    assert list(chat(iter([b"a", b"b", b"c"]), timeout=LIMIT)) == [b"aa", b"bb", b"cc"]


def test_what_surrounds_a_call(channel: grpc.Channel, place: tuple[str, str]) -> None:
    metadata: Any = channel.unary_unary("/echo.Echo/Metadata")
    answer, call = metadata.with_call(
        b"", timeout=LIMIT, metadata=[("x-mine", "1"), ("x-contour-scope", "http/base.test")]
    )
    seen = answer.decode()
    assert "x-mine" in seen
    assert ("x-contour-scope" in seen) == (place[0] == "classic")  # where it means nothing
    assert ("first", "1") in call.initial_metadata()
    assert ("last", "2") in call.trailing_metadata()
    failing: Any = channel.unary_unary("/echo.Echo/Fail")
    with pytest.raises(grpc.RpcError) as failed:
        failing(b"", timeout=LIMIT)
    error: Any = failed.value
    assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not yet: 50%")
    assert ("why", "because") in error.trailing_metadata()
    nobody: Any = channel.unary_unary("/else.Else/Unary")
    with pytest.raises(grpc.RpcError) as failed:
        nobody(b"", timeout=LIMIT)
    error = failed.value
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED  # no route


def test_no_endpoint(site: World, channel: grpc.Channel) -> None:
    site.endpoints("shop/echo")
    unary: Any = channel.unary_unary("/echo.Echo/Unary")
    with pytest.raises(grpc.RpcError) as failed:
        unary(b"", timeout=LIMIT)
    error: Any = failed.value
    assert error.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_grpc_web(site: World, envoy: Envoy, host: str, tls: bool, text: bool) -> None:
    """A browser's call, in HTTP/1: Envoy makes a real one of it, and a body of its trailers (grpc-web's PROTOCOL-WEB)."""
    message = b"\0" + (5).to_bytes(4, "big") + b"hello"
    kind = f"application/grpc-web{'-text' if text else ''}+proto"
    headers = [("content-type", kind), ("accept", kind), ("x-grpc-web", "1")]
    address = site.opened(envoy, host.lower()) if tls else site.address("ingress_http", envoy)
    with Http1(clients.connect(address, sni=host.lower() if tls else None)) as client:
        body = base64.b64encode(message) if text else message
        answer = client.request("POST", host, "/echo.Echo/Unary", headers, body)
    assert (answer.status, answer.header("content-type")) == (200, kind)
    came = answer.body
    if text:  # pieces, each padded for itself
        came = b"".join(base64.b64decode(piece + b"==") for piece in came.replace(b"==", b"=").split(b"=") if piece)
    assert came.startswith(message)
    assert came[len(message)] == 0x80
    assert b"grpc-status:0" in came.lower().replace(b" ", b"")
