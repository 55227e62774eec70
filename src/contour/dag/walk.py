"""One evaluation of a root: what is known while its includes are followed, and what was found on the way."""

from __future__ import annotations

from contour.api.meta import ObjectRef, Ref
from contour.api.projectcontour import MatchCondition
from contour.dag.conditions import wildcard_host_match
from contour.dag.graph import HeaderMatch, RouteAuthorization
from contour.dag.report import Report
from contour.dag.sources import Lookup, Proxy
from contour.dag.verdict import Verdict

Inherited = tuple[MatchCondition, ...]

# A child may be included any number of times, and includes children of its own: thirty small objects can ask for 2^30
# routes. The reference computes them until its memory ends; here a root with more than this is not served. A step is
# an include or a route, each condition that it inherits, and each route that is handed up a level: a root with 20,000
# routes three levels down has room.
MAX_STEPS = 300_000


class Walk:
    """Mutable, for one root and one run."""

    def __init__(self, lookup: Lookup, root: Proxy, fqdn: str) -> None:
        self.lookup = lookup
        self.root = root
        self.host_match: tuple[HeaderMatch, ...] = wildcard_host_match(fqdn)
        self.authorization: RouteAuthorization | None = None  # what routes start from; None: nobody is asked
        self.tls = False  # plain requests are redirected to https, but where a route permits them
        self.default_jwt_provider = ""  # for routes that say nothing about tokens
        self.path: dict[Ref, None] = {}  # proxies from the root to the one that is looked at, in order
        self.verdicts: dict[Ref, Verdict] = {}
        self._steps = 0

    def commit(self, ref: Ref, report: Report) -> None:
        """A proxy can be visited several times: the last visit speaks, but never that all is well after an error (§3.1)."""
        earlier, verdict = self.verdicts.get(ref), report.verdict
        if earlier is None or earlier.valid or not verdict.valid:
            self.verdicts[ref] = verdict

    def step(self, count: int) -> None:
        self._steps += count

    @property
    def exhausted(self) -> bool:
        return self._steps > MAX_STEPS


def origin(proxy: Proxy) -> ObjectRef:
    """Every route names the object that defines it."""
    return ObjectRef("HTTPProxy", proxy.ref.namespace, proxy.ref.name)
