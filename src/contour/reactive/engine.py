"""The engine: declares sources, and commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contour.reactive.cell import OrderError, Tracker, sweep
from contour.reactive.changes import ChangeSet
from contour.reactive.collection import Collection
from contour.reactive.derived import Derived
from contour.reactive.explain import Explanation, explain
from contour.reactive.index import IK, E, Index
from contour.reactive.source import K, KeySource, Read, Source, V
from contour.reactive.table import Table

AnySource = Table[Any, Any] | Index[Any, Any] | Derived[Any, Any] | Collection[Any, Any]


class Engine:
    """Owns a graph of values. Not for use from several threads."""

    def __init__(self) -> None:
        self._tracker = Tracker()
        self._tables: list[Table[Any, Any]] = []
        self._eager: list[Derived[Any, Any]] = []
        self._collections: list[Collection[Any, Any]] = []
        self.sources: list[AnySource] = []  # in order of declaration

    def table(self, name: str) -> Table[K, V]:
        table: Table[K, V] = Table(name, self._tracker)
        self._tables.append(table)
        self.sources.append(table)
        return table

    def index(
        self, name: str, source: Table[K, V] | Collection[K, V], entries: Callable[[K, V], Iterable[tuple[IK, E]]]
    ) -> Index[IK, E]:
        """An index over the values that `source` has and will have."""
        index = Index(name, source, entries)
        self.sources.append(index)
        return index

    def derived(self, name: str, fn: Callable[[Read, K], V], *, eager: bool = False) -> Derived[K, V]:
        """A value for any key that somebody reads.

        `eager`: settled by each commit before any collection, so that its readers, were they ten thousand, hear of a
        change only when it comes out different. May read tables, their indexes, and eager values declared earlier.
        """
        derived = Derived(name, fn, self._tracker, eager=eager)
        self.sources.append(derived)
        if eager:
            self._eager.append(derived)
        return derived

    def collection(
        self, name: str, keys: Iterable[KeySource[K]], fn: Callable[[Read, K], V | None]
    ) -> Collection[K, V]:
        """A collection over the union of `keys`; its members are computed by the next commit."""
        collection = Collection(name, len(self._collections), keys, fn, self._tracker)
        self._collections.append(collection)
        self.sources.append(collection)
        return collection

    def commit(self) -> ChangeSet:
        """Bring everything up to date. A value whose function raises stays as it was, is in the `failures`, and runs
        again in each commit until it gets through.
        """
        tracker = self._tracker
        if tracker.committing:
            raise RuntimeError("commit was called during a commit")
        tracker.committing = True
        try:
            for table in self._tables:
                table.flush()
            tracker.position = 0  # before every collection
            for derived in self._eager:
                derived.process()
            for collection in self._collections:
                tracker.position = collection.order
                collection.process()
        finally:
            tracker.committing = False
            tracker.position = -1
        sources: tuple[Derived[Any, Any] | Collection[Any, Any], ...] = (*self._eager, *self._collections)
        for source in sources:
            if source.stale and len(source.stale) > len(source.failed):
                raise OrderError(f"{source.name} depends on something that is declared after it")
        sweep(tracker)
        reports = [(collection, collection.report()) for collection in self._collections if collection.differs]
        return ChangeSet(
            {collection: changes for collection, changes in reports if changes},
            {source: source.failed for source in sources if source.failed},
        )

    def explain(self, source: Source[K, Any], key: K) -> Explanation:
        return explain(source, key)

    @property
    def runs(self) -> int:
        """How many times a function has been called since the start."""
        return self._tracker.runs

    @property
    def cells(self) -> int:
        """How many nodes are remembered: computed values, index keys, and what they read."""
        return sum(source.cells for source in self.sources)
