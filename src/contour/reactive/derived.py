"""Derived values: computed when somebody asks, remembered as long as somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from contour.reactive.cell import DIRTY, FRESH, Cell, Tracker, link, mark, same, settle
from contour.reactive.source import K, Read, V, read


class Derived(Generic[K, V]):
    """`fn(read, key)` for any key."""

    stale: dict[Cell, None] | None = None  # a derived value waits until somebody reads it

    def __init__(self, name: str, fn: Callable[[Read, K], V], tracker: Tracker) -> None:
        self.name = name
        self.runs = 0
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

    def compute(self, key: K, /) -> V:
        return self._function(read, key)

    def accept(self, cell: Cell, value: V, /) -> None:
        if not same(cell.value, value):
            mark(cell)
            cell.value = value

    def release(self, node: Cell, /) -> None:
        del self._cells[node.key]
        link(node, [], self._tracker)
