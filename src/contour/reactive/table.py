"""Input tables: what the world outside says. Changes count from the next commit on."""

from __future__ import annotations

from collections.abc import Iterator

from contour.reactive.cell import Node, Tracker, same
from contour.reactive.keyed import Keyed
from contour.reactive.source import K, V


class Table(Keyed[K, V]):
    """Frozen values by key; None is not a value."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        super().__init__(name, -1, tracker)
        self._nodes: dict[K, Node] = {}  # keys that somebody reads, present or not
        self._before: dict[K, V | None] = {}  # published values of the keys set or deleted since

    def set(self, key: K, value: V) -> None:
        if value is None:
            raise ValueError(f"{self.name}[{key}]: None is not a value; use delete")
        old = self.values.get(key)
        if old is None or not same(old, value):
            self._remember(key, old)
            self.values[key] = value

    def delete(self, key: K) -> None:
        """Deleting a key that is not there is no change."""
        old = self.values.get(key)
        if old is not None:
            self._remember(key, old)
            del self.values[key]

    def observe(self, key: K, /) -> V | None:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Node(self, key)
        self.tracker.reads.append(node)
        return self.values.get(key)

    def peek(self, key: K, /) -> V | None:
        return self.values.get(key)

    def find(self, key: K, /) -> Node | None:
        return self._nodes.get(key)

    @property
    def cells(self) -> int:
        return len(self._nodes)

    def flush(self) -> None:
        """Publish what has been set and deleted, in that order."""
        before = self._before
        if not before:
            return
        for key, old in list(before.items()):
            new = self.values.get(key)
            if not same(old, new):
                self.publish(key, old, new, self._nodes.get(key))
            del before[key]
        before.clear()  # gives back the room of a large batch
        for index in self.indexes:
            index.flush()

    def release(self, node: Node, /) -> None:
        del self._nodes[node.key]

    def settled(self, key: K) -> V | None:
        return self._before[key] if key in self._before else self.values.get(key)

    def settled_keys(self) -> Iterator[K]:
        return iter({**self.values, **self._before})

    def _remember(self, key: K, old: V | None) -> None:
        if self.tracker.committing:
            raise RuntimeError(f"{self.name}[{key}] was changed during a commit")
        self._before.setdefault(key, old)
