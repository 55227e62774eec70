"""Several sources of one thing: routes with the same match, verdicts on the same object."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contour.api.meta import ObjectRef
from contour.dag.graph import Route
from contour.dag.verdict import Finding, Verdict

# A proxy that no root leads to (§2.23).
ORPHANED = Verdict(
    errors=(Finding("Orphaned", "Orphaned", "this HTTPProxy is not part of a delegation chain from a root HTTPProxy"),)
)


class RootVerdict(msgspec.Struct, frozen=True, gc=False, order=True):
    """What the evaluation of a host found about a proxy; ordered by the age of the host's root, then by its name."""

    created: str
    roots: tuple[ObjectRef, ...]
    host: str
    verdict: Verdict


def by_match(*sources: Iterable[Route]) -> Iterable[Route]:
    """Of routes that match the same, the last one (§2.7). The same means in the same order: `a, b` is not `b, a`."""
    found = {(route.path, route.headers, route.query): route for routes in sources for route in routes}
    return found.values()


def oldest(verdicts: Iterable[RootVerdict]) -> Verdict:
    return min(verdicts).verdict
