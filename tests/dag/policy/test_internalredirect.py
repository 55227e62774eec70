"""internalRedirectPolicy (httpproxy.md §2.19)."""

from __future__ import annotations

import pytest

from contour.api.projectcontour import HTTPInternalRedirectPolicy
from contour.dag.graph import CrossScheme, InternalRedirect
from contour.dag.policy.internalredirect import internal_redirect


def test_an_empty_policy_is_one() -> None:
    assert internal_redirect(None) is None
    assert internal_redirect(HTTPInternalRedirectPolicy()) == InternalRedirect()


@pytest.mark.parametrize(
    ("text", "cross_scheme"),
    [
        ("Always", CrossScheme.ALWAYS),
        ("SafeOnly", CrossScheme.SAFE_ONLY),
        ("Never", CrossScheme.NEVER),
        ("always", CrossScheme.NEVER),
    ],
)
def test_everything(text: str, cross_scheme: CrossScheme) -> None:
    policy = HTTPInternalRedirectPolicy(3, (301, 302), text, deny_repeated_route_redirect=True)
    assert internal_redirect(policy) == InternalRedirect(3, (301, 302), cross_scheme, deny_repeated_route=True)
