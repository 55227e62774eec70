"""Cookie rewrites with a real Envoy in both shapes (httpproxy.md §2.13): rules are data, never script (security.md)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.traffic.world import World, quoted

from contour.testing import clients
from contour.testing.clients import Response
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-cookies")]


@pytest.fixture
def site(world: World) -> World:
    world.certificate("shop/tls", "*.shop.test", "*.wild.test")
    return world


def proxy(world: World, route: str = "[]", service: str = "[]", *, fqdn: str = "a.shop.test", extra: str = "") -> None:
    world.proxy(
        f"shop/{fqdn.replace('*', 'any')}",
        f"""
        virtualhost: {{fqdn: "{fqdn}", tls: {{secretName: tls}}}}
        routes:
        - permitInsecure: true
          services: [{{name: web, port: 80, cookieRewritePolicies: {service}}}]
          cookieRewritePolicies: {route}
          {extra}
        """,
    )


def cookies(answer: Response) -> list[str]:
    return [value for name, value in answer.headers if name == "set-cookie"]


def attributes(cookie: str) -> tuple[str, set[str]]:
    value, *rest = cookie.split("; ")
    return value, set(rest)


def sent(world: World, *values: str) -> None:
    """What the upstream sets."""
    backend = world.service("shop/web")
    backend.extra = [("set-cookie", value) for value in values]


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("pathRewrite: {value: /x}", "a=b; Path=/; Secure", {"Path=/x", "Secure"}),
        ("pathRewrite: {value: /x}", "a=b", {"Path=/x"}),
        ("domainRewrite: {value: d.test}", "a=b; Domain=old.test; HttpOnly", {"Domain=d.test", "HttpOnly"}),
        ("secure: true", "a=b; Path=/", {"Path=/", "Secure"}),
        ("secure: false", "a=b; Secure; Path=/", {"Path=/"}),
        ("sameSite: Lax", "a=b;SameSite=None;  Max-Age=5", {"SameSite=Lax", "Max-Age=5"}),
        (
            "pathRewrite: {value: /x}, domainRewrite: {value: d.test}, secure: true, sameSite: Strict",
            "a=b; Expires=Thu, 01 Jan 2026 00:00:00 GMT",
            {"Path=/x", "Domain=d.test", "Secure", "SameSite=Strict", "Expires=Thu, 01 Jan 2026 00:00:00 GMT"},
        ),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_attributes(site: World, envoy: Envoy, tls: bool, rule: str, before: str, after: set[str]) -> None:
    sent(site, before, "other=1; Path=/", "A=1; Path=/")
    proxy(site, f"[{{name: a, {rule}}}]")
    if tls:
        answer = clients.get_tls(site.opened(envoy, "a.shop.test"), "a.shop.test")
    else:
        answer = clients.get(site.address("ingress_http", envoy), "a.shop.test")
    first, *others = cookies(answer)
    assert attributes(first) == ("a=b", after)
    assert others == ["other=1; Path=/", "A=1; Path=/"]  # names have a case


def test_rules_of_route_and_service(site: World, envoy: Envoy) -> None:
    sent(site, "a=1; Path=/", "b=1; Path=/", "c=1; Path=/", "malformed")
    proxy(
        site,
        "[{name: a, pathRewrite: {value: /route}, secure: true}, {name: b, sameSite: Lax}]",
        "[{name: a, pathRewrite: {value: /service}}, {name: c, secure: true}]",
    )
    answer = clients.get(site.address("ingress_http", envoy), "a.shop.test")
    assert [attributes(cookie) for cookie in cookies(answer)] == [
        ("a=1", {"Path=/service", "Secure"}),
        ("b=1", {"Path=/", "SameSite=Lax"}),
        ("c=1", {"Path=/", "Secure"}),
        ("malformed", set()),
    ]


def test_the_cookie_of_session_affinity(site: World, envoy: Envoy) -> None:
    sent(site)
    proxy(
        site,
        "[{name: X-Contour-Session-Affinity, secure: true, sameSite: Strict}]",
        extra="loadBalancerPolicy: {strategy: Cookie}",
    )
    (cookie,) = cookies(clients.get(site.address("ingress_http", envoy), "a.shop.test"))
    assert {"Secure", "SameSite=Strict"} <= attributes(cookie)[1]


def test_the_check_of_the_host_holds_on_routes_with_rules(site: World) -> None:
    """In the reference both scripts share a filter's name, so that such a route may be without it."""
    sent(site, "a=1")
    proxy(site, "[{name: a, secure: true}]")
    assert clients.get_tls(site.opened(site.envoys[0], "a.shop.test"), "a.shop.test", host="b.shop.test").status == 421


def test_wildcard_hosts_and_chains_that_have_no_rules(site: World, envoy: Envoy) -> None:
    sent(site, "a=1; Path=/")
    proxy(site, "[{name: a, secure: true}]", fqdn="*.wild.test")
    proxy(site, fqdn="b.shop.test")
    for sni, secure in (("a.wild.test", True), ("b.shop.test", False)):
        (cookie,) = cookies(clients.get_tls(site.opened(envoy, sni), sni))
        assert ("Secure" in attributes(cookie)[1]) is secure


HOSTILE = [
    "/%REQ(x)%", "/%PROTOCOL%", '/"]] os.exit(1) --[[', "/' .. os.getenv('PATH') .. '", "/\\n\\r", "/{{ 1 }}", "/${x}", "/é/☃",
    "/]]", "/--", "/ a b ", "/=,=", "/" + "x" * 4000, "/%%", "/%1", "/$(x)", "/<script>", "/\\1%0",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:20])
def test_hostile_values_are_literal(site: World, envoy: Envoy, value: str) -> None:
    sent(site, "a=1; Path=/old")
    proxy(site, f"[{{name: a, pathRewrite: {{value: {quoted(value)}}}}}]")
    (cookie,) = cookies(clients.get(site.address("ingress_http", envoy), "a.shop.test"))
    assert cookie.encode("latin-1") == f"a=1; Path={value}".rstrip().encode()


@pytest.mark.parametrize("name", ["a.b", "%a", "a-b+c", "a'b", "a%20b", "#x", "$x", "__Host-x", "a|b", "+", "end"])
def test_hostile_names_are_literal(site: World, envoy: Envoy, name: str) -> None:
    backend = site.service("shop/web")
    backend.extra = [("set-cookie", f"{name}=1"), ("set-cookie", "axb=1")]
    proxy(site, f"[{{name: {quoted(name)}, secure: true}}]")
    answer = clients.get(site.address("ingress_http", envoy), "a.shop.test")
    assert [cookie.encode("latin-1") for cookie in cookies(answer)] == [f"{name}=1; Secure".encode(), b"axb=1"]


# What P-COOKIE-VAL lets pass (httpproxy.md §1).
VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters=";"), min_size=1, max_size=20
) | st.lists(
    st.sampled_from(["%", "%%", "]]", "--", '"', "'", "\\", "{", "}", "$(", "os.exit()", "%1", "=", ",", "\u2028"]),
    min_size=1, max_size=6,
).map("".join)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_values_come_back_as_they_were_written(site: World, value: str) -> None:
    if not site.knows("Service", "shop/web"):
        sent(site, "a=1; Path=/old; HttpOnly")
    value = f"/{value}."  # blanks at the ends are trimmed
    proxy(site, f"[{{name: a, pathRewrite: {{value: {quoted(value)}}}}}]")
    (cookie,) = cookies(clients.get(site.http, "a.shop.test"))
    assert cookie.encode("latin-1") == f"a=1; Path={value}; HttpOnly".encode()
