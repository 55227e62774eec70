"""Redirects that Envoy follows itself (httpproxy.md §2.19), in both shapes (envoy.md §2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.world import World

from contour.envoy.resource import SCOPED_ROUTE
from contour.testing import clients
from contour.testing.clients import Http1, Response
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-redirects")]


@pytest.fixture
def site(world: World) -> Iterator[World]:
    """`site.test` and other hosts, plain; `web` answers from each path, redirects from `/redirect/<status>?<where>`."""
    world.service("shop/web")
    world.service("shop/other")
    world.proxy(
        "shop/other",
        "virtualhost: {fqdn: other.test}\nroutes: [{services: [{name: other, port: 80}]}]",
    )
    return world


def proxy(world: World, policy: str, *, fqdn: str = "site.test", tls: str = "", extra: str = "") -> None:
    """Every path of the host goes to `web` with this policy."""
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: "{fqdn}"{tls}}}
        routes:
        - permitInsecure: true
          services: [{{name: web, port: 80}}]
          internalRedirectPolicy: {policy}
          {extra}
        - conditions: [{{prefix: /plain}}]
          permitInsecure: true
          services: [{{name: web, port: 80}}]
        """,
    )


def ask(world: World, envoy: Envoy, path: str, *, host: str = "site.test", method: str = "GET") -> Response:
    with Http1(clients.connect(world.address("ingress_http", envoy))) as client:
        return client.request(method, host, path)


def ask_tls(world: World, envoy: Envoy, path: str, *, host: str = "site.test") -> Response:
    return clients.get_tls(world.opened(envoy, host), host, path)


def location(answer: Response) -> tuple[int, str | None]:
    assert answer.header("x-contour-scope") is None
    return answer.status, answer.header("location")


def test_a_redirect_is_followed(site: World, envoy: Envoy) -> None:
    proxy(site, "{}")
    answer = ask(site, envoy, "/redirect/302?http://site.test/x?y=z")
    assert (answer.status, answer.backend, answer.seen.path) == (200, "shop/web", "/x?y=z")
    assert answer.seen.header("x-contour-scope") is None
    assert answer.seen.header("x-envoy-original-url") == "http://site.test/redirect/302?http://site.test/x?y=z"
    # A status that is not on the list, a redirect that names no host, a route without a policy.
    assert location(ask(site, envoy, "/redirect/301?http://site.test/x")) == (301, "http://site.test/x")
    assert location(ask(site, envoy, "/redirect/302?/x")) == (302, "/x")
    assert location(ask(site, envoy, "/plain/redirect/302?http://site.test/x")) == (302, "http://site.test/x")


def test_status_codes(site: World, envoy: Envoy) -> None:
    proxy(site, "{redirectResponseCodes: [301, 308]}")
    assert ask(site, envoy, "/redirect/301?http://site.test/x").seen.path == "/x"
    assert ask(site, envoy, "/redirect/308?http://site.test/x").seen.path == "/x"
    assert location(ask(site, envoy, "/redirect/302?http://site.test/x")) == (302, "http://site.test/x")


def test_to_another_host(site: World, envoy: Envoy) -> None:
    proxy(site, "{maxInternalRedirects: 3}")
    answer = ask(site, envoy, "/redirect/302?http://other.test/x")
    assert (answer.backend, answer.seen.header("host"), answer.seen.path) == ("shop/other", "other.test", "/x")
    assert location(ask(site, envoy, "/redirect/302?http://nobody.test/x")) == (302, "http://nobody.test/x")
    assert ask(site, envoy, "/redirect/302?http://other.test:8080/x").seen.header("host") == "other.test:8080"
    assert ask(site, envoy, "/x", host="SITE.test").backend == "shop/web"
    assert ask(site, envoy, "/redirect/302?http://OTHER.test/x", host="Site.Test").backend == "shop/other"


def test_how_many(site: World, envoy: Envoy) -> None:
    twice = "/redirect/302?http://site.test/redirect/302?http://site.test/x"
    proxy(site, "{}")
    assert location(ask(site, envoy, twice)) == (302, "http://site.test/x")
    proxy(site, "{maxInternalRedirects: 2}")
    assert ask(site, envoy, twice).seen.path == "/x"
    thrice = "/redirect/302?http://site.test" + twice
    assert location(ask(site, envoy, thrice)) == (302, "http://site.test/x")


def test_a_route_may_be_followed_to_once(site: World, envoy: Envoy) -> None:
    proxy(site, "{maxInternalRedirects: 5, denyRepeatedRouteRedirect: true}")
    assert ask(site, envoy, "/redirect/302?http://site.test/x").seen.path == "/x"
    twice = "/redirect/302?http://site.test/redirect/302?http://site.test/x"
    assert location(ask(site, envoy, twice)) == (302, "http://site.test/x")


def test_see_other_becomes_a_get(site: World, envoy: Envoy) -> None:
    proxy(site, "{redirectResponseCodes: [303]}")
    answer = ask(site, envoy, "/redirect/303?http://site.test/x", method="POST")
    assert (answer.seen.method, answer.seen.path) == ("GET", "/x")


@pytest.mark.parametrize(
    ("policy", "up", "down"), [("Never", False, False), ("SafeOnly", False, True), ("Always", True, True)]
)
def test_from_one_scheme_to_the_other(site: World, envoy: Envoy, policy: str, up: bool, down: bool) -> None:
    """Envoy's word for safe: a request that came over TLS may be answered by what plain ones are, not the reverse."""
    site.certificate("shop/tls", "site.test")
    proxy(site, f"{{allowCrossSchemeRedirect: {policy}}}", tls=", tls: {secretName: tls}")
    https, http = "https://site.test/x", "http://site.test/x"
    answer = ask(site, envoy, f"/redirect/302?{https}")
    assert (answer.status == 200) is up
    assert up or location(answer) == (302, https)
    answer = ask_tls(site, envoy, f"/redirect/302?{http}")
    assert (answer.status == 200) is down
    assert down or location(answer) == (302, http)
    assert ask_tls(site, envoy, f"/redirect/302?{https}").seen.path == "/x"


def test_over_tls_only_the_host_itself(site: World, envoy: Envoy) -> None:
    """The connection was opened for it."""
    site.certificate("shop/tls", "*.site.test")
    site.proxy(
        "shop/second",
        "virtualhost: {fqdn: two.site.test, tls: {secretName: tls}}\nroutes: [{services: [{name: other, port: 80}]}]",
    )
    proxy(site, "{}", fqdn="one.site.test", tls=", tls: {secretName: tls}")
    assert ask_tls(site, envoy, "/redirect/302?https://one.site.test/x", host="one.site.test").seen.path == "/x"
    for target in ("https://two.site.test/x", "https://other.test/x", "https://one.site.test.evil/"):
        answer = ask_tls(site, envoy, f"/redirect/302?{target}", host="one.site.test")
        assert location(answer) == (302, target)


def test_wildcard_hosts(site: World, envoy: Envoy) -> None:
    site.certificate("shop/tls", "*.wild.test")
    proxy(site, "{maxInternalRedirects: 3}", fqdn="*.wild.test", tls=", tls: {secretName: tls}")
    twice = "/redirect/302?http://a.wild.test/redirect/302?http://a.wild.test/x"
    assert ask(site, envoy, twice, host="a.wild.test").seen.path == "/x"
    assert ask(site, envoy, "/redirect/302?http://other.test/x", host="a.wild.test").backend == "shop/other"
    assert ask_tls(site, envoy, twice.replace("http:", "https:"), host="a.wild.test").seen.path == "/x"


def test_rewritten_hosts(site: World, envoy: Envoy) -> None:
    proxy(site, "{}", extra="requestHeadersPolicy: {set: [{name: Host, value: internal.test}]}")
    assert ask(site, envoy, "/redirect/302?http://site.test/x").seen.path == "/x"
    assert location(ask(site, envoy, "/redirect/302?http://internal.test/x")) == (302, "http://internal.test/x")


def test_an_upstream_does_not_choose_the_scope(site: World) -> None:
    """In the header that carries it: hosts that ask for client certificates, say, are of another group."""
    site.certificate("shop/tls", "site.test")
    site.certificate("shop/strict", "strict.test")
    site.proxy(
        "shop/strict",
        """
        virtualhost: {fqdn: strict.test, tls: {secretName: strict, minimumProtocolVersion: "1.3"}}
        routes: [{services: [{name: other, port: 80}]}]
        """,
    )
    proxy(site, "{}", tls=", tls: {secretName: tls}")
    groups = {
        name.partition("/")[0] for name in site.hub().snapshot.tables[SCOPED_ROUTE] if name.endswith("/strict.test")
    }
    assert len(groups) == 2
    web = site.backend("shop/web-with-headers")
    for group in groups:
        web.extra = [("x-contour-scope", f"{group}/strict.test")]
        site.endpoints("shop/web", web)
        answer = ask_tls(site, site.envoys[0], "/redirect/302?https://strict.test/x")
        assert location(answer) == (302, "https://strict.test/x")
