"""The status of an IngressRoute (operations.md §12.4), and what is counted of them all (§12.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from contour.api.heptio import IngressRoute
from contour.dag.verdict import Verdict

VALID, INVALID, ORPHANED = "valid", "invalid", "orphaned"


def ingress_route_status(verdict: Verdict, observed: Mapping[str, Any]) -> dict[str, Any]:
    """The whole block: `observed` with our two fields. Of several mistakes the first one found is told."""
    if verdict.valid:
        return {**observed, "currentStatus": VALID, "description": "valid IngressRoute"}
    first = verdict.errors[0]
    state = ORPHANED if first.type == "Orphaned" else INVALID
    return {**observed, "currentStatus": state, "description": first.message}


class Counts(msgspec.Struct, frozen=True):
    """`contour_ingressroute_total{namespace}`, `…_root_total{namespace}`, `…_valid_total{namespace, vhost}`,
    `…_invalid_total{namespace, vhost}` and `…_orphaned_total{namespace}`; the virtual host of what is no root is "".
    """

    total: dict[str, int]
    roots: dict[str, int]
    valid: dict[tuple[str, str], int]
    invalid: dict[tuple[str, str], int]
    orphaned: dict[str, int]


def count(objects: Iterable[tuple[IngressRoute, Mapping[str, Any]]]) -> Counts:
    """Of objects with the status blocks that they should have."""
    total: Counter[str] = Counter()
    roots: Counter[str] = Counter()
    valid: Counter[tuple[str, str]] = Counter()
    invalid: Counter[tuple[str, str]] = Counter()
    orphaned: Counter[str] = Counter()
    for route, status in objects:
        namespace, virtualhost = route.ref.namespace, route.spec.virtualhost
        total[namespace] += 1
        if virtualhost is not None:
            roots[namespace] += 1
        where = namespace, virtualhost.fqdn if virtualhost is not None else ""
        match status["currentStatus"]:
            case "valid":
                valid[where] += 1
            case "orphaned":
                orphaned[namespace] += 1
            case _:
                invalid[where] += 1
    return Counts(dict(total), dict(roots), dict(valid), dict(invalid), dict(orphaned))
