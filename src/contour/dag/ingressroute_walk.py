"""One evaluation of a root IngressRoute: what its delegations lead to, and what was found about each object."""

from __future__ import annotations

from contour.api.meta import ObjectRef, Ref
from contour.dag.report import Report
from contour.dag.sources import IngressRouteFacts, Lookup
from contour.dag.verdict import Finding, Verdict

# As for includes of HTTPProxies (`contour.dag.walk`): a few small objects could ask for routes without end.
MAX_STEPS = 300_000


class Walk:
    """Mutable, for one root and one run. `verdicts`: on others than the root."""

    def __init__(self, lookup: Lookup, root: IngressRouteFacts) -> None:
        self.lookup = lookup
        self.root = root
        self.verdicts: dict[Ref, Verdict] = {}
        self._steps = 0

    def commit(self, ref: Ref, report: Report) -> None:
        """The first visit of an object speaks (operations.md §12.3)."""
        self.verdicts.setdefault(ref, report.verdict)

    def step(self) -> None:
        self._steps += 1

    @property
    def exhausted(self) -> bool:
        return self._steps > MAX_STEPS


def error(reason: str, text: str) -> Finding:
    """`text` is what stands in `status.description`."""
    return Finding("IngressRouteError", reason, text)


def origin(route: IngressRouteFacts) -> ObjectRef:
    return ObjectRef("IngressRoute", route.ref.namespace, route.ref.name)
