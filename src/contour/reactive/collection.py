"""Collections: a function over a key set, all members kept up to date by each commit, which reports what differs."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable

from contour.reactive.cell import ABSENT, DIRTY, Cell, Tracker, link, same, settle_all
from contour.reactive.changes import Changes
from contour.reactive.index import Index
from contour.reactive.keyed import Keyed
from contour.reactive.source import K, KeySource, Read, V, out_of_order, read


class Collection(Keyed[K, V]):
    """`fn(read, key)` for each key of `keys`; a key for which it returns None is not a member."""

    def __init__(
        self,
        name: str,
        order: int,
        keys: Iterable[KeySource[K]],
        fn: Callable[[Read, K], V | None],
        tracker: Tracker,
    ) -> None:
        super().__init__(name, order, tracker)
        self.runs = 0
        self.stale: dict[Cell, None] = {}
        self.failed: dict[K, Exception] = {}  # members whose function raised in this commit
        self._function = fn
        self._cells: dict[K, Cell] = {}  # of all keys, members or not, and of other keys that somebody reads
        self._key_sources = tuple(keys)
        self._touched: dict[K, None] = {}  # keys that may have come or gone
        self._reported: dict[K, V | None] = {}  # what was reported last, of the keys that changed since
        self._started = False
        for source in self._key_sources:
            if isinstance(source, Keyed | Index):
                source.keys.watch(self._touched)

    def items(self) -> ItemsView[K, V]:
        return self.values.items()

    def observe(self, key: K, /) -> V | None:
        if self.order >= self.tracker.position:
            raise out_of_order(self.name)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(self, key, ABSENT)
        self.tracker.reads.append(cell)
        value: V | None = cell.value
        return value

    def peek(self, key: K, /) -> V | None:
        return self.values.get(key)

    def find(self, key: K, /) -> Cell | None:
        return self._cells.get(key)

    @property
    def cells(self) -> int:
        return len(self._cells)

    def process(self) -> None:
        """Follow the key set, settle stale members, and tell the indexes.

        A member whose function raises keeps the value that it had, and runs again in the next commit.
        """
        if not self._started:
            for source in self._key_sources:
                self._touched.update(dict.fromkeys(source))
            self._started = True
        elif not self.stale and not self._touched:
            return  # as most of them, most times
        for key in self._touched:
            self._follow(key)
        self._touched.clear()
        self.failed = settle_all(self.stale, self.tracker)
        for index in self.indexes:
            index.flush()

    @property
    def differs(self) -> bool:
        """Whether there may be anything to report."""
        return bool(self._reported)

    def report(self) -> Changes[K, V]:
        """What differs from the last report."""
        changed, removed = {}, set()
        for key, old in self._reported.items():
            new = self.values.get(key)
            if new is None:
                if old is not None:
                    removed.add(key)
            elif not same(old, new):
                changed[key] = new
        self._reported.clear()
        return Changes(changed, removed)

    def compute(self, key: K, /) -> V | None:
        return self._function(read, key)

    def accept(self, cell: Cell, value: V | None, /) -> None:
        old: V | None = cell.value
        if same(old, value):
            return
        self.publish(cell.key, old, value, cell)
        self._reported.setdefault(cell.key, old)
        cell.value = value
        if value is None:
            del self.values[cell.key]
        else:
            self.values[cell.key] = value

    def release(self, node: Cell, /) -> None:
        if node.state == ABSENT:
            del self._cells[node.key]

    def _follow(self, key: K) -> None:
        cell = self._cells.get(key)
        if any(key in source for source in self._key_sources):
            if cell is None:
                cell = self._cells[key] = Cell(self, key, ABSENT)
            if cell.state == ABSENT:
                cell.state = DIRTY
                self.stale[cell] = None
        elif cell is not None and cell.state != ABSENT:
            self.accept(cell, None)
            cell.state = ABSENT
            self.stale.pop(cell, None)
            link(cell, [], self.tracker)
            if cell.readers is None:
                self.tracker.orphans[cell] = None
