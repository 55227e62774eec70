"""HTTPProxy and TLSCertificateDelegation of `projectcontour.io/v1alpha1` as v1 (operations.md §12.8).

That version was in one pre-release. What it says differently is one field: `prefixRewrite` of a route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

API_VERSION = "projectcontour.io/v1"


def to_v1(old: Mapping[str, Any]) -> dict[str, Any]:
    """What does not have the expected shape is left where it is, for the decoder of v1 to complain about."""
    new = {**old, "apiVersion": API_VERSION}
    spec = old.get("spec")
    if isinstance(spec, Mapping) and isinstance(spec.get("routes"), list):
        new["spec"] = {**spec, "routes": [_route(route) for route in spec["routes"]]}
    return new


def _route(old: Any) -> Any:
    if not isinstance(old, Mapping) or "prefixRewrite" not in old:
        return old
    new = {key: value for key, value in old.items() if key != "prefixRewrite"}
    if old["prefixRewrite"]:
        new.setdefault("pathRewritePolicy", {"replacePrefix": [{"replacement": old["prefixRewrite"]}]})
    return new
