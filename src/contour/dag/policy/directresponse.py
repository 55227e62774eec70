"""directResponsePolicy (httpproxy.md §1.5)."""

from __future__ import annotations

from contour.api.projectcontour import HTTPDirectResponsePolicy
from contour.dag.graph import DirectResponse


def direct_response(policy: HTTPDirectResponsePolicy) -> DirectResponse:
    return DirectResponse(status=policy.status_code, body=policy.body)
