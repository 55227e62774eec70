"""External authorization by the server of the settings: for all hosts, on both listeners (operations.md §7.9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.traffic.authorizing import PRIVATE, extension
from tests.traffic.world import World

from contour.api.meta import Ref
from contour.api.projectcontour import (
    AllowedHeader,
    AuthorizationPolicy,
    AuthorizationServer,
    AuthorizationServerBufferSettings,
    ExtensionServiceReference,
    HTTPAuthorizationSettings,
)
from contour.dag.options import Options
from contour.testing.authorization import Allow, Authorizer, Deny, Fail, slow
from contour.testing.clients import Http1, Http2, Response, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("authorization")]

SETTINGS_SERVER = """
apiVersion: v1
kind: Service
metadata: {name: auth-server, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: projectcontour.io/v1alpha1
kind: ExtensionService
metadata: {name: auth, namespace: shop}
spec: {protocol: h2c, services: [{name: auth-server, port: 80}]}
---
"""
REF = ExtensionServiceReference(namespace="shop", name="auth")
SERVICE = "services: [{name: web, port: 80}]"
# Of hosts over TLS: `/` on both listeners, `/secure` over TLS alone.
ROUTES = f"""
        - {{{SERVICE}, permitInsecure: true}}
        - {{conditions: [{{prefix: /secure}}], {SERVICE}}}
        - {{conditions: [{{prefix: /open}}], {SERVICE}, permitInsecure: true, authPolicy: {{disabled: true}}}}
        - {{conditions: [{{prefix: /asked}}], {SERVICE}, permitInsecure: true, authPolicy: {{disabled: false}}}}
        - {{conditions: [{{prefix: /more}}], {SERVICE}, permitInsecure: true, authPolicy: {{context: {{b: route}}}}}}
        - {{conditions: [{{prefix: /chat}}], {SERVICE}, permitInsecure: true, enableWebsockets: true}}
        - {{conditions: [{{prefix: /a.B/}}], services: [{{name: grpc, port: 80}}], permitInsecure: true}}
"""


@pytest.fixture
def server() -> Iterator[Authorizer]:
    with Authorizer() as server:
        yield server


@contextmanager
def _world(directory: Path, policy: AuthorizationServer, fallback: Ref | None = None) -> Iterator[World]:
    world = World(directory, Options(authorization=policy, fallback_certificate=fallback), SETTINGS_SERVER)
    try:
        world.envoy()
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def guarded_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The settings' server is given a context, and a second to answer."""
    context = AuthorizationPolicy(context={"a": "settings", "b": "settings"})
    policy = AuthorizationServer(extension_ref=REF, auth_policy=context, response_timeout="1s")
    with _world(tmp_path_factory.mktemp("g"), policy) as world:
        yield world


@pytest.fixture
def guarded(guarded_world: World, server: Authorizer) -> Iterator[World]:
    extension(guarded_world, "auth", server)
    yield guarded_world
    guarded_world.clear()


def site(world: World, authorization: str = "", fqdn: str = "site.test", tls: str = ", tls: {secretName: tls}") -> None:
    """A host, in front of `shop/web` and `shop/grpc`."""
    world.certificate("shop/tls", "site.test", "*.site.test")
    world.service("shop/web")
    world.service("shop/grpc", protocol="h2c")
    authorization = f", authorization: {authorization}" if authorization else ""
    name = fqdn.replace("*", "any")
    world.proxy(f"shop/{name}", f'virtualhost: {{fqdn: "{fqdn}"{tls}{authorization}}}\nroutes:\n{ROUTES}')


def test_it_is_asked_for_all_hosts(guarded: World, server: Authorizer) -> None:
    """On both listeners, of Ingress on the plain one alone; never about a redirect to https."""
    site(guarded)
    guarded.certificate("shop/ingress-tls", "ingress.test")
    backend = "{service: {name: web, port: {number: 80}}}"
    rule = f"{{host: ingress.test, http: {{paths: [{{path: /, pathType: Prefix, backend: {backend}}}]}}}}"
    guarded.ingress("shop/ingress", f"tls: [{{secretName: ingress-tls, hosts: [ingress.test]}}]\nrules: [{rule}]")
    server.decide = lambda _: Deny(401)
    for ask in (guarded.get, guarded.get_tls):
        assert ask("site.test").status == 401
        assert ask("site.test", "/open").status == 200
    assert guarded.get("ingress.test").status == 401
    assert guarded.get_tls("ingress.test").status == 200
    assert guarded.get("site.test", "/secure").status == 301
    assert guarded.get("no.such.test").status == 404
    contexts = [(check.host, check.context.get("a")) for check in server.checks]
    assert contexts == [("site.test", "settings"), ("site.test", "settings"), ("ingress.test", None)]


def test_a_host_over_plain_http_says_what_it_adds_or_that_it_is_not_asked(guarded: World, server: Authorizer) -> None:
    """`authorization` without a server of its own, which only a host over TLS may name."""
    site(guarded, tls="")
    guarded.get("site.test", "/more")
    site(guarded, "{authPolicy: {context: {c: host}}}", tls="")
    guarded.get("site.test", "/more")
    own = [{"a": "settings", "b": "route"}, {"b": "route", "c": "host"}]
    assert [check.context for check in server.checks] == own
    server.decide = lambda _: Deny()
    site(guarded, "{authPolicy: {disabled: true}}", tls="")
    assert guarded.get("site.test").status == 200
    assert guarded.get("site.test", "/asked").status == 403


def test_its_time_limit_holds_on_both_listeners(guarded: World, server: Authorizer) -> None:
    site(guarded)
    server.decide = slow(3)
    assert guarded.get("site.test").status == 403
    assert guarded.get_tls("site.test").status == 403


def test_a_host_with_its_own_server_asks_that_one_over_tls(guarded: World, server: Authorizer) -> None:
    with Authorizer(lambda _: Deny(402)) as own:
        extension(guarded, "own", own)
        site(guarded, "{extensionRef: {name: own}}")
        assert guarded.get_tls("site.test").status == 402
        assert guarded.get("site.test").status == 200
    assert len(server.checks) == 1


def test_without_it_nobody_passes(guarded: World) -> None:
    site(guarded, tls="")
    guarded.endpoints("shop/auth-server")
    assert guarded.get("site.test").status == 403


@pytest.mark.parametrize("spelled", ["site.test", "SITE.TEST", "x.site.test", "X.SITE.TEST", "site.test:8080"])
def test_it_neither_sees_nor_chooses_the_scope_nor_the_host(guarded: World, server: Authorizer, spelled: str) -> None:
    site(guarded, tls="")
    site(guarded, fqdn="*.site.test", tls="")
    guarded.service("shop/other")
    for name, host in (("other", "other.test"), ("any-other", "*.other.test")):
        guarded.proxy(
            f"shop/{name}", f'virtualhost: {{fqdn: "{host}"}}\nroutes: [{{services: [{{name: other, port: 80}}]}}]'
        )
    for scope, host in (("http/other.test", "other.test"), ("http/*", "x.other.test"), ("", "")):
        headers = ((PRIVATE, scope), ("X-Contour-Scope", scope), (":authority", host), ("host", host))
        for action in ("", "APPEND", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS"):
            given = Allow(headers, remove=(PRIVATE, "host"), action=action)
            server.decide = lambda _, given=given: given  # type: ignore[misc]
            answer = guarded.get(spelled, headers=[(PRIVATE, "http/other.test")])
            assert (answer.backend, answer.seen.header("host")) == ("shop/web", spelled)
            assert answer.seen.header(PRIVATE) is None
    assert not any(PRIVATE in check.headers for check in server.checks)


@pytest.mark.parametrize("spelled", ["site.test", "SITE.TEST", "x.site.test", "X.SITE.TEST"])
def test_calls_over_grpc(guarded: World, server: Authorizer, spelled: str) -> None:
    site(guarded, tls="")
    site(guarded, fqdn="*.site.test", tls="")
    with Http2(connect(guarded.http)) as client:
        answer = client.grpc(spelled, "/a.B/C", b"message")
        assert (answer.backend, answer.body, dict(answer.trailers)["grpc-status"]) == (
            "shop/grpc",
            b"\0\0\0\0\7message",
            "0",
        )
        server.decide = lambda _: Deny(401)
        answer = client.grpc(spelled, "/a.B/C", b"message")
        assert (answer.status, answer.header("grpc-status"), answer.backend) == (200, "16", None)
    assert not any(PRIVATE in check.headers for check in server.checks)


@pytest.mark.parametrize("spelled", ["site.test", "SITE.TEST", "x.site.test"])
def test_websockets(guarded: World, server: Authorizer, spelled: str) -> None:
    site(guarded, tls="")
    site(guarded, fqdn="*.site.test", tls="")

    def upgrade(path: str) -> Response:
        with Http1(connect(guarded.http)) as client:
            return client.websocket(spelled, path)

    answer = upgrade("/chat")
    assert (answer.status, answer.backend, answer.body) == (101, "shop/web", b"hello")
    assert upgrade("/").status == 403
    server.decide = lambda _: Deny(401)
    assert upgrade("/chat").status == 401


# --- other settings -------------------------------------------------------------------------------------------------


def test_where_nobody_is_asked_unless_a_host_or_route_says_so(tmp_path: Path, server: Authorizer) -> None:
    """And where a server that fails does not matter."""
    policy = AuthorizationServer(extension_ref=REF, auth_policy=AuthorizationPolicy(disabled=True), fail_open=True)
    server.decide = lambda _: Deny()
    with _world(tmp_path, policy) as world:
        extension(world, "auth", server)
        site(world)
        for ask in (world.get, world.get_tls):
            assert ask("site.test").status == 200
            assert ask("site.test", "/asked").status == 403
        site(world, "{authPolicy: {disabled: false}}")
        for ask in (world.get, world.get_tls):
            assert ask("site.test").status == 403
            assert ask("site.test", "/open").status == 200
        server.decide = lambda _: Fail()
        for ask in (world.get, world.get_tls):
            assert ask("site.test").status == 200


def test_a_server_that_speaks_http(tmp_path: Path) -> None:
    policy = AuthorizationServer(
        extension_ref=REF,
        service_type="http",
        http_settings=HTTPAuthorizationSettings(
            path_prefix="/check",
            allowed_authorization_headers=(AllowedHeader(exact="X-KEY", ignore_case=True), AllowedHeader(prefix="x-c")),
            allowed_upstream_headers=(AllowedHeader(suffix="-user"), AllowedHeader(contains="scope")),
        ),
        with_request_body=AuthorizationServerBufferSettings(max_request_bytes=5, allow_partial_message=True),
    )
    with _world(tmp_path, policy) as world:
        server = world.backend("shop/auth")
        extension(world, "auth", server, "http/1.1")
        site(world)
        server.extra = [("x-user", "you"), (PRIVATE, "http/other.test"), ("secret", "kept")]
        for connection in (connect(world.http), connect(world.https, sni="site.test")):
            with Http1(connection) as client:
                headers = [("x-key", "k"), ("y-key", "o"), (PRIVATE, "forged")]
                answer = client.request("POST", "site.test", "/a", headers, b"123456")
            assert (answer.backend, answer.seen.body) == ("shop/web", "123456")
            check = server.seen.pop()
            assert (check.method, check.path, check.header("host"), check.body) == (
                "POST",
                "/check/a",
                "site.test",
                "12345",
            )
            assert [check.header(name) for name in ("x-key", "y-key", PRIVATE)] == ["k", None, None]
            assert [answer.seen.header(name) for name in ("x-user", PRIVATE, "secret")] == ["you", None, None]
        server.planned += ["/status/402", "/status/302", "/status/500"]
        assert [world.get("site.test").status for _ in range(3)] == [402, 302, 403]


def test_clients_without_a_server_name(tmp_path: Path, server: Authorizer) -> None:
    """They come by the fallback certificate, and are asked about like others."""
    policy = AuthorizationServer(extension_ref=REF)
    with _world(tmp_path, policy, Ref("vault", "fallback")) as world:
        extension(world, "auth", server)
        world.certificate("vault/fallback", "fallback.test")
        world.apply(
            """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {name: fallback, namespace: vault}
spec: {delegations: [{secretName: fallback, targetNamespaces: ["*"]}]}
"""
        )
        site(world, tls=", tls: {secretName: tls, enableFallbackCertificate: true}")

        def ask(path: str = "/") -> Response:
            with Http1(connect(world.https, sni="")) as client:
                return client.get("site.test", path, [(PRIVATE, "forged")])

        answer = ask()
        assert (answer.backend, answer.seen.header(PRIVATE)) == ("shop/web", None)
        assert PRIVATE not in server.checks[-1].headers
        server.decide = lambda _: Deny(401)
        assert ask().status == 401
        assert ask("/open").status == 200
