"""Why a value is what it is: what it read and what reads it, for people."""

from __future__ import annotations

from typing import Any, NamedTuple

from contour.reactive.cell import Cell, Node, readers_of
from contour.reactive.source import K, Source


class Link(NamedTuple):
    """A value by the name of its source and its key; renders as `source[key]`."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}[{self.key}]"


class Explanation(NamedTuple):
    """One value with its neighbours, one level each way."""

    name: Link
    value: object
    reads: tuple[Link, ...]  # in order of reading
    read_by: tuple[Link, ...]


def explain(source: Source[K, Any], key: K) -> Explanation:
    node = source.find(key)
    deps = node.deps if isinstance(node, Cell) else ()
    readers = readers_of(node) if node is not None else ()
    return Explanation(
        Link(source.name, str(key)),
        source.peek(key),
        tuple(_name(dep) for dep in deps),
        tuple(_name(reader) for reader in readers),
    )


def _name(node: Node) -> Link:
    return Link(node.owner.name, str(node.key))
