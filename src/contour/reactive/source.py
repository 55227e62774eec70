"""What can be read, and the function that reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from contour.reactive.cell import Node, OrderError, Tracker

K = TypeVar("K")
V = TypeVar("V")
K_co = TypeVar("K_co", covariant=True)
K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)


class Source(Protocol[K_contra, V_co]):
    """Anything that `read` takes: table, index, derived value, collection, or `.all` of one."""

    name: str

    def observe(self, key: K_contra, /) -> V_co:
        """The value of `key`, noted as read by the function that runs now. Functions call `read` instead."""

    def peek(self, key: K_contra, /) -> object:
        """The value of `key` as it is known now, for people to look at."""

    def find(self, key: K_contra, /) -> Node | None:
        """The node of `key`, if somebody reads it or it is computed."""


class Read(Protocol):
    """The first argument of every function."""

    def __call__(self, source: Source[K, V], key: K, /) -> V: ...


def read(source: Source[K, V], key: K, /) -> V:
    return source.observe(key)


class KeySource(Protocol[K_co]):
    """Something whose keys can be the keys of a collection."""

    def __contains__(self, key: object, /) -> bool: ...

    def __iter__(self) -> Iterator[K_co]: ...


class Watched(Generic[K]):
    """The key set of a source: who wants to know which keys came or went."""

    __slots__ = ("_watchers",)

    def __init__(self) -> None:
        self._watchers: list[dict[K, None]] = []

    def watch(self, touched: dict[K, None]) -> None:
        """From now on add to `touched` every key that comes or goes."""
        self._watchers.append(touched)

    def touch(self, key: K) -> None:
        for touched in self._watchers:
            touched[key] = None


class Whole(Generic[K, V]):
    """All of a source as one value: for aggregates that are O(N) by nature. Stale on any change."""

    __slots__ = ("_node", "_order", "_tracker", "_view", "name")

    def __init__(self, name: str, order: int, view: Mapping[K, V], tracker: Tracker) -> None:
        self.name = name + ".all"
        self._order = order
        self._view = view
        self._tracker = tracker
        self._node = Node(self, None)

    def observe(self, _key: None, /) -> Mapping[K, V]:
        if self._order >= self._tracker.position:
            raise out_of_order(self.name)
        self._tracker.reads.append(self._node)
        return self._view

    def peek(self, _key: None = None, /) -> Mapping[K, V]:
        return self._view

    def find(self, _key: None = None, /) -> Node:
        return self._node

    def release(self, node: Node, /) -> None:
        """There is one node, and it stays."""


def out_of_order(name: str) -> OrderError:
    return OrderError(f"{name} is read by a collection that is not declared after it")
