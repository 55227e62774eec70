"""Key sets and the chains that they are part of: URLs that Envoy takes (the wrong guess would cost everybody's listener),
and what a rotation moves (envoy.md §2).
"""

from __future__ import annotations

import string

import pytest
from tests.dag.world import Mapping, root, secret, service, serving, to
from tests.envoy.site import Site

from contour.dag import graph
from contour.envoy import pb
from contour.envoy.filters import jwt_authn
from contour.envoy.jwt import takes_uri
from contour.envoy.resource import LISTENER, SCOPED_ROUTE
from contour.testing.envoy import validate
from contour.testing.jwks import Issuer

# All that may stand in a path, query or fragment, but for what ends it.
VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))
TAKEN = [
    "https://issuer.test", "http://issuer.test/", "HTTPS://Issuer.TEST/keys", "https://issuer.test:8443/keys?x=y#z",
    "http://issuer.test:0/", "http://issuer.test:65535", "http://issuer.test:000080/", "http://a--b-c.d./",
    "http://10.0.0.1/", "http://[2001:db8::1]:444/x", "http://[::ffff:10.0.0.1]", "http://x.test/*",
    "http://user:pass@issuer.test/", "http://@issuer.test/", "http://u%40:p!~*'()%;:&=+$,@issuer.test/",
    "http://issuer.test?x", "http://issuer.test/?x", "http://issuer.test/#x", "http://issuer.test//a//b",
    f"http://issuer.test/{VISIBLE.replace('?', '').replace('#', '')}", f"http://issuer.test/?{VISIBLE.replace('#', '')}",
    f"http://issuer.test/#{VISIBLE}", f"http://issuer.test/{'x' * 60000}",
]  # fmt: skip
REFUSED = [
    "https:///keys", "https://", "https://:443/keys", "https://issuer.test:/", "https://issuer.test:65536/",
    "https://issuer.test:70000/", "https://issuer.test#x", "https://issuer.test/a b", "https://issuer.test/\x7f",
    "https://a b/", "https://*.test/", "https://a_b.test/", "https://a~b/", "https://user@/", "https://issuer.test:8a/",
    "https://[2001:db8::1/", "https://[]/", "https://[::1]x/", "https://issuer.test:80:80/", "https://a@b@c/", "https://a{b}/",
]  # fmt: skip


def refusal(*uris: str) -> str | None:
    """What Envoy says of a listener with a provider for each."""
    cluster = graph.DnsCluster("http", "issuer.test", 80, None, "auto")
    providers = [
        graph.JwtProvider(f"p{i}", graph.RemoteKeys(uri, cluster, 1_000_000_000)) for i, uri in enumerate(uris)
    ]
    jwt = jwt_authn.http_filter(providers, lambda _: None, lambda _: "keys")
    assert jwt is not None
    router = pb.HttpFilter(name="router", typed_config=pb.pack(pb.Router()))
    manager = pb.HttpConnectionManager(
        stat_prefix="x", route_config=pb.RouteConfiguration(name="x"), http_filters=[jwt, router]
    )
    address = pb.Address(socket_address=pb.SocketAddress(address="127.0.0.1", port_value=1))
    network = pb.Filter(name="envoy.filters.network.http_connection_manager", typed_config=pb.pack(manager))
    listener = pb.Listener(name="x", address=address, filter_chains=[pb.FilterChain(filters=[network])])
    return validate({"static_resources": {"listeners": [pb.to_dict(listener)]}})


def test_what_is_taken() -> None:
    assert [uri for uri in TAKEN if not takes_uri(uri)] == []
    assert refusal(*TAKEN) is None


@pytest.mark.parametrize("uri", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(uri: str) -> None:
    assert not takes_uri(uri)
    assert "has an invalid URI" in str(refusal(uri))


def test_every_character_in_a_host() -> None:
    """Those that are taken in one are letters, digits, points, dashes."""
    taken = [char for char in VISIBLE if takes_uri(f"http://a{char}b/")]
    assert set(taken) == {*string.ascii_letters, *string.digits, *".-/?@"}


# --- rotation -------------------------------------------------------------------------------------------------------


def host(name: str, key: str) -> Mapping:
    provider = {"name": "a", "default": True, "localJWKS": {"secretName": "keys", "key": key}}
    virtualhost = {"tls": {"secretName": "cert"}, "jwtProviders": [provider]}
    return root(name, f"{name}.shop.test", virtualhost=virtualhost, routes=[to("web")])


def key_sets(**texts: bytes) -> Mapping:
    return secret("keys", "Opaque", **texts)


def test_a_rotation_moves_the_hosts_of_that_key_set_alone() -> None:
    """So that nobody is let in any more by an old key, over a connection that is held."""
    one, two = Issuer().key_set(), Issuer().key_set()
    site = Site(
        service(),
        serving("cert", "x.shop.test", "y.shop.test"),
        key_sets(one=one, two=two),
        host("x", "one"),
        host("y", "two"),
    )
    before = {name: chain.name for name, chain in site.chains().items()}
    site.apply(key_sets(one=Issuer().key_set(), two=two))
    after = {name: chain.name for name, chain in site.chains().items()}
    assert before.keys() == after.keys() == {"x.shop.test", "y.shop.test"}
    assert after["y.shop.test"] == before["y.shop.test"]
    assert after["x.shop.test"] != before["x.shop.test"]
    new, gone = site.changed(SCOPED_ROUTE)
    assert f"{after['x.shop.test'].partition('/')[0]}/x.shop.test" in new
    assert f"{before['x.shop.test'].partition('/')[0]}/x.shop.test" in gone
    assert not any("y.shop.test" in scope for scope in new | gone)


def test_what_is_no_other_key_moves_nobody() -> None:
    keys = Issuer().key_set()
    site = Site(service(), serving("cert", "*.shop.test"), key_sets(one=keys), host("x", "one"))
    with_more = keys.replace(b'"kty"', b'"x5t": "AA", "kty"').replace(b", ", b" ,\n ")
    for same in (key_sets(one=keys, two=Issuer().key_set()), key_sets(one=with_more)):
        site.apply(same)
        assert site.changed(LISTENER) == (set(), set())
        assert site.changed(SCOPED_ROUTE) == (set(), set())
