"""The incremental engine: input tables, indexes, derived values and collections that re-run only where they read a change.

In: keys with frozen values and pure functions over them. Out: per commit and collection, the members that differ.
It must not know what the values mean: no ingress, no Envoy, no input or output, no clock.

Theory of operation. A function `f(read, key)` learns everything through `read`. The engine notes what was read, in
order, and who reads what: a graph of nodes (one per table key, index key, whole source or computed value; only those
that somebody reads) with edges both ways. `commit` then works in two directions:

- *push*: a node that changed makes its readers DIRTY (must run), and their readers in turn CHECK (must look). The push
  ends at collections, which keep the stale members in a set of their own; nothing runs yet.
- *pull*: collections bring their stale members up to date, in order of declaration. A member in CHECK first settles
  what it read, in the order it read it. Only an input that really came out different makes it DIRTY; otherwise it is
  clean again without a run (early cutoff). The order matters: as long as all earlier reads gave the same answers, a
  pure function will ask for the next one again, so nothing is computed that nobody would read.

Eager derived values stop the push as collections do, and are settled before them.

A member that changed is the change of an input for later collections, which is why a collection reads earlier ones
only. A derived value runs when a live reader asks; when its last reader is gone at the end of a commit it is forgotten.
Whatever raises leaves its cell stale and its old value in place, so that the next commit continues there.

Rules for functions: pure; values are frozen, hashable where they are keys or entries, and never hold a mapping that
`.all` gave (it is a live view); exceptions of `read` are not caught; None stands for absent in tables and collections.
Derived values nest as deep as Python's stack allows: about 150 at the default recursion limit of 1000.
"""

from __future__ import annotations

from contour.reactive.cell import CycleError, OrderError
from contour.reactive.changes import Changes, ChangeSet
from contour.reactive.collection import Collection
from contour.reactive.derived import Derived
from contour.reactive.engine import Engine
from contour.reactive.explain import Explanation, Link
from contour.reactive.index import Index
from contour.reactive.source import KeySource, Read, Source
from contour.reactive.table import Table

__all__ = [
    "ChangeSet",
    "Changes",
    "Collection",
    "CycleError",
    "Derived",
    "Engine",
    "Explanation",
    "Index",
    "KeySource",
    "Link",
    "OrderError",
    "Read",
    "Source",
    "Table",
]
