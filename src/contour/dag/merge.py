"""Several sources of one thing: routes with the same match, verdicts on the same object."""

from __future__ import annotations

from collections.abc import Iterable

from contour.dag.graph import Route
from contour.dag.verdict import Finding, Verdict

# A proxy that no root leads to (§2.23).
ORPHANED = Verdict(
    errors=(Finding("Orphaned", "Orphaned", "this HTTPProxy is not part of a delegation chain from a root HTTPProxy"),)
)


def by_match(*sources: Iterable[Route]) -> Iterable[Route]:
    """Of routes that match the same, the last one (§2.7). The same means in the same order: `a, b` is not `b, a`."""
    found = {(route.path, route.headers, route.query): route for routes in sources for route in routes}
    return found.values()
