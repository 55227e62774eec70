"""Random programs for the engine: a declaration list as data, run by an engine and, apart from it, by a naive reading.

Keys and values are small integers, so that equal results (early cutoff) and shared keys are frequent.
An expression is a nested tuple; every program is free of cycles because an item refers to earlier items only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from contour.reactive import Engine

KEYS = range(4)
VALUES = range(4)
TABLES = 2

Expression = tuple[Any, ...]


class Item(NamedTuple):
    kind: str  # table, index, derived, collection
    source: int = -1  # index: the item it is over
    style: int = 0  # index: which entries
    keys: tuple[int | frozenset[int], ...] = ()  # collection
    body: Expression = ()  # derived, collection


Program = tuple[Item, ...]


def entries(style: int) -> Callable[[int, int], list[tuple[int, int]]]:
    """Several source keys give the same pair in style 1; one source key gives several index keys in style 2."""
    if style == 0:
        return lambda key, value: [(value, key)]
    if style == 1:
        return lambda _key, value: [(value % 2, value // 2)]
    return lambda key, value: [(index_key, key % 2) for index_key in range(value)]


def evaluate(body: Expression, read: Callable[[int | tuple[str, int], Any], Any], key: int) -> int:
    match body:
        case ("const", value):
            return value
        case ("key",):
            return key
        case ("add", left, right):
            return (evaluate(left, read, key) + evaluate(right, read, key)) % len(VALUES)
        case ("if", condition, yes, no):
            return evaluate(yes if evaluate(condition, read, key) % 2 else no, read, key)
        case ("read", item, where):
            value = read(item, evaluate(where, read, key) % len(KEYS))
            return sum(value) % len(VALUES) if isinstance(value, frozenset) else (value or 0)
        case ("all", item):
            whole = read(("all", item), None)
            numbers = (sum(value) if isinstance(value, frozenset) else value for value in whole.values())
            return (len(whole) + sum(numbers)) % len(VALUES)
    raise AssertionError(body)


def member(body: Expression, read: Callable[..., Any], key: int) -> int | None:
    value = evaluate(body, read, key)
    return None if value == 0 else value


# --- generation ---------------------------------------------------------------------------------------------------


def expressions(readable: list[int], wholes: list[int]) -> st.SearchStrategy[Expression]:
    leaf = st.one_of(st.just(("key",)), st.tuples(st.just("const"), st.sampled_from(VALUES)))
    items = st.sampled_from(readable)

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        reads = st.tuples(st.just("read"), items, inner)
        return st.one_of(
            reads,
            reads,
            st.tuples(st.just("add"), inner, inner),
            st.tuples(st.just("if"), reads, inner, inner),
            *([st.tuples(st.just("all"), st.sampled_from(wholes))] if wholes else []),
        )

    return st.recursive(leaf, grow, max_leaves=6)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    items = [Item("table") for _ in range(TABLES)]
    for _ in range(draw(st.integers(2, 8))):
        number = range(len(items))
        keyed = [i for i in number if items[i].kind in ("table", "collection")]
        key_sets = [i for i in number if items[i].kind != "derived"]
        kind = draw(st.sampled_from(["index", "derived", "derived", "collection", "collection"]))
        if kind == "index":
            items.append(Item(kind, source=draw(st.sampled_from(keyed)), style=draw(st.integers(0, 2))))
            continue
        body = draw(expressions(list(number), key_sets))
        if kind == "derived":
            items.append(Item(kind, body=body))
            continue
        constant = st.frozensets(st.sampled_from(KEYS), max_size=2)
        keys = draw(st.lists(st.one_of(st.sampled_from(key_sets), st.sampled_from(key_sets), constant), max_size=3))
        items.append(Item(kind, keys=tuple(keys), body=body))
    constant_keys = (frozenset(KEYS),)  # somebody looks at the last items
    items.append(Item("collection", keys=constant_keys, body=("read", len(items) - 1, ("key",))))
    return tuple(items)


# --- the naive reading --------------------------------------------------------------------------------------------


class Naive:
    """All values from the inputs, with nothing kept between two states."""

    def __init__(self, program: Program, tables: list[dict[int, int]]) -> None:
        self._program = program
        self._memo: dict[tuple[int, int], int] = {}
        self.values: list[dict[int, Any]] = []
        for number, item in enumerate(program):
            match item.kind:
                case "table":
                    self.values.append(tables[number])
                case "index":
                    pairs = [pair for kv in self.values[item.source].items() for pair in entries(item.style)(*kv)]
                    keys = {key for key, _ in pairs}
                    self.values.append({key: frozenset(e for k, e in pairs if k == key) for key in keys})
                case "derived":
                    self.values.append({})
                case "collection":
                    keys = {key for source in item.keys for key in self._keys(source)}
                    members = {key: member(item.body, self.read, key) for key in keys}
                    self.values.append({key: value for key, value in members.items() if value is not None})

    def _keys(self, source: int | frozenset[int]) -> Iterator[int]:
        return iter(self.values[source] if isinstance(source, int) else source)

    def read(self, what: int | tuple[str, int], key: Any) -> Any:
        if isinstance(what, tuple):
            return self.values[what[1]]
        item = self._program[what]
        if item.kind == "index":
            return self.values[what].get(key, frozenset())
        if item.kind != "derived":
            return self.values[what].get(key)
        if (what, key) not in self._memo:
            self._memo[what, key] = evaluate(item.body, self.read, key)
        return self._memo[what, key]


# --- the program in an engine -------------------------------------------------------------------------------------


class FaultError(Exception):
    """Raised by a function that a test wants to fail."""


class Machine:
    """A program in an engine. Items are declared by `declare`, so that some may come after commits.

    `log`: what ran since it was cleared. `reads`: by (item, key), the answers that the last run of a cell was given.
    """

    def __init__(self, program: Program) -> None:
        self.engine = Engine()
        self.program = program
        self.sources: list[Any] = []
        self.log: list[tuple[int, int]] = []
        self.reads: dict[tuple[int, int], list[tuple[int | tuple[str, int], Any, Any]]] = {}
        self.faults: set[int] = set()  # calls of functions that fail, counted from the last clear of the log

    def declare(self, count: int) -> None:
        engine = self.engine
        for number in range(len(self.sources), count):
            item = self.program[number]
            name = f"{item.kind} {number}"
            match item.kind:
                case "table":
                    self.sources.append(engine.table(name))
                case "index":
                    self.sources.append(engine.index(name, self.sources[item.source], entries(item.style)))
                case "derived":
                    self.sources.append(engine.derived(name, self._function(number, evaluate)))
                case "collection":
                    keys = tuple(self.sources[k] if isinstance(k, int) else k for k in item.keys)
                    self.sources.append(engine.collection(name, keys, self._function(number, member)))

    def _function(self, number: int, how: Callable[..., Any]) -> Callable[..., Any]:
        def function(read: Any, key: int) -> Any:
            seen: list[tuple[int | tuple[str, int], Any, Any]] = []

            def noted(what: int | tuple[str, int], where: Any) -> Any:
                source = self.sources[what[1]].all if isinstance(what, tuple) else self.sources[what]
                value = read(source, where)
                seen.append((what, where, dict(value) if isinstance(value, Mapping) else value))
                return value

            self.log.append((number, key))
            call = len(self.log)
            value = how(self.program[number].body, noted, key)
            if call in self.faults:
                raise FaultError(f"in {self.sources[number].name}[{key}]")
            self.reads[number, key] = seen
            return value

        return function
