"""JWT verification with a real Envoy in both shapes (httpproxy.md §2.15)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.traffic.authorizing import extension
from tests.traffic.world import World

from contour.testing import clients
from contour.testing.authorization import Allow, Authorizer, Deny
from contour.testing.backends import server_context
from contour.testing.certs import Authority
from contour.testing.clients import Http1, Http2, Response
from contour.testing.envoy import Envoy
from contour.testing.jwks import Issuer, JwksServer

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-jwt")]

ISSUER = Issuer()
OTHER = Issuer("https://other.test", "two")


@pytest.fixture
def site(world: World) -> World:
    world.service("shop/web")
    world.certificate("shop/tls", "*.shop.test", "*.wild.test")
    world.secret("shop/keys", "Opaque", {"jwks": ISSUER.key_set(), "other": OTHER.key_set()})
    return world


def local(name: str = "a", key: str = "jwks", **fields: object) -> str:
    more = "".join(f", {field}: {value}" for field, value in fields.items())
    return f"{{name: {name}, default: {str(name == 'a').lower()}, localJWKS: {{secretName: keys, key: {key}}}{more}}}"


def proxy(
    world: World,
    *providers: str,
    fqdn: str = "jwt.shop.test",
    routes: str = "",
    authorization: str = "",
    valid: bool = True,
) -> None:
    world.proxy(
        f"shop/{fqdn.replace('*', 'any')}",
        f"""
        virtualhost:
          fqdn: "{fqdn}"
          tls: {{secretName: tls}}
          jwtProviders: [{", ".join(providers)}]
          {authorization}
        routes:
        - services: [{{name: web, port: 80}}]
          enableWebsockets: true
        {routes}
        """,
        valid=valid,
    )


def ask(
    world: World,
    envoy: Envoy,
    token: str | None,
    path: str = "/",
    *,
    sni: str = "jwt.shop.test",
    host: str | None = None,
) -> Response:
    headers = [("authorization", f"Bearer {token}")] if token is not None else []
    return clients.get_tls(world.opened(envoy, sni), sni, path, headers, host=host)


def test_tokens(site: World, envoy: Envoy) -> None:
    proxy(site, local(issuer=ISSUER.name, audiences="[shop, all]"))
    now = int(time.time())
    assert ask(site, envoy, ISSUER.token(aud="shop", exp=now + 60)).status == 200
    assert ask(site, envoy, ISSUER.token(aud=["else", "all"])).status == 200
    assert ask(site, envoy, None).status == 401
    assert b"missing" in ask(site, envoy, None).body
    for bad in (
        "nonsense",
        ISSUER.token(aud="shop", exp=now - 3600),
        ISSUER.token(aud="shop", nbf=now + 3600),
        ISSUER.token(aud="shop", iss="https://evil.test"),
        Issuer().token(aud="shop"),
        ISSUER.token(aud="shop", header={"alg": "none"}),
        ISSUER.token(aud="shop")[:-4] + "AAAA",
    ):
        assert ask(site, envoy, bad).status == 401, bad
    for bad in (ISSUER.token(aud="other"), ISSUER.token()):
        answer = ask(site, envoy, bad)
        assert (answer.status, answer.body) == (403, b"Audiences in Jwt are not allowed")
    assert clients.get_tls(
        site.opened(envoy, "jwt.shop.test"), "jwt.shop.test", f"/?access_token={ISSUER.token(aud='all')}"
    ).status == 200  # fmt: skip


@pytest.mark.parametrize("forward", [True, False])
def test_the_upstream_sees_the_token_only_if_it_is_forwarded(site: World, envoy: Envoy, forward: bool) -> None:
    proxy(site, local(forwardJWT=str(forward).lower()))
    token = ISSUER.token()
    seen = ask(site, envoy, token).seen.header("authorization")
    assert seen == (f"Bearer {token}" if forward else None)


def test_routes_choose(site: World, envoy: Envoy) -> None:
    proxy(
        site,
        local(),
        local("b", "other"),
        routes="""
        - conditions: [{prefix: /open}]
          services: [{name: web, port: 80}]
          jwtVerificationPolicy: {disabled: true}
        - conditions: [{prefix: /other}]
          services: [{name: web, port: 80}]
          jwtVerificationPolicy: {require: b}
        - conditions: [{prefix: /moved}]
          requestRedirectPolicy: {hostname: a.test}
        """,
    )
    mine, others = ISSUER.token(), OTHER.token()
    paths = ("/", "/open", "/other", "/moved")
    assert [ask(site, envoy, None, path).status for path in paths] == [401, 200, 401, 302]
    assert [ask(site, envoy, mine, path).status for path in paths] == [200, 200, 401, 302]
    assert [ask(site, envoy, others, path).status for path in paths] == [401, 200, 200, 302]


def test_over_plain_http_nobody_asks(site: World, envoy: Envoy) -> None:
    """Where a route is served there: the plain listener has no filter for it. All other routes lead to https."""
    route = """
        - conditions: [{prefix: /insecure}]
          permitInsecure: true
          services: [{name: web, port: 80}]
        """
    proxy(site, local(), routes=route)
    address = site.address("ingress_http", envoy)
    assert clients.get(address, "jwt.shop.test", "/insecure").backend == "shop/web"
    assert clients.get(address, "jwt.shop.test", "/").status == 301
    assert ask(site, envoy, None, "/insecure").status == 401


def test_included_routes_take_the_default_of_the_root(site: World, envoy: Envoy) -> None:
    site.proxy("shop/child", "routes: [{services: [{name: web, port: 80}]}]", valid=False)
    proxy(site, local(), routes="includes: [{name: child, conditions: [{prefix: /child}]}]")
    assert ask(site, envoy, None, "/child").status == 401
    assert ask(site, envoy, ISSUER.token(), "/child").status == 200


def test_a_provider_that_is_not_defined(site: World) -> None:
    """Nobody passes, whether the host has other providers or none. (In the reference's shape everybody, if none.)"""
    envoy = site.envoys[0]
    route = """
        - conditions: [{prefix: /x}]
          services: [{name: web, port: 80}]
          jwtVerificationPolicy: {require: nobody}
        """
    error = ("JWTVerificationError", "JWTProviderNotDefined", 'Route references an undefined JWT provider "nobody"')
    for providers in ((local(),), ()):
        proxy(site, *providers, routes=route, valid=False)
        assert site.errors("shop/jwt.shop.test") == [error]
        assert ask(site, envoy, ISSUER.token(), "/x").status == 403
        assert ask(site, envoy, ISSUER.token()).status == 200


def test_keys_are_rotated(site: World, envoy: Envoy) -> None:
    proxy(site, local())
    later = Issuer(key_id="next")
    assert [ask(site, envoy, one.token()).status for one in (ISSUER, later)] == [200, 401]
    site.secret("shop/keys", "Opaque", {"jwks": later.key_set()})
    assert [ask(site, envoy, one.token()).status for one in (ISSUER, later)] == [401, 200]


@pytest.mark.parametrize("fqdn", ["jwt.shop.test", "*.wild.test"])
def test_connections_that_are_held(site: World, fqdn: str) -> None:
    """Over one whose chain has other keys or other rules the host is no longer to be had: clients come again (421)."""
    host = fqdn.replace("*", "a")
    proxy(site, fqdn=fqdn)
    proxy(site, local("a", "other"), fqdn="beside.shop.test")
    address = site.opened(site.envoys[0], host)

    def told(client: Http1 | Http2, *issuers: Issuer) -> tuple[int, ...]:
        tokens = [[("authorization", f"Bearer {one.token()}")] for one in issuers]
        return tuple(client.request("GET", host, "/", headers).status for headers in ([], *tokens))

    with ExitStack() as stack:

        def connections() -> list[Http1 | Http2]:
            one = stack.enter_context(Http1(clients.connect(address, sni=host)))
            return [one, stack.enter_context(Http2(clients.connect(address, sni=host, alpn="h2")))]

        beside = stack.enter_context(Http1(clients.connect(address, sni="beside.shop.test")))
        token = [("authorization", f"Bearer {OTHER.token()}")]
        assert beside.get("beside.shop.test", "/", token).status == 200
        free = connections()
        assert {told(one) for one in free} == {(200,)}
        proxy(site, local(), fqdn=fqdn)
        assert {told(one, ISSUER) for one in free} == {(421, 421)}
        asked = connections()
        assert {told(one, ISSUER) for one in asked} == {(401, 200)}
        later = Issuer(key_id="next")
        site.secret("shop/keys", "Opaque", {"jwks": later.key_set(), "other": OTHER.key_set()})
        assert {told(one, ISSUER, later) for one in asked} == {(421, 421, 421)}
        rotated = connections()
        assert {told(one, ISSUER, later) for one in rotated} == {(401, 401, 200)}
        proxy(site, local(issuer="https://else.test"), fqdn=fqdn)
        assert {told(one, later) for one in rotated} == {(421, 421)}
        # Nobody else's connection is touched: the host beside it has another key set of the same Secret.
        assert beside.get("beside.shop.test", "/", token).status == 200
        assert not beside.closed()


@pytest.mark.parametrize(("forward", "status"), [("true", 200), ("false", 401)])
def test_a_redirect_that_is_followed_needs_the_token_again(
    site: World, envoy: Envoy, forward: str, status: int
) -> None:
    """It is gone where the upstream was not to see it, in the reference too."""
    route = """
        - conditions: [{prefix: /first}]
          services: [{name: web, port: 80}]
          internalRedirectPolicy: {}
        - conditions: [{prefix: /open}]
          services: [{name: web, port: 80}]
          jwtVerificationPolicy: {disabled: true}
        """
    proxy(site, local(forwardJWT=forward), routes=route)
    for path, wanted in (("/x", status), ("/open", 200)):
        target = f"/first/redirect/302?https://jwt.shop.test{path}"
        assert ask(site, envoy, None, target).status == 401
        answer = ask(site, envoy, ISSUER.token(), target)
        assert answer.status == wanted
        assert wanted != 200 or answer.seen.path == path


def test_hosts_keep_their_providers_apart(site: World, envoy: Envoy) -> None:
    """Of one name, behind one certificate: over a connection to one host the other is not to be had."""
    proxy(site, local())
    proxy(site, local("a", "other"), fqdn="two.shop.test")
    site.proxy("shop/free", "{virtualhost: {fqdn: free.shop.test, tls: {secretName: tls}}, routes: [{services: [{name: web, port: 80}]}]}")  # fmt: skip
    for issuer, one, two in ((ISSUER, 200, 401), (OTHER, 401, 200)):
        assert ask(site, envoy, issuer.token()).status == one
        assert ask(site, envoy, issuer.token(), sni="two.shop.test").status == two
    assert ask(site, envoy, None, sni="free.shop.test").status == 200
    for sni in ("two.shop.test", "free.shop.test"):
        assert ask(site, envoy, OTHER.token(), sni=sni, host="jwt.shop.test").status == 421


def test_on_hosts_that_are_selected_second(site: World, envoy: Envoy) -> None:
    """A wildcard host's route is found when the filters are there already (envoy.md §2)."""
    proxy(site, local(), fqdn="*.wild.test")
    address, bearer = site.opened(envoy, "a.wild.test"), [("authorization", f"Bearer {ISSUER.token()}")]
    # In the reference's shape a wildcard's label is in lower case.
    for host in ("a.wild.test", "A.Wild.Test") if envoy is site.envoys[0] else ("a.wild.test",):
        assert ask(site, envoy, None, sni="a.wild.test", host=host).status == 401
        assert ask(site, envoy, OTHER.token(), sni="a.wild.test", host=host).status == 401
        assert ask(site, envoy, ISSUER.token(), sni="a.wild.test", host=host).status == 200
    for headers, status in ((bearer, 101), ([], 401)):
        with Http1(clients.connect(address, sni="a.wild.test")) as client:
            assert client.websocket("a.wild.test", "/", headers).status == status
    with Http2(clients.connect(address, sni="a.wild.test", alpn="h2")) as client:
        assert client.request("GET", "a.wild.test").status == 401
        assert client.request("GET", "a.wild.test", headers=bearer).status == 200
        assert client.grpc("a.wild.test", "/s.S/M", b"", []).header("grpc-status") == "16"  # unauthenticated


def test_upper_case(site: World, envoy: Envoy) -> None:
    proxy(site, local())
    assert ask(site, envoy, None, host="JWT.shop.TEST").status == 401
    assert ask(site, envoy, ISSUER.token(), host="JWT.shop.TEST").status == 200


def test_a_token_is_asked_for_before_the_authorization_server(site: World, envoy: Envoy) -> None:
    with Authorizer(lambda _: Allow((("x-user", "you"),))) as server:
        extension(site, "auth", server)
        proxy(site, local(), authorization="authorization: {extensionRef: {name: auth}}")
        assert ask(site, envoy, None).status == 401
        assert ask(site, envoy, OTHER.token()).status == 401
        assert server.checks == []
        answer = ask(site, envoy, ISSUER.token())
        assert (answer.status, answer.seen.header("x-user")) == (200, "you")
        assert len(server.checks) == 1
        server.decide = lambda _: Deny()
        assert ask(site, envoy, ISSUER.token()).status == 403


# --- key sets of servers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("issuers' authority")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[JwksServer]:
    pair = authority.sign("localhost")
    with JwksServer(ISSUER.key_set(), tls=server_context(pair.certificate, pair.private_key, str(tmp_path))) as server:
        yield server


def remote(server: JwksServer, scheme: str = "https", **fields: str) -> str:
    more = "".join(f", {field}: {value}" for field, value in fields.items())
    uri = f"{scheme}://localhost:{server.port}/keys?x=y"
    return f"{{name: a, default: true, remoteJWKS: {{uri: '{uri}', dnsLookupFamily: v4{more}}}}}"


def test_a_plain_server(site: World, envoy: Envoy) -> None:
    with JwksServer(ISSUER.key_set()) as server:
        proxy(site, remote(server, "http"))
        assert ask(site, envoy, ISSUER.token()).status == 200
        assert server.fetched == ["/keys?x=y"]
        assert ask(site, envoy, OTHER.token()).status == 401
        assert len(server.fetched) == 1  # they are kept


def test_a_server_over_tls(site: World, envoy: Envoy, server: JwksServer) -> None:
    proxy(site, remote(server))
    assert ask(site, envoy, ISSUER.token()).status == 200


@pytest.mark.parametrize(
    ("trusted", "subject", "status"), [(True, "localhost", 200), (True, "other.test", 401), (False, "localhost", 401)]
)
def test_a_server_is_validated(
    site: World, envoy: Envoy, server: JwksServer, authority: Authority, trusted: bool, subject: str, status: int
) -> None:
    site.secret("shop/ca", "Opaque", {"ca.crt": (authority if trusted else Authority()).certificate})
    proxy(site, remote(server, validation=f"{{caSecret: ca, subjectName: {subject}}}"))
    assert ask(site, envoy, ISSUER.token()).status == status


def test_the_ca_of_another_namespace(site: World, envoy: Envoy, server: JwksServer, authority: Authority) -> None:
    site.secret("pki/ca", "Opaque", {"ca.crt": authority.certificate})
    provider = remote(server, validation="{caSecret: pki/ca, subjectName: localhost}")
    proxy(site, provider, valid=False)
    ((_, reason, _),) = site.errors("shop/jwt.shop.test")
    assert reason == "RemoteJWKSCACertificateNotDelegated"
    site.apply(
        """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {name: ca, namespace: pki}
spec: {delegations: [{secretName: ca, targetNamespaces: [shop]}]}
"""
    )
    assert ask(site, envoy, ISSUER.token()).status == 200


def test_a_key_set_is_kept_for_its_time(site: World, envoy: Envoy, server: JwksServer) -> None:
    proxy(site, remote(server, cacheDuration="1s"))
    started = time.monotonic()
    assert [ask(site, envoy, ISSUER.token()).status for _ in range(3)] == [200] * 3
    assert len(server.fetched) == 1 or time.monotonic() > started + 1  # a machine that is busy
    time.sleep(1.1)  # Envoy's clock is the real one
    before = len(server.fetched)
    assert ask(site, envoy, ISSUER.token()).status == 200
    assert len(server.fetched) == before + 1


def test_one_tenant_s_server_is_not_another_one_s(site: World, server: JwksServer, authority: Authority) -> None:
    """The reference has one cluster for all that name a host, whatever their port and CA (httpproxy.md §5, quirk 11)."""
    envoy = site.envoys[0]
    site.secret("shop/ca", "Opaque", {"ca.crt": authority.certificate})
    proxy(site, remote(server, validation="{caSecret: ca, subjectName: localhost}"))
    with JwksServer(OTHER.key_set()) as plain:
        proxy(site, remote(plain, "http"), fqdn="two.shop.test")
        wrong = remote(server, validation="{caSecret: ca, subjectName: else.test}")
        proxy(site, wrong, fqdn="three.shop.test")
        assert ask(site, envoy, ISSUER.token()).status == 200
        assert ask(site, envoy, OTHER.token(), sni="two.shop.test").status == 200
        assert ask(site, envoy, ISSUER.token(), sni="three.shop.test").status == 401


def test_a_server_that_is_not_there(site: World, envoy: Envoy) -> None:
    with JwksServer(b"") as gone:
        pass
    proxy(site, remote(gone, "http", timeout="100ms"))
    answer = ask(site, envoy, ISSUER.token())
    assert (answer.status, answer.body) == (401, b"Jwks remote fetch is failed")
