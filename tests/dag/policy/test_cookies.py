"""cookieRewritePolicies of routes and services (httpproxy.md §2.13)."""

from __future__ import annotations

import pytest

from contour.api.projectcontour import CookieDomainRewrite, CookiePathRewrite, CookieRewritePolicy
from contour.dag.graph import CookieRewrite
from contour.dag.policy.cookies import cookie_rewrites, merged
from contour.dag.verdict import Invalid


def test_attributes() -> None:
    policy = CookieRewritePolicy("a", CookiePathRewrite("/x"), CookieDomainRewrite("d.test"), False, "Lax")
    assert cookie_rewrites([policy]) == (CookieRewrite("a", "/x", "d.test", False, "Lax"),)


def test_names_are_case_sensitive() -> None:
    found = cookie_rewrites([CookieRewritePolicy("a", secure=True), CookieRewritePolicy("A", secure=True)])
    assert found == (CookieRewrite("a", secure=True), CookieRewrite("A", secure=True))


@pytest.mark.parametrize(
    ("policies", "text"),
    [
        ([CookieRewritePolicy('"')], r'no attributes rewritten for cookie "\""'),
        (
            [CookieRewritePolicy("a", secure=True), CookieRewritePolicy("a")],
            'duplicate cookie rewrite rule for cookie "a"',
        ),
    ],
)
def test_what_is_no_rule(policies: list[CookieRewritePolicy], text: str) -> None:
    assert cookie_rewrites(policies) == Invalid(text)


def test_the_service_wins_attribute_by_attribute() -> None:
    route = [CookieRewrite("b", path="/route", secure=True), CookieRewrite("a", same_site="Lax")]
    service = [CookieRewrite("b", path="/service", domain="d.test"), CookieRewrite("c", secure=False)]
    assert merged(route, service) == (
        CookieRewrite("a", same_site="Lax"),
        CookieRewrite("b", path="/service", domain="d.test", secure=True),
        CookieRewrite("c", secure=False),
    )
    assert merged([CookieRewrite("a", secure=True)], [CookieRewrite("a", secure=False)]) == (
        CookieRewrite("a", secure=False),
    )
