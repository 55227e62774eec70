"""External authorization: a real Envoy asks real servers, over gRPC and HTTP (httpproxy.md §2.14)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.authorizing import PRIVATE, extension, group
from tests.traffic.world import World

from contour.testing.authorization import Allow, Authorizer, Deny, Fail, slow
from contour.testing.clients import Http1, Http2, Response, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("authorization")]

GRPC = "{extensionRef: {name: auth}}"


@pytest.fixture
def server() -> Iterator[Authorizer]:
    with Authorizer() as server:
        yield server


def site(world: World, authorization: str = GRPC, routes: str = "[{services: [{name: web, port: 80}]}]") -> None:
    """`site.test` over TLS, in front of `shop/web`."""
    world.certificate("shop/tls", "site.test", "*.site.test")
    world.service("shop/web")
    world.proxy(
        "shop/site",
        f"""
        virtualhost:
          fqdn: site.test
          tls: {{secretName: tls}}
          authorization: {authorization}
        routes: {routes}
        """,
    )


def request(world: World, method: str, path: str = "/", body: bytes = b"") -> Response:
    with Http1(connect(world.https, sni="site.test")) as client:
        return client.request(method, "site.test", path, (), body)


def test_it_lets_pass_what_the_server_allows(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    site(world)
    server.decide = lambda _: Allow((("x-user", "you"),), remove=("cookie",), response_headers=(("x-checked", "yes"),))
    answer = world.get_tls("site.test", "/a?b=c", [("cookie", "secret"), ("x-user", "forged")])
    assert answer.backend == "shop/web"
    assert answer.seen.header("x-user") == "you"
    assert answer.seen.header("cookie") is None
    assert answer.header("x-checked") == "yes"
    (check,) = server.checks
    assert (check.method, check.host, check.path) == ("GET", "site.test", "/a?b=c")
    assert check.headers["cookie"] == "secret"
    assert check.context == {}


def test_it_passes_on_how_the_server_denies(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    site(world)
    server.decide = lambda _: Deny(401, "who are you?", (("www-authenticate", "Bearer"),))
    answer = world.get_tls("site.test")
    assert (answer.status, answer.body) == (401, b"who are you?")
    assert answer.header("www-authenticate") == "Bearer"
    assert answer.backend is None


def test_over_plain_http_only_a_redirect(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    site(world)
    server.decide = lambda _: Deny()
    assert world.get("site.test").status == 301
    assert server.checks == []


@pytest.mark.parametrize(("fail_open", "status"), [(False, 403), (True, 200)])
def test_a_server_that_fails(world: World, server: Authorizer, fail_open: bool, status: int) -> None:
    extension(world, "auth", server)
    site(world, f"{{extensionRef: {{name: auth}}, failOpen: {str(fail_open).lower()}}}")
    server.decide = lambda _: Fail()
    assert world.get_tls("site.test").status == status


@pytest.mark.parametrize("where", ["host", "extension"])
def test_a_server_that_is_late(world: World, server: Authorizer, where: str) -> None:
    """The host's time limit, else that of the ExtensionService."""
    late = {"response": "50ms"}
    extension(world, "auth", server, timeoutPolicy=late if where == "extension" else {"response": "10s"})
    site(world, "{extensionRef: {name: auth}, responseTimeout: 50ms}" if where == "host" else GRPC)
    server.decide = slow(0.5)
    assert world.get_tls("site.test").status == 403
    extension(world, "auth", server)
    site(world)
    assert world.get_tls("site.test").status == 200


def test_the_body_is_shown_as_far_as_is_asked_for(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    site(world, "{extensionRef: {name: auth}, withRequestBody: {maxRequestBytes: 5}}")
    assert request(world, "POST", body=b"12345").status == 200
    assert server.checks.pop().body == "12345"
    assert request(world, "POST", body=b"123456").status == 413
    assert server.checks == []
    body = "{maxRequestBytes: 5, allowPartialMessage: true, packAsBytes: true}"
    site(world, f"{{extensionRef: {{name: auth}}, withRequestBody: {body}}}")
    answer = request(world, "POST", body=b"123456")
    assert (answer.status, answer.seen.body) == (200, "123456")
    (check,) = server.checks
    assert (check.raw_body, check.body) == (b"12345", "")
    assert check.headers["x-envoy-auth-partial-body"] == "true"


def test_contexts_and_switches_of_host_and_routes(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    service = "services: [{name: web, port: 80}]"
    site(
        world,
        "{extensionRef: {name: auth}, authPolicy: {context: {a: host, b: host}}}",
        f"""
        - {{{service}}}
        - {{conditions: [{{prefix: /more}}], {service}, authPolicy: {{context: {{b: route}}}}}}
        - {{conditions: [{{prefix: /open}}], {service}, authPolicy: {{disabled: true}}}}
        - conditions: [{{prefix: /answer}}]
          directResponsePolicy: {{statusCode: 200, body: here}}
          authPolicy: {{disabled: true}}
        - {{conditions: [{{prefix: /answer/asked}}], directResponsePolicy: {{statusCode: 200, body: here}}}}
        """,
    )
    server.decide = lambda check: Deny(403) if check.context.get("b") == "host" else Allow()
    assert world.get_tls("site.test").status == 403
    assert world.get_tls("site.test", "/more").status == 200
    assert [check.context for check in server.checks] == [{"a": "host", "b": "host"}, {"a": "host", "b": "route"}]
    server.checks.clear()
    assert world.get_tls("site.test", "/open").status == 200
    assert world.get_tls("site.test", "/answer").body == b"here"
    assert server.checks == []
    assert world.get_tls("site.test", "/answer/asked").status == 403


def test_a_host_that_asks_for_some_routes_only(world: World, server: Authorizer) -> None:
    extension(world, "auth", server)
    site(
        world,
        "{extensionRef: {name: auth}, authPolicy: {disabled: true}}",
        """
        - services: [{name: web, port: 80}]
        - {conditions: [{prefix: /asked}], services: [{name: web, port: 80}], authPolicy: {disabled: false}}
        """,
    )
    server.decide = lambda _: Deny()
    assert world.get_tls("site.test").status == 200
    assert world.get_tls("site.test", "/asked").status == 403


# --- HTTP servers ---------------------------------------------------------------------------------------------------

HTTP = (
    "{extensionRef: {name: auth}, serviceType: http, httpSettings: {pathPrefix: /check, "
    "allowedAuthorizationHeaders: [{exact: x-key}, {prefix: x-contour}], allowedUpstreamHeaders: [{prefix: x-}]}}"
)


def test_an_http_server(world: World) -> None:
    server = world.backend("shop/auth")
    extension(world, "auth", server, "http/1.1")
    site(world, HTTP)
    server.extra = [("x-user", "you"), (PRIVATE, "http/other.test"), ("secret", "kept")]
    answer = world.get_tls("site.test", "/a", [("x-key", "k"), ("x-other", "o"), ("authorization", "me")])
    assert answer.status == 200
    (check,) = server.seen
    assert (check.method, check.path, check.header("host")) == ("GET", "/check/a", "site.test")
    assert (check.header("x-key"), check.header("authorization")) == ("k", "me")
    assert check.header("x-other") is None
    assert check.header(PRIVATE) is None
    assert answer.seen.header("x-user") == "you"
    assert answer.seen.header("secret") is None
    assert answer.seen.header(PRIVATE) is None
    server.planned.append("/status/402")
    assert world.get_tls("site.test").status == 402


# --- who may be reached, and by whom --------------------------------------------------------------------------------


def test_a_server_can_neither_see_nor_choose_the_scope(world: World, server: Authorizer) -> None:
    """Two tenants on one certificate with one server: what it answers for one may not reach the other."""
    extension(world, "auth", server)
    world.certificate("shop/tls", "*.tenant.test")
    for name in ("a", "b"):
        world.service(f"shop/{name}")
        world.proxy(
            f"shop/{name}",
            f"""
            virtualhost: {{fqdn: {name}.tenant.test, tls: {{secretName: tls}}, authorization: {GRPC}}}
            routes: [{{services: [{{name: {name}, port: 80}}]}}]
            """,
        )
    shared = group(world, "b.tenant.test")
    assert shared == group(world, "a.tenant.test")
    for key in (PRIVATE, PRIVATE.upper(), "X-Contour-Scope"):
        server.decide = lambda _, key=key: Allow(((key, f"{shared}/b.tenant.test"), ("x-new", "1")))  # type: ignore[misc]
        answer = world.get_tls("a.tenant.test")
        assert answer.backend == "shop/a"
        assert answer.seen.header("x-new") == "1"
    server.decide = lambda _: Allow(remove=(PRIVATE,))
    assert world.get_tls("a.tenant.test").backend == "shop/a"
    server.decide = lambda _: Allow(((":authority", "b.tenant.test"),))
    assert world.get_tls("a.tenant.test").backend != "shop/b"
    assert not any(PRIVATE in check.headers for check in server.checks)


def test_a_host_is_not_reached_over_the_chain_of_one_with_another_server(world: World, server: Authorizer) -> None:
    with Authorizer(lambda _: Deny()) as strict:
        extension(world, "auth", server)
        extension(world, "strict", strict)
        world.certificate("shop/tls", "*.tenant.test")
        for name, asks in (("open", ""), ("a", "auth"), ("b", "strict")):
            world.service(f"shop/{name}")
            authorization = f", authorization: {{extensionRef: {{name: {asks}}}}}" if asks else ""
            world.proxy(
                f"shop/{name}",
                f"""
                virtualhost: {{fqdn: {name}.tenant.test, tls: {{secretName: tls}}{authorization}}}
                routes: [{{services: [{{name: {name}, port: 80}}]}}]
                """,
            )
        for sni in ("open", "a", "b"):
            for host in ("open", "a", "b"):
                answer = world.get_tls(f"{sni}.tenant.test", host=f"{host}.tenant.test")
                if sni != host:
                    assert answer.status == 421, (sni, host)
                else:
                    assert answer.status == (403 if host == "b" else 200)
        assert all(check.host != "open.tenant.test" for check in (*server.checks, *strict.checks))


@pytest.mark.parametrize("sni", ["site.test", "SITE.test", "any.site.test", "ANY.site.test"])
def test_hosts_that_the_second_look_finds(world: World, server: Authorizer, sni: str) -> None:
    extension(world, "auth", server)
    site(world)
    world.proxy(
        "shop/wild",
        """
        virtualhost:
          fqdn: "*.site.test"
          tls: {secretName: tls}
          authorization: {extensionRef: {name: auth}, authPolicy: {context: {host: wild}}}
        routes:
        - services: [{name: web, port: 80}]
        - {conditions: [{prefix: /open}], services: [{name: web, port: 80}], authPolicy: {disabled: true}}
        """,
    )
    server.decide = lambda _: Allow(((PRIVATE, "other"),))
    with Http2(connect(world.https, sni=sni, alpn="h2")) as client:
        answer = client.get(sni, "/")
        assert (answer.status, answer.backend) == (200, "shop/web")
        assert answer.seen.header(PRIVATE) is None
    (check,) = server.checks
    assert PRIVATE not in check.headers
    assert check.context == ({"host": "wild"} if "any" in sni.lower() else {})
    server.decide = lambda _: Deny()
    assert world.get_tls(sni, "/").status == 403
    if "any" in sni.lower():
        assert world.get_tls(sni, "/open").status == 200
