"""Which endpoint a request reaches: hashing, affinity, in both shapes and over HTTP, TLS and HTTP/2 (httpproxy.md §2.19)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator

import pytest
from tests.traffic.world import World

from contour.testing import clients
from contour.testing.clients import Http1, Http2, Pairs
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-balancing")]

ENDPOINTS = ("one", "two", "three", "four", "five")
REPEATS = 4  # by turns, five endpoints would be seen four times in as many requests
VALUES = 25  # the chance that all of them are at home with one of five endpoints is nothing

Ask = Callable[..., str | None]


@pytest.fixture
def site(world: World) -> World:
    world.service("shop/web", backends=[world.backend(name) for name in ENDPOINTS])
    world.certificate("shop/tls", "site.test")
    return world


def policy(world: World, text: str) -> None:
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test, tls: {{secretName: tls}}}}
        routes:
        - permitInsecure: true
          services: [{{name: web, port: 80}}]
          loadBalancerPolicy: {{{text}}}
        """,
    )


def request_hash(world: World, *policies: str) -> None:
    policy(world, f"strategy: RequestHash, requestHashPolicies: [{', '.join(policies)}]")


@pytest.fixture(params=["http", "https", "http2"])
def ask(request: pytest.FixtureRequest, site: World, envoy: Envoy) -> Iterator[Ask]:
    """A request over a connection that is held; says who answered."""
    client: Http1 | Http2
    if request.param == "http":
        client = Http1(clients.connect(site.address("ingress_http", envoy)))
    else:
        policy(site, "strategy: RoundRobin")
        address = site.opened(envoy, "site.test")
        if request.param == "https":
            client = Http1(clients.connect(address, sni="site.test"))
        else:
            client = Http2(clients.connect(address, sni="site.test", alpn="h2"))

    def answered(path: str = "/", headers: Pairs = ()) -> str | None:
        return client.request("GET", "site.test", path, headers).backend

    with client:
        yield answered


def homes(answers: Iterable[set[str | None]]) -> set[str | None]:
    """Where each value is at home, if each has one home."""
    found: set[str | None] = set()
    for one in answers:
        assert len(one) == 1, one
        found |= one
    return found


def repeated(ask: Callable[[], str | None]) -> set[str | None]:
    return {ask() for _ in range(REPEATS)}


def test_by_header(site: World, ask: Ask) -> None:
    request_hash(site, "{headerHashOptions: {headerName: X-USER}}")
    users = [[("x-user", f"user {i}")] for i in range(VALUES)]
    assert len(homes(repeated(lambda user=user: ask("/", user)) for user in users)) > 1  # type: ignore[misc]
    assert len({ask() for _ in range(40)}) > 1  # without the header at random


def test_by_query_parameter(site: World, ask: Ask) -> None:
    request_hash(site, "{queryParameterHashOptions: {parameterName: User}}")
    paths = [f"/?user={i}&x=y" for i in range(VALUES)]
    assert len(homes(repeated(lambda path=path: ask(path)) for path in paths)) > 1  # type: ignore[misc]
    assert len({ask("/?other=1") for _ in range(40)}) > 1


def test_by_source_address(site: World, envoy: Envoy) -> None:
    """Of the connection: nothing that a client says moves it."""
    request_hash(site, "{hashSourceIP: true}")

    def ask_from(source: str, headers: Pairs = ()) -> str | None:
        address = site.address("ingress_http", envoy)
        with Http1(socket.create_connection(address, 10, source_address=(source, 0))) as client:
            return client.get("site.test", "/", headers).backend

    sources = [f"127.0.0.{i}" for i in range(1, VALUES)]
    assert len(homes(repeated(lambda source=source: ask_from(source)) for source in sources)) > 1  # type: ignore[misc]
    home = ask_from("127.0.0.1")
    assert {ask_from("127.0.0.1", [("x-forwarded-for", f"10.0.0.{i}")]) for i in range(20)} == {home}


def test_several_are_combined(site: World, ask: Ask) -> None:
    """Unless one is terminal and has a value: then those behind it do not count."""
    header, query = "headerHashOptions: {headerName: x-user}", "queryParameterHashOptions: {parameterName: item}"
    one, two = [("x-user", "one")], [("x-user", "two")]
    request_hash(site, f"{{{header}}}", f"{{{query}}}")
    assert len(homes(repeated(lambda i=i: ask(f"/?item={i}", one)) for i in range(VALUES))) > 1  # type: ignore[misc]
    assert {ask(f"/?item={i}", one) == ask(f"/?item={i}", two) for i in range(VALUES)} == {True, False}
    request_hash(site, f"{{{header}, terminal: true}}", f"{{{query}}}")
    assert len({ask(f"/?item={i}", one) for i in range(VALUES)}) == 1
    assert len(homes(repeated(lambda i=i: ask(f"/?item={i}")) for i in range(VALUES))) > 1  # type: ignore[misc]


def test_with_nothing_to_hash_by_they_take_turns(site: World, ask: Ask) -> None:
    request_hash(site, "{terminal: true}", '{headerHashOptions: {headerName: "no name"}}')
    assert len(site.status("shop/site")["conditions"][0]["warnings"]) == 3
    assert sorted(str(ask("/", [("no-name", "x")])) for _ in ENDPOINTS) == sorted(ENDPOINTS)


def test_a_home_is_kept_while_others_come_and_go(site: World, ask: Ask) -> None:
    """Hashing is consistent: with one endpoint less few of the others' move (about a fifth; by chance it were 3 in 4)."""
    request_hash(site, "{headerHashOptions: {headerName: x-user}}")

    def at_home() -> list[str | None]:
        return [ask("/", [("x-user", str(i))]) for i in range(100)]

    before = at_home()
    site.endpoints("shop/web", *(site.backend_of(name) for name in ENDPOINTS[:-1]))
    after = at_home()
    assert ENDPOINTS[-1] in before
    assert ENDPOINTS[-1] not in after
    kept = [now == then for now, then in zip(after, before, strict=True) if then != ENDPOINTS[-1]]
    assert kept.count(True) > len(kept) / 2


def test_affinity(site: World, ask: Ask, envoy: Envoy) -> None:
    policy(site, "strategy: Cookie")
    address = site.opened(envoy, "site.test")
    found = set()
    for _ in range(20):
        with Http2(clients.connect(address, sni="site.test", alpn="h2")) as client:
            first = client.request("GET", "site.test")
        cookie = (first.header("set-cookie") or "").split(";")[0]
        assert cookie.startswith("X-Contour-Session-Affinity=")
        assert repeated(lambda cookie=cookie: ask("/", [("cookie", f"a=b; {cookie}")])) == {first.backend}  # type: ignore[misc]
        found.add(first.backend)
    assert len(found) > 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", ["a.wild.test", "A.wild.TEST"])
def test_on_hosts_that_are_selected_second(site: World, host: str, tls: bool) -> None:
    site.certificate("shop/wild", "*.wild.test")
    site.proxy(
        "shop/wild",
        """
        virtualhost: {fqdn: "*.wild.test", tls: {secretName: wild}}
        routes:
        - permitInsecure: true
          services: [{name: web, port: 80}]
          loadBalancerPolicy:
            strategy: RequestHash
            requestHashPolicies: [{headerHashOptions: {headerName: x-user}}]
        - permitInsecure: true
          conditions: [{prefix: /sticky}]
          services: [{name: web, port: 80}]
          loadBalancerPolicy: {strategy: Cookie}
        """,
    )
    address, sni = (site.https, "a.wild.test") if tls else (site.http, None)
    with Http1(clients.connect(address, sni=sni)) as client:
        users = [[("x-user", f"user {i}")] for i in range(VALUES)]
        assert len(homes(repeated(lambda user=user: client.get(host, "/", user).backend) for user in users)) > 1  # type: ignore[misc]
        first = client.get(host, "/sticky")
        cookie = (first.header("set-cookie") or "").split(";")[0]
        assert cookie.startswith("X-Contour-Session-Affinity=")
        assert repeated(lambda: client.get(host, "/sticky", [("cookie", cookie)]).backend) == {first.backend}
