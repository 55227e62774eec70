"""internalRedirectPolicy: redirects of an upstream that the proxy follows itself (httpproxy.md §2.19)."""

from __future__ import annotations

from contour.api.projectcontour import HTTPInternalRedirectPolicy
from contour.dag.graph import CrossScheme, InternalRedirect

_CROSS_SCHEME = {"Always": CrossScheme.ALWAYS, "SafeOnly": CrossScheme.SAFE_ONLY}


def internal_redirect(policy: HTTPInternalRedirectPolicy | None) -> InternalRedirect | None:
    if policy is None:
        return None
    return InternalRedirect(
        max_redirects=policy.max_internal_redirects,
        status_codes=policy.redirect_response_codes,
        cross_scheme=_CROSS_SCHEME.get(policy.allow_cross_scheme_redirect, CrossScheme.NEVER),
        deny_repeated_route=policy.deny_repeated_route_redirect,
    )
