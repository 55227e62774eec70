"""JWT providers in the graph: what of a URL counts, where keys may not be, which Secrets (httpproxy.md §2.15)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.dag.world import Mapping, World, obj, proxy, root, service, serving, to

from contour.api.meta import Ref
from contour.dag.graph import DnsCluster, JwtProvider, LocalKeys, RemoteKeys

KEYS = json.dumps({"keys": []})
SECOND = 1_000_000_000
# An address or a name of Envoy's own machine, as a resolver may be asked for it.
LOCAL = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "local.projectcontour.io",
    "ip6-localhost", "IP6-loopback.", "localhost6", "localhost4.localdomain4",
    "127.0.0.1", "127.0.0.1.", "127.1", "127.255.0.9", "0x7f.1", "0x7f000001", "017700000001", "2130706433",
    "0", "0.0.0.0", "169.254.169.254", "0xa9fea9fe",
    "[::1]", "[0:0::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[fe80::1]",
    "[fe80::1%25eth0]",
]  # fmt: skip


def secret(name: str, text: str = KEYS, kind: str = "Opaque") -> Mapping:
    return obj("Secret", "v1", name, type=kind, data={"jwks": base64.b64encode(text.encode()).decode()})


def site(*providers: Mapping, objects: tuple[Mapping, ...] = (), routes: Any = None, **options: Any) -> World:
    virtualhost = {"tls": {"secretName": "cert"}, "jwtProviders": list(providers)}
    host = root("site", "shop.test", virtualhost=virtualhost, routes=routes or [to("web")])
    return World(service(), serving("cert"), secret("keys"), *objects, host, **options)


def local(name: str = "a", **fields: Any) -> Mapping:
    return {"name": name, "localJWKS": {"secretName": "keys", "key": "jwks"}, **fields}


def remote(uri: str, name: str = "a", **fields: Any) -> Mapping:
    return {"name": name, "remoteJWKS": {"uri": uri, **fields}}


def providers(world: World) -> tuple[JwtProvider, ...]:
    https = world.host("shop.test").https
    assert https is not None, world.verdict("site")
    return https.jwt_providers


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize("uri", ["http://{}/keys", "https://{}:8443", "http://user:password@{}/"])
def test_a_server_on_envoy_s_own_machine(host: str, uri: str) -> None:
    """It may be Envoy itself; only a folder's author is trusted with it."""
    provider = remote(uri.format(host))
    ((kind, reason, message),) = site(provider).errors("site")
    assert (kind, reason) == ("JWTVerificationError", "RemoteJWKSURIInvalid")
    assert message.endswith("is a loopback, link-local or unspecified address, this is not allowed")
    assert site(provider, loopback_endpoints=True).errors("site") == []


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("http://issuer.test", "issuer.test", 80),
        ("https://issuer.test/keys?x=y#z", "issuer.test", 443),
        ("https://issuer.test:08443/", "issuer.test", 8443),
        ("http://issuer.test:/", "issuer.test", 80),
        ("HTTPS://Issuer.TEST/", "Issuer.TEST", 443),
        ("https://[2001:db8::1]:444/", "2001:db8::1", 444),
        ("https://mylocalhost/", "mylocalhost", 443),
        ("https://10.0.0.1/", "10.0.0.1", 443),
    ],
)
def test_what_of_a_url_counts(uri: str, host: str, port: int) -> None:
    (provider,) = providers(site(remote(uri)))
    assert provider.keys == RemoteKeys(
        uri, DnsCluster(uri.partition(":")[0].lower(), host, port, None, "auto"), SECOND, None
    )


def test_everything_about_a_provider() -> None:
    given = local("a", default=True, issuer="i", audiences=["x", "y"], forwardJWT=True)
    other = remote("https://issuer.test/", "b", timeout="500ms", cacheDuration="1h", dnsLookupFamily="v6")
    assert providers(site(given, other)) == (
        JwtProvider("a", LocalKeys(Ref("shop", "keys"), "jwks"), issuer="i", audiences=("x", "y"), forward=True),
        JwtProvider(
            "b",
            RemoteKeys(
                "https://issuer.test/", DnsCluster("https", "issuer.test", 443, None, "v6"), SECOND // 2, 3600 * SECOND
            ),
        ),
    )


def test_a_name_of_a_secret_cannot_lead_to_another_namespace() -> None:
    other = secret("other/keys")
    for name in ("other/keys", "../other/keys", "other.keys"):
        provider = {"name": "a", "localJWKS": {"secretName": name, "key": "jwks"}}
        ((_, reason, message),) = site(provider, objects=(other,)).errors("site")
        assert reason == "LocalJWKSInvalid"
        assert message.endswith("Secret not found")


def test_a_key_set_that_comes_later() -> None:
    provider = {"name": "a", "localJWKS": {"secretName": "later", "key": "jwks"}}
    world = site(provider)
    assert [reason for _, reason, _ in world.errors("site")] == ["LocalJWKSInvalid"]
    world.apply(secret("later"))
    assert world.errors("site") == []
    world.apply(secret("later", "nothing"))
    assert [reason for _, reason, _ in world.errors("site")] == ["LocalJWKSInvalid"]
    world.delete("Secret", "later")
    assert [reason for _, reason, _ in world.errors("site")] == ["LocalJWKSInvalid"]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [(None, "a"), ({}, "a"), ({"require": "b"}, "b"), ({"disabled": True}, ""), ({"disabled": False}, "a")],
)
def test_what_a_route_asks_for(policy: Mapping | None, wanted: str) -> None:
    """Included ones too, of another namespace."""
    fields = {} if policy is None else {"jwtVerificationPolicy": policy}
    child = proxy("team/child", routes=[to("web", "/child", **fields)])
    host = root(
        "site", "shop.test",
        virtualhost={"tls": {"secretName": "cert"}, "jwtProviders": [local(default=True), local("b")]},
        routes=[to("web", "/own", **fields)], includes=[{"name": "child", "namespace": "team"}],
    )  # fmt: skip
    world = World(service(), service("team/web"), serving("cert"), secret("keys"), child, host)
    https = world.host("shop.test").https
    assert https is not None
    assert {route.path.value: route.jwt_provider for route in https.routes} == {"/own": wanted, "/child": wanted}


def test_a_route_that_another_one_replaces_is_looked_at_too() -> None:
    """As recorded: row 17 of §2.4 speaks of the routes of the host, of which it is none."""
    asking = to("web", "/", jwtVerificationPolicy={"require": "nobody"})
    for routes in ([asking, to("web", "/")], [to("web", "/"), asking]):
        ((_, reason, message),) = site(local(), routes=routes).errors("site")
        assert (reason, message) == ("JWTProviderNotDefined", 'Route references an undefined JWT provider "nobody"')
