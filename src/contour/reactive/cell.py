"""Nodes, the edges between them, and how a stale cell is brought up to date.

In: what a running function reads. Out: readers marked stale, cells settled. Which values exist, and what else follows
from a change, is the business of the sources that own the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

# States of a cell. Invariant between runs: the readers of a cell that is not FRESH are not FRESH either.
ABSENT = -1  # a key that is read, but that is no key of the collection
FRESH = 0
CHECK = 1  # something that it depends on may have changed
DIRTY = 2  # something that it read has changed, or it never ran
RUNNING = 3


class CycleError(RuntimeError):
    """A value needs itself. `members` names the cells in order of reading; the first is read again by the last."""

    def __init__(self, members: tuple[str, ...]) -> None:
        super().__init__("cycle: " + " -> ".join((*members, members[0])))
        self.members = members


class OrderError(RuntimeError):
    """A collection depends on itself or on a collection declared after it."""


class Owner(Protocol):
    name: str

    def release(self, node: Any, /) -> None:
        """Nobody reads `node` any more."""


class Computing(Owner, Protocol):
    runs: int

    @property
    def stale(self) -> dict[Cell, None] | None:
        """Collections: the members to settle. None: cells wait until somebody reads them."""

    def compute(self, key: Any, /) -> Any: ...

    def accept(self, cell: Cell, value: Any, /) -> None:
        """Take the result of a run. May raise, as long as nothing has been changed then."""


class Node:
    """Something that can be read. `readers`: none, the only one, or all in order (most nodes have one reader)."""

    __slots__ = ("key", "owner", "readers")

    def __init__(self, owner: Owner, key: Any) -> None:
        self.owner = owner
        self.key = key
        self.readers: Cell | dict[Cell, None] | None = None

    def __str__(self) -> str:
        return f"{self.owner.name}[{self.key}]"


class Cell(Node):
    """A computed value: `deps` is what its last run read, in that order."""

    __slots__ = ("deps", "state", "value")

    owner: Computing

    def __init__(self, owner: Computing, key: Any, state: int) -> None:
        super().__init__(owner, key)
        self.value: Any = None
        self.deps: tuple[Node, ...] = ()
        self.state = state


class _Outside(list[Node]):
    def append(self, _node: Node, /) -> None:
        raise RuntimeError("read was called outside of the function that it was given to")


_OUTSIDE = _Outside()


class Tracker:
    """What an engine is doing right now; shared by its sources."""

    __slots__ = ("committing", "orphans", "position", "reads", "runs", "stack")

    def __init__(self) -> None:
        self.reads: list[Node] = _OUTSIDE  # of the function that runs
        self.stack: list[Cell] = []  # cells being settled, the innermost last
        self.position = -1  # order of the collection being processed
        self.orphans: dict[Node, None] = {}  # nodes that may have lost their last reader
        self.runs = 0
        self.committing = False


def same(old: Any, new: Any) -> bool:
    return old is new or bool(old == new)


def readers_of(node: Node) -> Iterator[Cell]:
    readers = node.readers
    if type(readers) is dict:
        yield from readers
    elif readers is not None:
        yield readers  # type: ignore[misc]  # `type() is` narrows one way only


def mark(node: Node) -> None:
    """The value of `node` has changed: its readers must run, and theirs must look."""
    if node.readers is None:
        return
    todo: list[Cell] = []
    for cell in readers_of(node):
        if cell.state == FRESH:
            todo.append(cell)
            cell.state = DIRTY
        elif cell.state == CHECK:
            cell.state = DIRTY
    for cell in todo:  # grows
        stale = cell.owner.stale
        if stale is not None:
            stale[cell] = None
            continue
        for reader in readers_of(cell):
            if reader.state == FRESH:
                reader.state = CHECK
                todo.append(reader)


def settle(cell: Cell, tracker: Tracker) -> None:
    """Bring a stale cell up to date, running its function only if something that it read came out different."""
    stack = tracker.stack
    if cell.state == RUNNING:
        raise CycleError(tuple(str(member) for member in stack[stack.index(cell) :]))
    stack.append(cell)
    try:
        if cell.state == DIRTY or _input_changed(cell, tracker):
            _run(cell, tracker)
        else:
            cell.state = FRESH
    except Exception as error:
        error.add_note(f"in {cell}")
        raise
    finally:
        stack.pop()


def settle_all(stale: dict[Cell, None], tracker: Tracker) -> dict[Any, Exception]:
    """Settle each one; those that get through leave `stale`. What the others raised, by key: they keep their values."""
    failed: dict[Any, Exception] = {}
    for cell in list(stale):
        try:
            settle(cell, tracker)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are not concerned
            failed[cell.key] = error
        else:
            stale.pop(cell, None)
    if not stale:
        stale.clear()  # gives back the room of a large batch
    return failed


def _input_changed(cell: Cell, tracker: Tracker) -> bool:
    for dep in cell.deps:
        if isinstance(dep, Cell) and dep.state > FRESH:
            settle(dep, tracker)  # marks its readers, this cell among them, when it changes
            if cell.state == DIRTY:
                return True
    return False


def _run(cell: Cell, tracker: Tracker) -> None:
    owner = cell.owner
    outer = tracker.reads
    reads: list[Node] = []
    tracker.reads = reads
    cell.state = RUNNING
    tracker.runs += 1
    owner.runs += 1
    try:
        owner.accept(cell, owner.compute(cell.key))
    except BaseException:
        cell.state = DIRTY
        tracker.orphans.update((node, None) for node in reads if node.readers is None)
        raise
    finally:
        tracker.reads = outer
    link(cell, reads, tracker)
    cell.state = FRESH


def link(cell: Cell, reads: list[Node], tracker: Tracker) -> None:
    """Replace what `cell` depends on."""
    deps = tuple(dict.fromkeys(reads))
    old = cell.deps
    if deps == old:
        return
    cell.deps = deps
    if not old:
        for node in deps:
            _add_reader(node, cell)
        return
    before = set(old)
    for node in deps:
        if node in before:
            before.remove(node)
        else:
            _add_reader(node, cell)
    for node in old:
        if node in before:
            _drop_reader(node, cell, tracker)


def _add_reader(node: Node, cell: Cell) -> None:
    readers = node.readers
    if readers is None:
        node.readers = cell
    elif isinstance(readers, dict):
        readers[cell] = None
    else:
        node.readers = {readers: None, cell: None}


def _drop_reader(node: Node, cell: Cell, tracker: Tracker) -> None:
    readers = node.readers
    if isinstance(readers, dict):
        del readers[cell]
        if len(readers) == 1:
            (node.readers,) = readers
    else:
        node.readers = None
        tracker.orphans[node] = None


def sweep(tracker: Tracker) -> None:
    """Let the owners forget what nobody reads any more, and what only that had read."""
    orphans = tracker.orphans
    while orphans:
        node, _ = orphans.popitem()
        if node.readers is None:
            node.owner.release(node)
