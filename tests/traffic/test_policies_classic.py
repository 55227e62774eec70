"""Contour's own shape: an Envoy that its bootstrap started is answered the same by the same program (envoy.md §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.traffic.world import World, until

from contour.testing.clients import Http1, Http2, Response, connect
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-classic")]

# A connection's server name (None: no TLS), the request, what is answered: a backend or a status.
Ask = tuple[str | None, str, str, str | int]

ANSWERS: list[Ask] = [
    (None, "site.test", "/", "shop/web"),
    (None, "site.test:8080", "/", "shop/web"),
    (None, "SITE.test", "/child/x", "team/child"),
    (None, "site.test", "/gone", 503),
    (None, "site.test", "/nowhere", 502),
    (None, "site.test", "/hello", 200),
    (None, "a.wild.test", "/", "shop/web"),
    (None, "b.a.wild.test", "/", 404),
    (None, "unknown.test", "/", 404),
    (None, "secure.test", "/", 301),
    (None, "secure.test", "/open", "shop/web"),
    (None, "ingress.test", "/foo", "shop/web"),
    (None, "ingress.test", "/foobar", 404),
    ("secure.test", "secure.test", "/", "shop/web"),
    ("secure.test", "SECURE.test:8443", "/", "shop/web"),
    ("secure.test", "other.test", "/", 421),
    ("secure.test", "unknown.test", "/", 421),
    ("other.test", "other.test", "/", "team/child"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, Envoy]]]:
    world = World(tmp_path_factory.mktemp("w"))
    try:
        objects(world)
        yield world, {"classic": world.envoy(shape="classic"), "scoped": world.envoy()}
    finally:
        world.close()


def objects(world: World) -> None:
    world.service("shop/web")
    world.service("team/child")
    world.certificate("shop/secure", "secure.test")
    world.certificate("team/other", "other.test")
    world.proxy(
        "team/child",
        "routes: [{services: [{name: child, port: 80}]}]",
        valid=False,  # until it is included
    )
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        includes:
        - {name: child, namespace: team, conditions: [{prefix: /child}]}
        - {name: nowhere, conditions: [{prefix: /nowhere}]}
        routes:
        - services: [{name: web, port: 80}]
        - conditions: [{prefix: /gone}]
          services: [{name: gone, port: 80}]
        - conditions: [{prefix: /hello}]
          directResponsePolicy: {statusCode: 200, body: hello}
        """,
        valid=False,
    )
    world.proxy("shop/wild", "{virtualhost: {fqdn: '*.wild.test'}, routes: [{services: [{name: web, port: 80}]}]}")
    world.proxy(
        "shop/secure",
        """
        virtualhost: {fqdn: secure.test, tls: {secretName: secure}}
        routes:
        - services: [{name: web, port: 80}]
        - conditions: [{prefix: /open}]
          permitInsecure: true
          services: [{name: web, port: 80}]
        """,
    )
    world.proxy(
        "team/other",
        "{virtualhost: {fqdn: other.test, tls: {secretName: other}}, routes: [{services: [{name: child, port: 80}]}]}",
    )
    world.ingress(
        "shop/ingress",
        "rules: [{host: ingress.test, http: {paths: [{path: /foo, pathType: Prefix,"
        " backend: {service: {name: web, port: {number: 80}}}}]}}]",
    )


def asked(world: World, envoy: Envoy, sni: str | None, host: str, path: str) -> str | int:
    address = world.address("ingress_http" if sni is None else "ingress_https", envoy)
    with Http1(connect(address, sni=sni)) as client:
        answer = client.get(host, path)
    return answer.backend or answer.status


@pytest.mark.parametrize("shape", ["classic", "scoped"])
def test_both_shapes_answer_the_same(both: tuple[World, dict[str, Envoy]], shape: str) -> None:
    world, envoys = both
    answers = [(*ask[:3], asked(world, envoys[shape], *ask[:3])) for ask in ANSWERS]
    assert answers == ANSWERS


@pytest.mark.parametrize("shape", ["classic", "scoped"])
def test_misdirected_http2(both: tuple[World, dict[str, Envoy]], shape: str) -> None:
    world, envoys = both
    with Http2(connect(world.address("ingress_https", envoys[shape]), sni="secure.test", alpn="h2")) as client:
        assert [client.get(host).status for host in ("secure.test", "other.test", "secure.test")] == [200, 421, 200]


def test_classic_has_a_stream_for_each_resource(both: tuple[World, dict[str, Envoy]]) -> None:
    world, _ = both
    streams = world.ask(lambda: [(s.stream._ordered, s.stream._delta) for s in world.hub("classic").sessions])
    assert len(streams) > 6
    assert set(streams) == {(False, False)}
    assert world.ask(lambda: [(s.stream._ordered, s.stream._delta) for s in world.hub().sessions]) == [(True, True)]


def test_edits_reach_classic(both: tuple[World, dict[str, Envoy]]) -> None:
    world, envoys = both
    envoy = envoys["classic"]

    def becomes(ask: Callable[[], Response], wanted: Any) -> None:
        """Types are acknowledged in any order here, so what is served is asked for."""
        until(lambda: _tried(ask) == wanted)

    def get(host: str, path: str = "/", sni: str | None = None) -> Callable[[], Response]:
        def one() -> Response:
            with Http1(connect(world.address("ingress_https" if sni else "ingress_http", envoy), sni=sni)) as client:
                return client.get(host, path)

        return one

    new = world.service("shop/new")
    world.proxy("shop/new", "{virtualhost: {fqdn: new.test}, routes: [{services: [{name: new, port: 80}]}]}")
    becomes(get("new.test"), "shop/new")
    world.endpoints("shop/new")
    becomes(get("new.test"), 503)
    world.endpoints("shop/new", new)
    becomes(get("new.test"), "shop/new")
    world.certificate("shop/new", "new.test")
    world.proxy(
        "shop/new",
        "{virtualhost: {fqdn: new.test, tls: {secretName: new}}, routes: [{services: [{name: new, port: 80}]}]}",
    )
    becomes(get("new.test"), 301)
    becomes(get("new.test", sni="new.test"), "shop/new")
    world.delete("HTTPProxy", "shop/new")
    becomes(get("new.test"), 404)
    becomes(get("new.test", sni="new.test"), OSError)
    assert asked(world, envoy, "secure.test", "secure.test", "/") == "shop/web"


def _tried(ask: Callable[[], Response]) -> Any:
    try:
        answer = ask()
    except OSError:
        return OSError
    return answer.backend or answer.status
