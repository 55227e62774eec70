"""Tenants that share a certificate and an authorization server: what it says about a request of one never brings the
request to another, however the host is spelled and whichever way the scope was found (security.md).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from tests.traffic.authorizing import PRIVATE, extension, group
from tests.traffic.world import World

from contour.testing.authorization import Allow, Authorizer, Deny
from contour.testing.backends import Backend
from contour.testing.certs import show
from contour.testing.clients import Http1, Http2, Response, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("authorization")]

# Hosts of tenant a, as clients spell them: found at once, in lower case, as a wildcard's, and as one in upper case.
SPELLINGS = ("a.test", "A.Test", "x.wild-a.test", "X.Wild-A.test")
OTHERS = ("b.test", "B.TEST", "b.test:80", "x.wild-b.test")
ACTIONS = (
    "",
    "APPEND",
    "APPEND_IF_EXISTS_OR_ADD",
    "ADD_IF_ABSENT",
    "OVERWRITE_IF_EXISTS_OR_ADD",
    "OVERWRITE_IF_EXISTS",
)
AUTHORIZATION = "authorization: {extensionRef: {name: auth}}"
HTTP = (
    "authorization: {extensionRef: {name: auth}, serviceType: http, "
    "httpSettings: {allowedAuthorizationHeaders: [{contains: '-'}], allowedUpstreamHeaders: [{exact: host}, {prefix: x-}]}}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Authorizer]:
    with Authorizer() as server:
        yield server


@pytest.fixture
def tenants(world: World, server: Authorizer) -> World:
    """Tenants a and b, each with a host and a wildcard host."""
    server.decide = lambda _: Allow()
    server.checks.clear()
    extension(world, "auth", server)
    _serve(world, AUTHORIZATION)
    return world


def _serve(world: World, authorization: str) -> None:
    world.certificate("shop/tls", "a.test", "b.test", "*.wild-a.test", "*.wild-b.test")
    for tenant in ("a", "b"):
        world.service(f"shop/{tenant}", protocol="")
        world.service(f"shop/{tenant}-grpc", protocol="h2c")
        for name, host in ((tenant, f"{tenant}.test"), (f"wild-{tenant}", f"*.wild-{tenant}.test")):
            world.proxy(
                f"shop/{name}",
                f"""
                virtualhost: {{fqdn: "{host}", tls: {{secretName: tls}}, {authorization}}}
                routes:
                - {{services: [{{name: {tenant}, port: 80}}]}}
                - {{conditions: [{{prefix: /chat}}], services: [{{name: {tenant}, port: 80}}], enableWebsockets: true}}
                - {{conditions: [{{prefix: /a.B/}}], services: [{{name: {tenant}-grpc, port: 80}}]}}
                - {{conditions: [{{prefix: /moved}}], services: [{{name: {tenant}, port: 80}}],
                   internalRedirectPolicy: {{maxInternalRedirects: 3, redirectResponseCodes: [302]}}}}
                """,
            )


def _ask(world: World, spelled: str, path: str = "/") -> Response:
    with Http2(connect(world.https, sni=spelled, alpn="h2")) as client:
        return client.get(spelled, path, [(PRIVATE, "forged")])


def _is_of_a(answer: Response) -> None:
    assert (answer.status, answer.backend) == (200, "shop/a"), answer
    assert answer.seen.header(PRIVATE) is None


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_the_scope_is_neither_shown_nor_chosen(tenants: World, server: Authorizer, spelled: str) -> None:
    shared = group(tenants, "b.test")
    assert shared == group(tenants, "a.test")
    for scope in (f"{shared}/b.test", f"{shared}/*", "http/b.test", "", f"{shared}/x.wild-b.test"):
        for name in (PRIVATE, "X-Contour-Scope"):
            for action in ACTIONS:
                given = Allow(((name, scope),), action=action)
                server.decide = lambda _, given=given: given  # type: ignore[misc]
                _is_of_a(_ask(tenants, spelled))
    server.decide = lambda _: Allow(remove=(PRIVATE,))
    _is_of_a(_ask(tenants, spelled))
    assert not any(PRIVATE in check.headers for check in server.checks)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_the_host_is_the_one_that_the_client_asked_for(tenants: World, server: Authorizer, spelled: str) -> None:
    """Not one of the others, whose own tokens and addresses have not been looked at."""
    for other in OTHERS:
        for name in (":authority", "host", "Host"):
            for action in ACTIONS:
                given = Allow(((name, other), (":path", "/b")), action=action)
                server.decide = lambda _, given=given: given  # type: ignore[misc]
                answer = _ask(tenants, spelled)
                _is_of_a(answer)
                assert answer.seen.header("host") == spelled
    server.decide = lambda _: Allow(remove=("host", ":authority", ":path"))
    _is_of_a(_ask(tenants, spelled))


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_the_path_may_be_another_one_of_the_same_host(tenants: World, server: Authorizer, spelled: str) -> None:
    server.decide = lambda _: Allow(((":path", "/new?a=b"), (":method", "PUT")))
    answer = _ask(tenants, spelled)
    _is_of_a(answer)
    assert (answer.seen.method, answer.seen.path) == ("PUT", "/new?a=b")


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_redirect_that_envoy_follows_is_checked_again(tenants: World, server: Authorizer, spelled: str) -> None:
    """Each time without the private header."""
    backend = tenants.backend("redirecting")
    tenants.endpoints("shop/a", backend)
    backend.planned.append(f"/redirect/302?https://{spelled}/chat")
    answer = _ask(tenants, spelled, "/moved")
    assert [check.path for check in server.checks] == ["/moved", "/chat"]
    assert not any(PRIVATE in check.headers for check in server.checks)
    assert (answer.backend, answer.seen.path, answer.seen.header(PRIVATE)) == ("redirecting", "/chat", None)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_calls_over_grpc(tenants: World, server: Authorizer, spelled: str) -> None:
    with Http2(connect(tenants.https, sni=spelled, alpn="h2")) as client:
        answer = client.grpc(spelled, "/a.B/C", b"message", [("x-key", "k")])
        assert (answer.backend, answer.body) == ("shop/a-grpc", b"\0\0\0\0\7message")
        assert dict(answer.trailers)["grpc-status"] == "0"
        assert (server.checks[-1].path, server.checks[-1].headers["x-key"]) == ("/a.B/C", "k")
        server.decide = lambda _: Deny(401, "who are you?")
        answer = client.grpc(spelled, "/a.B/C", b"message")
        assert (answer.status, answer.header("grpc-status"), answer.backend) == (200, "16", None)
        server.decide = lambda _: Deny(403)
        assert client.grpc(spelled, "/a.B/C", b"message").header("grpc-status") == "7"
    assert not any(PRIVATE in check.headers for check in server.checks)


@pytest.mark.parametrize("spelled", ["a.test", "A.Test", "x.wild-a.test"])
def test_websockets(tenants: World, server: Authorizer, spelled: str) -> None:
    def upgrade(path: str) -> Response:
        with Http1(connect(tenants.https, sni=spelled)) as client:
            return client.websocket(spelled, path, [(PRIVATE, "forged")])

    answer = upgrade("/chat")
    assert (answer.status, answer.backend, answer.body) == (101, "shop/a", b"hello")
    assert server.checks[-1].headers["upgrade"] == "websocket"
    assert upgrade("/").status == 403
    server.decide = lambda _: Deny(401)
    assert upgrade("/chat").status == 401
    # The route that the server's path leads to decides whether a WebSocket may come there.
    server.decide = lambda _: Allow(((":authority", "b.test"), (PRIVATE, "http/b.test")))
    assert upgrade("/chat").backend == "shop/a"
    assert not any(PRIVATE in check.headers for check in server.checks)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_server_that_speaks_http(world: World, spelled: str) -> None:
    server: Backend = world.backend("auth")
    extension(world, "auth", server, "http/1.1")
    _serve(world, HTTP)
    shared = group(world, "b.test")
    for name, value in (
        (PRIVATE, f"{shared}/b.test"),
        (PRIVATE, f"{shared}/*"),
        ("host", "b.test"),
        ("Host", OTHERS[3]),
    ):
        server.extra = [(name, value), ("x-also", "yes")]
        answer = _ask(world, spelled)
        _is_of_a(answer)
        assert (answer.seen.header("host"), answer.seen.header("x-also")) == (spelled, "yes")
    assert all(check.header(PRIVATE) is None for check in server.seen)


def test_tenants_with_and_without_client_certificates(world: World, server: Authorizer) -> None:
    """One server for all: what it is told about a client is what the client showed on the connection for that host."""
    server.checks.clear()
    server.decide = lambda _: Allow()
    extension(world, "auth", server)
    world.certificate("shop/tls", "*.tenant.test")
    world.secret("shop/ca", "Opaque", {"ca.crt": world.authority.certificate})
    wanted = {"open": "", "optional": "optionalClientCertificate: true", "strict": "optionalClientCertificate: false"}
    for name, validation in wanted.items():
        world.service(f"shop/{name}")
        clients = f", clientValidation: {{caSecret: ca, {validation}}}" if validation else ""
        world.proxy(
            f"shop/{name}",
            f"""
            virtualhost: {{fqdn: {name}.tenant.test, tls: {{secretName: tls{clients}}}, {AUTHORIZATION}}}
            routes: [{{services: [{{name: {name}, port: 80}}]}}]
            """,
        )
    pair = world.authority.sign("client.test", client=True)
    for sni in wanted:
        for shown in (False, True):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if shown:
                show(context, pair)
            for host in wanted:
                server.checks.clear()
                try:
                    answer = world.get_tls(f"{sni}.tenant.test", host=f"{host}.tenant.test", context=context)
                except OSError:
                    assert (sni, shown) == ("strict", False)
                    continue
                if host != sni:
                    assert (answer.status, server.checks) == (421, []), (sni, host)
                    continue
                assert answer.backend == f"shop/{host}"
                (check,) = server.checks
                assert bool(check.certificate) == (shown and host != "open"), (host, shown)
