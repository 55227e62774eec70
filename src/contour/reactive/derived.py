"""Derived values: computed when somebody asks, remembered as long as somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from contour.reactive.cell import DIRTY, FRESH, Cell, Tracker, link, mark, same, settle, settle_all
from contour.reactive.source import K, Read, V, read


class Derived(Generic[K, V]):
    """`fn(read, key)` for any key. Eager: see `Engine.derived`."""

    def __init__(self, name: str, fn: Callable[[Read, K], V], tracker: Tracker, *, eager: bool = False) -> None:
        self.name = name
        self.runs = 0
        # None: a stale value waits until somebody reads it, and its readers have to look meanwhile.
        self.stale: dict[Cell, None] | None = {} if eager else None
        self.failed: dict[K, Exception] = {}  # of eager values: whose function raised in this commit
        self._function = fn
        self._tracker = tracker
        self._cells: dict[K, Cell] = {}

    def observe(self, key: K, /) -> V:
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(self, key, DIRTY)
        self._tracker.reads.append(cell)
        if cell.state != FRESH:
            settle(cell, self._tracker)
        value: V = cell.value
        return value

    def peek(self, key: K, /) -> V | None:
        cell = self._cells.get(key)
        return cell.value if cell is not None else None

    def find(self, key: K, /) -> Cell | None:
        return self._cells.get(key)

    @property
    def cells(self) -> int:
        return len(self._cells)

    def process(self) -> None:
        """Eager: settle what is stale. A value whose function raises stays as it was, and runs again in the next commit."""
        if self.stale or self.failed:  # the last to fail may be forgotten since
            self.failed = settle_all(self.stale or {}, self._tracker)

    def compute(self, key: K, /) -> V:
        return self._function(read, key)

    def accept(self, cell: Cell, value: V, /) -> None:
        if not same(cell.value, value):
            mark(cell)
            cell.value = value

    def release(self, node: Cell, /) -> None:
        del self._cells[node.key]
        if self.stale is not None:
            self.stale.pop(node, None)
        link(node, [], self._tracker)
