"""What tables and collections share: values by key, and everything that follows when one of them changes."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic

from contour.reactive.cell import Node, Tracker, mark
from contour.reactive.source import K, V, Watched, Whole

if TYPE_CHECKING:
    from contour.reactive.index import Index


class Keyed(Generic[K, V]):
    """Values by key. `order`: of the collection, or -1 for a table, which everybody may read."""

    def __init__(self, name: str, order: int, tracker: Tracker) -> None:
        self.name = name
        self.order = order
        self.tracker = tracker
        self.values: dict[K, V] = {}
        self.keys: Watched[K] = Watched()
        self.indexes: list[Index[Any, Any]] = []
        self.all: Whole[K, V] = Whole(name, order, MappingProxyType(self.values), tracker)

    def get(self, key: K) -> V | None:
        return self.values.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[K]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def publish(self, key: K, old: V | None, new: V | None, node: Node | None) -> None:
        """`old` has become `new` in the eyes of all readers. May raise (in a function of an index) before any effect."""
        deltas = [index.delta(key, old, new) for index in self.indexes]
        for index, delta in zip(self.indexes, deltas, strict=True):
            index.apply(delta)
        if (old is None) is not (new is None):
            self.keys.touch(key)
        if node is not None:
            mark(node)
        mark(self.all.find())

    def settled(self, key: K) -> V | None:
        """The value of `key` that has been published last."""
        return self.values.get(key)

    def settled_keys(self) -> Iterator[K]:
        return iter(self.values)
