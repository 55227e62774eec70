"""cookieRewritePolicies of routes and services (httpproxy.md §2.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contour.api.invalid import Invalid
from contour.api.projectcontour import CookieRewritePolicy
from contour.api.scalars import quote
from contour.dag.graph import CookieRewrite


def cookie_rewrites(policies: Sequence[CookieRewritePolicy]) -> tuple[CookieRewrite, ...] | Invalid:
    """In the order of the list; names of cookies are case-sensitive."""
    rewrites: dict[str, CookieRewrite] = {}
    for policy in policies:
        if policy.name in rewrites:
            return Invalid(f"duplicate cookie rewrite rule for cookie {quote(policy.name)}")
        rewrite = CookieRewrite(
            policy.name,
            path=policy.path_rewrite.value if policy.path_rewrite else None,
            domain=policy.domain_rewrite.value if policy.domain_rewrite else None,
            secure=policy.secure,
            same_site=policy.same_site,
        )
        if rewrite == CookieRewrite(policy.name):
            return Invalid(f"no attributes rewritten for cookie {quote(policy.name)}")
        rewrites[policy.name] = rewrite
    return tuple(rewrites.values())


def merged(route: Iterable[CookieRewrite], service: Iterable[CookieRewrite]) -> tuple[CookieRewrite, ...]:
    """One rule for each cookie, sorted by name: attribute by attribute the service's wins over the route's."""
    found = {rewrite.name: rewrite for rewrite in route}
    for rewrite in service:
        below = found.get(rewrite.name, rewrite)
        found[rewrite.name] = CookieRewrite(
            rewrite.name,
            path=below.path if rewrite.path is None else rewrite.path,
            domain=below.domain if rewrite.domain is None else rewrite.domain,
            secure=below.secure if rewrite.secure is None else rewrite.secure,
            same_site=below.same_site if rewrite.same_site is None else rewrite.same_site,
        )
    return tuple(found[name] for name in sorted(found))
