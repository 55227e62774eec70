"""Indexes: from a key found in the values of a table or collection to the set of entries found with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from contour.reactive.cell import Node, mark
from contour.reactive.keyed import Keyed
from contour.reactive.source import Watched, Whole, out_of_order

IK = TypeVar("IK")
E = TypeVar("E")

Pairs = dict[tuple[Any, Any], None]


class _Bucket(Node):
    """The entries of one index key, each with the number of source keys that gave it."""

    __slots__ = ("counts", "frozen")

    def __init__(self, owner: Index[Any, Any], key: Any) -> None:
        super().__init__(owner, key)
        self.counts: dict[Any, int] = {}
        self.frozen: frozenset[Any] | None = None

    def entries(self) -> frozenset[Any]:
        frozen = self.frozen
        if frozen is None:
            frozen = self.frozen = frozenset(self.counts)
        return frozen


class Index(Generic[IK, E]):
    """Readers of an index key are stale only when the set of its entries has changed."""

    def __init__(
        self, name: str, source: Keyed[Any, Any], entries: Callable[[Any, Any], Iterable[tuple[IK, E]]]
    ) -> None:
        self.name = name
        self.order = source.order
        self.tracker = source.tracker
        self.keys: Watched[IK] = Watched()
        self._function = entries
        self._buckets: dict[IK, _Bucket] = {}
        self._touched: dict[_Bucket, dict[E, bool]] = {}  # whether the entry was there at the last flush
        self.all: Whole[IK, frozenset[E]] = Whole(name, source.order, _View(self._buckets), source.tracker)
        for key in source.settled_keys():
            self.apply(self.delta(key, None, source.settled(key)))
        self.flush()
        source.indexes.append(self)

    def observe(self, key: IK, /) -> frozenset[E]:
        if self.order >= self.tracker.position:
            raise out_of_order(self.name)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self, key)
        self.tracker.reads.append(bucket)
        return bucket.entries()

    def get(self, key: IK) -> frozenset[E]:
        bucket = self._buckets.get(key)
        return bucket.entries() if bucket is not None else frozenset()

    def peek(self, key: IK, /) -> frozenset[E]:
        return self.get(key)

    def find(self, key: IK, /) -> Node | None:
        return self._buckets.get(key)

    def __contains__(self, key: object) -> bool:
        bucket = self._buckets.get(key)  # type: ignore[arg-type]  # any object may be asked for
        return bucket is not None and bool(bucket.counts)

    def __iter__(self) -> Iterator[IK]:
        return (key for key, bucket in self._buckets.items() if bucket.counts)

    @property
    def cells(self) -> int:
        return len(self._buckets)

    def delta(self, key: Any, old: Any, new: Any) -> tuple[Pairs, Pairs]:
        """The pairs that go and come when the value of a source key changes. Nothing is changed yet: this may raise."""
        gone: Pairs = dict.fromkeys(self._function(key, old)) if old is not None else {}
        come: Pairs = dict.fromkeys(self._function(key, new)) if new is not None else {}
        if gone and come:
            kept = gone.keys() & come.keys()
            for pair in kept:
                del gone[pair], come[pair]
        return gone, come

    def apply(self, delta: tuple[Pairs, Pairs]) -> None:
        gone, come = delta
        for key, entry in gone:
            counts = self._touch(key, entry)
            counts[entry] -= 1
            if not counts[entry]:
                del counts[entry]
        for key, entry in come:
            counts = self._touch(key, entry)
            counts[entry] = counts.get(entry, 0) + 1

    def flush(self) -> None:
        """Tell the readers of the keys whose set of entries is another one than at the last flush."""
        if not self._touched:
            return
        for bucket, entries in self._touched.items():
            growth = [(entry in bucket.counts) - was for entry, was in entries.items()]
            if any(growth):
                bucket.frozen = None
                mark(bucket)
                mark(self.all.find())
            now, before = len(bucket.counts), len(bucket.counts) - sum(growth)
            if bool(now) is not bool(before):
                self.keys.touch(bucket.key)
            if not now and bucket.readers is None:
                self.tracker.orphans[bucket] = None
        self._touched.clear()

    def release(self, node: Any, /) -> None:
        node.frozen = None
        if not node.counts:
            del self._buckets[node.key]

    def _touch(self, key: IK, entry: E) -> dict[E, int]:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self, key)
        self._touched.setdefault(bucket, {}).setdefault(entry, entry in bucket.counts)
        return bucket.counts


class _View(Mapping[IK, frozenset[E]]):
    """An index as a mapping: keys that have entries only."""

    __slots__ = ("_buckets",)

    def __init__(self, buckets: dict[IK, _Bucket]) -> None:
        self._buckets = buckets

    def __getitem__(self, key: IK) -> frozenset[E]:
        bucket = self._buckets[key]
        if not bucket.counts:
            raise KeyError(key)
        return bucket.entries()

    def __iter__(self) -> Iterator[IK]:
        return (key for key, bucket in self._buckets.items() if bucket.counts)

    def __len__(self) -> int:
        return sum(1 for _ in self)
