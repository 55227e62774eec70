"""Two tenants behind one Envoy: neither's token, origin, upgrade or call is the other's (security.md, envoy.md §2).

Team-a has an exact host and a wildcard, team-b a host below that wildcard and one beside it; each has its own issuer,
its own origins and its own backend. Names in capitals and names of wildcards are those that the second selection finds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.world import World

from contour.envoy.resource import SCOPED_ROUTE
from contour.testing import clients
from contour.testing.clients import Http1, Http2, Pairs, Response
from contour.testing.jwks import Issuer

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tenants")]

PRIVATE = "x-contour-scope"
ISSUERS = {"a": Issuer("https://a.issuer.test"), "b": Issuer("https://b.issuer.test")}
ORIGINS = {"a": "https://a.origin.test", "b": "https://b.origin.test"}
# Server name -> whose it is.
HOSTS = {
    "one.a.test": "a",
    "any.wild.test": "a",
    "other.wild.test": "a",
    "b.wild.test": "b",
    "one.b.test": "b",
    "any.b.test": "b",
}

PROXY = """
        virtualhost:
          fqdn: "{fqdn}"
          tls: {{secretName: tls}}
          jwtProviders: [{{name: issuer, default: true, issuer: "{issuer}", localJWKS: {{secretName: keys, key: jwks}}}}]
          corsPolicy: {{allowOrigin: ["{origin}"], allowMethods: [GET, "{team}"]}}
        routes:
        - services: [{{name: web, port: 80}}]
          permitInsecure: true
        - conditions: [{{prefix: /ws}}]
          services: [{{name: web, port: 80}}]
          permitInsecure: true
          enableWebsockets: {websockets}
        - conditions: [{{prefix: /open}}]
          services: [{{name: web, port: 80}}]
          jwtVerificationPolicy: {{disabled: true}}
        """


@pytest.fixture(scope="module")
def tenants(running: World) -> Iterator[World]:
    for team, fqdns in (("a", ("one.a.test", "*.wild.test")), ("b", ("b.wild.test", "one.b.test", "*.b.test"))):
        running.service(f"team-{team}/web", protocol="h2c" if team == "b" else "")
        running.certificate(f"team-{team}/tls", "*.a.test", "*.b.test", "*.wild.test")
        running.secret(f"team-{team}/keys", "Opaque", {"jwks": ISSUERS[team].key_set()})
        for fqdn in fqdns:
            spec = PROXY.format(
                fqdn=fqdn, team=team.upper(), issuer=ISSUERS[team].name, origin=ORIGINS[team],
                websockets=str(team == "a").lower(),
            )  # fmt: skip
            running.proxy(f"team-{team}/{fqdn.replace('*', 'any')}", spec)
    yield running
    running.clear()


def bearer(team: str) -> tuple[str, str]:
    return "authorization", f"Bearer {ISSUERS[team].token()}"


def spellings(name: str) -> tuple[str, ...]:
    return name, name.upper(), f"{name}:8443", f"{name.title()}:1"


def forgeries(tenants: World) -> list[Pairs]:
    """The private header as a client may try to send it, with every scope that there is."""
    found: list[Pairs] = [()]
    shape = tenants.pipeline.shape("scoped")
    scopes = tenants.ask(lambda: sorted(name for name, _ in shape[SCOPED_ROUTE].items()))
    for scope in ("", "nonsense", *scopes):
        found += [[(PRIVATE, scope)], [("X-Contour-Scope", scope), (PRIVATE, scope)]]
    return found


def unseen(answer: Response) -> bool:
    """Nothing private has reached the backend or come back."""
    return not any(name.startswith("x-contour") for name, _ in (*answer.seen.headers, *answer.headers))


@pytest.mark.parametrize("host", HOSTS)
def test_only_its_own_issuer_opens_a_host(tenants: World, host: str) -> None:
    mine = HOSTS[host]
    others = "b" if mine == "a" else "a"
    for spelled in spellings(host):
        with Http1(clients.connect(tenants.https, sni=host)) as client:
            assert client.get(spelled, "/").status == 401
            assert client.get(spelled, "/", [bearer(others)]).status == 401
            assert client.get(spelled, f"/?access_token={ISSUERS[others].token()}").status == 401
            for answer in (client.get(spelled, "/", [bearer(mine)]), client.get(spelled, "/open")):
                assert (answer.status, answer.backend) == (200, f"team-{mine}/web")
                assert unseen(answer)


@pytest.mark.parametrize("sni", HOSTS)
def test_no_host_is_had_over_another_one_s_connection(tenants: World, sni: str) -> None:
    """Whatever token is shown, also on the route that asks for none, in HTTP/1 and HTTP/2."""
    for other in HOSTS:
        if other == sni:
            continue
        for team in ISSUERS:
            with Http2(clients.connect(tenants.https, sni=sni, alpn="h2")) as http2:
                for spelled in spellings(other):
                    for path in ("/", "/open"):
                        answer = http2.request("GET", spelled, path, [bearer(team)])
                        assert (answer.status, answer.backend) == (421, None), (other, team, path)
        with Http1(clients.connect(tenants.https, sni=sni)) as http1:
            assert http1.get(other, "/open", [bearer("a"), bearer("b")]).status == 421
            assert http1.get(sni, f"https://{other}/open").status == 421  # an absolute target


def test_a_forged_scope_moves_nobody(tenants: World) -> None:
    for headers in forgeries(tenants):
        for host, mine in HOSTS.items():
            with Http1(clients.connect(tenants.https, sni=host)) as client:
                for spelled in (host, host.upper()):
                    assert client.get(spelled, "/", [*headers]).status == 401
                    answer = client.get(spelled, "/", [*headers, bearer(mine)])
                    assert answer.backend == f"team-{mine}/web"
                    assert unseen(answer)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", HOSTS)
def test_a_preflight_is_answered_by_its_host_s_policy(tenants: World, host: str, tls: bool) -> None:
    mine = HOSTS[host]
    for spelled in spellings(host):
        for team, origin in ORIGINS.items():
            asked = [("origin", origin), ("access-control-request-method", "PUT")]
            for forged in ((), [(PRIVATE, "http/one.b.test")], [(PRIVATE, "http/*")]):
                with Http1(
                    clients.connect(tenants.https if tls else tenants.http, sni=host if tls else None)
                ) as client:
                    answer = client.request("OPTIONS", spelled, "/x", [*asked, *forged])
                allowed = answer.header("access-control-allow-methods")
                assert allowed == (f"GET,{mine.upper()}" if team == mine else None)
                if team != mine:  # passed on: over TLS it lacks a token
                    assert answer.status == 401 if tls else answer.backend == f"team-{mine}/web"


@pytest.mark.parametrize("host", HOSTS)
def test_a_preflight_over_another_one_s_connection(tenants: World, host: str) -> None:
    for sni in HOSTS:
        if sni == host:
            continue
        with Http2(clients.connect(tenants.https, sni=sni, alpn="h2")) as client:
            for origin in ORIGINS.values():
                asked = [("origin", origin), ("access-control-request-method", "PUT")]
                answer = client.request("OPTIONS", host, "/x", asked)
                assert (answer.status, answer.header("access-control-allow-methods")) == (421, None)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", [host for host, team in HOSTS.items() if team == "b"])
def test_calls_over_grpc_reach_the_right_tenant(tenants: World, host: str, tls: bool) -> None:
    """Of team-b, whose server speaks HTTP/2."""
    mine, others = "b", "a"
    address, sni = (tenants.https, host) if tls else (tenants.http, None)
    with Http2(clients.connect(address, sni=sni, alpn="h2")) as client:
        for spelled in spellings(host):
            for forged in ((), [(PRIVATE, "http/one.a.test")]):
                answer = client.grpc(spelled, "/s.S/Method", b"hello", [bearer(mine), *forged])
                assert (answer.status, answer.backend, answer.body[5:]) == (200, f"team-{mine}/web", b"hello")
                for headers in ([bearer(others), *forged], [*forged]):
                    answer = client.grpc(spelled, "/s.S/Method", b"", headers)
                    wanted = ("16", None) if tls else (None, f"team-{mine}/web")  # unauthenticated
                    assert (answer.header("grpc-status"), answer.backend) == wanted
        if tls:
            for other in HOSTS:
                answer = client.grpc(other, "/s.S/Method", b"", [bearer("a"), bearer("b")])
                assert answer.backend is None or other == host


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", HOSTS)
def test_websockets_reach_the_right_tenant(tenants: World, host: str, tls: bool) -> None:
    """Team-b's routes allow none; in no spelling, and with no forged scope, do they have team-a's permission."""
    mine, others = HOSTS[host], "b" if HOSTS[host] == "a" else "a"
    address, sni = (tenants.https, host) if tls else (tenants.http, None)

    def ask(spelled: str, path: str, headers: Pairs) -> Response:
        with Http1(clients.connect(address, sni=sni)) as client:
            return client.websocket(spelled, path, headers, text="over")

    for forged in ((), [(PRIVATE, "http/one.a.test")], [(PRIVATE, "http/*")]):
        for spelled in spellings(host):
            answer = ask(spelled, "/ws", [bearer(mine), *forged])
            if mine == "b":
                assert (answer.status, answer.backend) == (403, None)
                continue
            # Over HTTP nothing looks a third time: a wildcard's name in capitals is refused (envoy.md §2).
            wanted = (101, f"team-{mine}/web", b"over")
            if not tls and "wild" in host and not spelled.islower():
                wanted = (403, None, b"")
            assert (answer.status, answer.backend, answer.body) == wanted
            assert ask(spelled, "/", [bearer(mine), *forged]).status == 403
            if tls:
                assert ask(spelled, "/ws", [bearer(others), *forged]).status == 401
                assert ask(spelled, "/ws", [*forged]).status == 401
    if tls:
        for other in HOSTS:
            if other != host:
                answer = ask(other, "/ws", [bearer("a")])
                assert (answer.status, answer.backend) in ((421, None), (403, None))


def test_over_plain_http_each_host_has_its_own_backend(tenants: World) -> None:
    for host, team in HOSTS.items():
        for spelled in spellings(host):
            for headers in forgeries(tenants):
                answer = clients.get(tenants.http, spelled, "/", headers)
                assert answer.backend == f"team-{team}/web"
                assert unseen(answer)
            assert clients.get(tenants.http, spelled, "/open").status == 301


def test_what_a_client_says_of_itself_is_not_passed_on(tenants: World) -> None:
    """Headers that Envoy writes about a client, forged by it."""
    forged = [
        ("x-forwarded-client-cert", "Hash=00;Subject=evil"),
        ("x-forwarded-proto", "http"),
        ("x-envoy-internal", "true"),
        ("x-envoy-external-address", "10.0.0.1"),
        ("x-envoy-original-path", "/admin"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
    ]
    for host in ("one.b.test", "any.wild.test"):
        seen = clients.get_tls(tenants.https, host, "/open", forged).seen
        assert seen.header("x-forwarded-client-cert") is None
        assert seen.header("x-forwarded-proto") == "https"
        assert not any(name.startswith("x-envoy") and (name, value) in forged for name, value in seen.headers)
