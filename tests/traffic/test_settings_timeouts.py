"""Timeouts of clients' connections and requests, and of connections to upstreams (operations.md §2.4.5)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World, until

from contour.testing.clients import Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-timeouts")]

WAYS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
LATE = 20.0  # on a busy machine


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    text = """
timeouts:
  request-timeout: 300ms
  connection-idle-timeout: 400ms
  stream-idle-timeout: 500ms
  delayed-close-timeout: 100ms
  connection-shutdown-grace-period: 100ms
  connect-timeout: 200ms
"""
    with configured(tmp_path_factory.mktemp("w"), text) as world:
        yield world


def session(world: World, secure: bool) -> Http1:
    return Http1(connect(world.https, sni="site.test") if secure else connect(world.http))


@WAYS
def test_a_request_that_does_not_end(short: World, secure: bool) -> None:
    with session(short, secure) as client:
        answer = client.raw(b"POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nab")
        assert (answer.status, answer.body) == (408, b"request timeout")


@WAYS
def test_a_connection_that_is_idle(short: World, secure: bool) -> None:
    with session(short, secure) as client:
        assert client.get("site.test").status == 200
        until(client.closed, seconds=LATE)


@WAYS
def test_a_stream_that_is_idle(short: World, secure: bool) -> None:
    """The request is complete, the answer does not come."""
    with session(short, secure) as client:
        assert client.get("site.test", "/slow/5000").status == 504
        assert client.get("site.test", "/slow/50").status == 200


def test_an_upstream_that_does_not_accept(short: World) -> None:
    """Its queue of connections is full, so that the kernel answers nobody."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        stuck = type("Stuck", (), {"port": full.getsockname()[1]})()
        short.endpoints("shop/web", stuck)
        try:
            started = time.monotonic()
            answer = short.get("site.test")
            assert answer.status == 503
            assert b"reset reason: connection timeout" in answer.body
            assert time.monotonic() - started < LATE
        finally:
            short.endpoints("shop/web", short.backends["shop/web"])
            for one in fillers:
                one.close()


@WAYS
def test_the_longest_life_of_a_connection(tmp_path: Path, secure: bool) -> None:
    """HTTP/1: closed after the next answer. HTTP/2: told, and closed when the grace period is over."""
    text = "timeouts: {max-connection-duration: 300ms, connection-shutdown-grace-period: 300ms, delayed-close-timeout: 100ms}"
    with configured(tmp_path, text) as world:
        with session(world, secure) as client:
            assert client.get("site.test").header("connection") is None
            until(lambda: client.get("site.test").header("connection") == "close", seconds=LATE)
            until(client.closed, seconds=LATE)
        address, name = (world.https, "site.test") if secure else (world.http, None)
        started = time.monotonic()
        with Http2(connect(address, sni=name, alpn="h2")) as other:
            assert other.get("site.test").status == 200
            other.wait_until_closed()
            assert other.goaway
        assert 0.55 < time.monotonic() - started < LATE


@WAYS
def test_how_long_a_client_may_take_to_close(short: World, tmp_path: Path, secure: bool) -> None:
    """After an answer that ends the connection."""

    def seconds(world: World) -> float:
        with session(world, secure) as client:
            assert client.raw(b"what\r\n\r\n").status == 400
            started = time.monotonic()
            until(client.closed, seconds=LATE)
            return time.monotonic() - started

    with configured(tmp_path, "timeouts: {delayed-close-timeout: 1500ms}") as patient:
        assert seconds(patient) > 1.4
    assert seconds(short) < LATE


def test_timeouts_that_never_end(tmp_path: Path) -> None:
    """`infinity` switches off what has a default."""
    text = "timeouts: {connection-idle-timeout: infinity, stream-idle-timeout: infinite, request-timeout: infinity}"
    with configured(tmp_path, text) as world, session(world, secure=False) as client:
        assert client.get("site.test", "/slow/1500").status == 200
        dump = world.envoys[0].admin("/config_dump?resource=dynamic_listeners")
        assert '"idle_timeout": "0s"' in dump
        assert '"stream_idle_timeout": "0s"' in dump
