"""requestRedirectPolicy (httpproxy.md §2.19)."""

from __future__ import annotations

from contour.api.invalid import Invalid
from contour.api.projectcontour import HTTPRequestRedirectPolicy
from contour.dag.graph import Redirect


def redirect(policy: HTTPRequestRedirectPolicy) -> Redirect | Invalid:
    if policy.path is not None and policy.prefix is not None:
        return Invalid("cannot specify both redirect path and redirect prefix")
    return Redirect(
        hostname=policy.hostname or "",
        scheme=policy.scheme or "",
        port=policy.port or 0,
        status=policy.status_code or 0,
        path=policy.path or "",
        prefix=policy.prefix or "",
    )
