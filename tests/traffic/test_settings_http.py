"""Settings of HTTP (operations.md §2.4.4, §7.4), each held against what holds without it, over HTTP and TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World, until

from contour.testing.clients import Http1, Http2, Response, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-http")]

# One of everything that is not the default, as far as it goes together.
CHANGED = """
serverHeaderTransformation: pass_through
compression: {algorithm: brotli}
default-http-versions: [HTTP/1.1]
disableMergeSlashes: true
disableAllowChunkedLength: true
network: {num-trusted-hops: 1, strip-trailing-host-dot: true}
listener: {max-requests-per-connection: 2}
policy:
  request-headers: {set: {X-Edge: "%CONTOUR_NAMESPACE%"}, remove: [X-Secret]}
  response-headers: {set: {X-Served: "yes"}}
"""
OTHERS = """
serverHeaderTransformation: append_if_absent
compression: {algorithm: zstd}
default-http-versions: [HTTP/2]
listener: {http2-max-concurrent-streams: 1}
"""


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with configured(tmp_path_factory.mktemp("w")) as world:
        yield world


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with configured(tmp_path_factory.mktemp("w"), CHANGED) as world:
        yield world


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with configured(tmp_path_factory.mktemp("w"), OTHERS) as world:
        yield world


WAYS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])


def session(world: World, secure: bool) -> Http1:
    return Http1(connect(world.https, sni="site.test") if secure else connect(world.http))


def get(world: World, secure: bool, path: str = "/", host: str = "site.test", **headers: str) -> Response:
    with session(world, secure) as client:
        return client.get(host, path, [(name.replace("_", "-"), value) for name, value in headers.items()])


def http2(world: World, secure: bool) -> Http2:
    return Http2(connect(world.https, sni="site.test", alpn="h2") if secure else connect(world.http))


@contextlib.contextmanager
def answering(world: World, name: str, value: str) -> Iterator[None]:
    """The backend's answers have this header."""
    backend = world.backends["shop/web"]
    backend.extra.append((name, value))
    try:
        yield
    finally:
        backend.extra.clear()


@WAYS
def test_the_server_header(usual: World, changed: World, others: World, secure: bool) -> None:
    def server(world: World) -> str | None:
        if world is not others:
            return get(world, secure).header("server")
        with http2(world, secure) as client:
            return client.get("site.test").header("server")

    assert (server(usual), server(changed), server(others)) == ("envoy", None, "envoy")
    for world, wanted in ((usual, "envoy"), (changed, "mine"), (others, "mine")):
        with answering(world, "server", "mine"):
            assert server(world) == wanted


@WAYS
def test_compression(usual: World, changed: World, others: World, secure: bool) -> None:
    everything = [("accept-encoding", "gzip, br, zstd")]
    assert get(usual, secure).header("content-encoding") is None  # nobody asked
    assert get(usual, secure, accept_encoding="gzip, br, zstd").header("content-encoding") == "gzip"
    assert get(changed, secure, accept_encoding="gzip, br, zstd").header("content-encoding") == "br"
    with http2(others, secure) as client:
        assert client.get("site.test", headers=everything).header("content-encoding") == "zstd"


@WAYS
def test_versions(usual: World, changed: World, others: World, secure: bool) -> None:
    assert get(usual, secure).status == get(changed, secure).status == 200
    for world in (usual, others):
        with http2(world, secure) as client:
            assert client.get("site.test").status == 200
    with pytest.raises((ConnectionError, ssl.SSLError)), http2(changed, secure) as client:
        client.get("site.test")
    with pytest.raises((ConnectionError, ssl.SSLError)):
        get(others, secure)


def test_versions_that_are_offered(usual: World, changed: World, others: World) -> None:
    def chosen(world: World, offer: list[str]) -> str | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(offer)
        with connect(world.https) as plain, context.wrap_socket(plain, server_hostname="site.test") as secure:
            return secure.selected_alpn_protocol()

    offers = ["http/1.1", "h2"]
    assert (chosen(usual, offers), chosen(changed, offers), chosen(others, offers)) == ("h2", "http/1.1", "h2")


@WAYS
def test_hops_that_are_trusted(usual: World, changed: World, secure: bool) -> None:
    """How many proxies in front of Envoy may say where a request came from."""
    claimed = "203.0.113.1, 203.0.113.2"
    for world, wanted in ((usual, "127.0.0.1"), (changed, "203.0.113.2")):
        seen = get(world, secure, x_forwarded_for=claimed).seen
        assert (seen.header("x-forwarded-for") or "").startswith(f"{claimed},")
        assert seen.header("x-envoy-external-address") == wanted


@WAYS
def test_slashes(usual: World, changed: World, secure: bool) -> None:
    assert get(usual, secure, "/a//b///c").seen.path == "/a/b/c"
    assert get(changed, secure, "/a//b///c").seen.path == "/a//b///c"
    assert get(changed, secure, "/a/../b").seen.path == "/b"  # that goes on


@WAYS
def test_a_dot_at_the_end_of_a_host(usual: World, changed: World, secure: bool) -> None:
    assert get(usual, secure, host="site.test.").status in {404, 421}
    answer = get(changed, secure, host="site.test.")
    assert answer.backend == "shop/web"
    assert answer.seen.header("host") == "site.test"


@WAYS
def test_a_length_beside_chunks(usual: World, changed: World, secure: bool) -> None:
    """Request smuggling begins here: with the key, such a request is refused."""
    request = (
        b"POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n"
    )
    with session(usual, secure) as client:
        answer = client.raw(request)
        assert (answer.status, answer.seen.body) == (200, "abc")
    with session(changed, secure) as client:
        assert client.raw(request).status == 400


@WAYS
def test_requests_of_one_connection(usual: World, changed: World, secure: bool) -> None:
    with session(usual, secure) as client:
        assert [client.get("site.test").header("connection") for _ in range(5)] == [None] * 5
    with session(changed, secure) as client:
        assert [client.get("site.test").header("connection") for _ in range(2)] == [None, "close"]
        until(client.closed)


@WAYS
def test_streams_of_one_connection(others: World, secure: bool) -> None:
    with http2(others, secure) as client:
        client.get("site.test")
        assert client.max_streams == 1


@WAYS
def test_default_headers(usual: World, changed: World, secure: bool) -> None:
    before, after = (get(world, secure, x_secret="s") for world in (usual, changed))
    assert (before.seen.header("x-edge"), before.seen.header("x-secret"), before.header("x-served")) == (
        None,
        "s",
        None,
    )
    assert (after.seen.header("x-edge"), after.seen.header("x-secret"), after.header("x-served")) == (
        "shop",
        None,
        "yes",
    )
