"""Any program, any edits: the result is that of a build from scratch, nothing runs in vain, nothing is kept in vain."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from contour.reactive import CycleError, Engine
from contour.reactive.cell import ABSENT, FRESH, Cell, Node, readers_of

from .program import KEYS, TABLES, VALUES, FaultError, Machine, Naive, Program, programs

Edit = tuple[int, int, int | None]  # table, key, value or None to delete

edits = st.tuples(st.sampled_from(range(TABLES)), st.sampled_from(KEYS), st.sampled_from([None, *VALUES]))
batches = st.lists(st.lists(edits, max_size=4), min_size=1, max_size=8)


def apply(machine: Machine, tables: list[dict[int, int]], batch: list[Edit]) -> None:
    for table, key, value in batch:
        if value is None:
            machine.sources[table].delete(key)
            tables[table].pop(key, None)
        else:
            machine.sources[table].set(key, value)
            tables[table][key] = value


def fresh(program: Program, tables: list[dict[int, int]]) -> Machine:
    machine = Machine(program)
    machine.declare(len(program))
    apply(machine, [{}, {}], [(t, key, value) for t in range(TABLES) for key, value in tables[t].items()])
    machine.engine.commit()
    return machine


def check_result(machine: Machine, naive: Naive) -> None:
    for number, source in enumerate(machine.sources):
        match machine.program[number].kind:
            case "collection" | "table":
                assert dict(source.all.peek()) == naive.values[number]
                assert len(source) == len(naive.values[number])
            case "index":
                assert dict(source.all.peek()) == naive.values[number]


def check_needed(machine: Machine, naive: Naive, reads_before: dict) -> None:
    """No cell ran twice, none ran that had read the same answers before, and whatever ran is in use."""
    assert max(Counter(machine.log).values(), default=0) <= 1
    for number, key in machine.log:
        before = reads_before.get((number, key))
        assert before is None or any(naive.read(what, where) != value for what, where, value in before)
        node = machine.sources[number].find(key)
        assert node is not None
        assert machine.program[number].kind == "collection" or node.readers is not None


def nodes(machine: Machine) -> list[Node]:
    sources = [*machine.sources, *(source.all for source in machine.sources if hasattr(source, "all"))]
    found = [source.find(key) for source in sources for key in (None, *KEYS, *VALUES)]
    return list({id(node): node for node in found if node is not None}.values())


def check_graph(machine: Machine) -> None:
    """Everything is up to date, and every edge is known at both ends."""
    for node in nodes(machine):
        for reader in readers_of(node):
            assert node in reader.deps
        if isinstance(node, Cell):
            assert node.state in (FRESH, ABSENT)
            for dep in node.deps:
                assert node in readers_of(dep)
            assert len(set(node.deps)) == len(node.deps)


def forget(machine: Machine) -> None:
    """Drop the notes of cells that the engine has forgotten: they may run again."""
    for number, key in list(machine.reads):
        node = machine.sources[number].find(key)
        if node is None or node.state == ABSENT:
            del machine.reads[number, key]


@settings(max_examples=300, deadline=None)
@given(programs(), batches, st.data())
def test_incremental_is_from_scratch(program, batches, data):
    machine = Machine(program)
    late = data.draw(st.integers(TABLES, len(program)), label="declared at once")
    attach = data.draw(st.integers(0, len(batches) - 1), label="commits before the rest is declared")
    machine.declare(late)
    tables: list[dict[int, int]] = [{} for _ in range(TABLES)]
    mirror: dict[int, dict[int, int]] = {n: {} for n, item in enumerate(program) if item.kind == "collection"}
    for number, batch in enumerate(batches):
        before_edit = data.draw(st.booleans()) if number == attach else False
        if number == attach and before_edit:
            machine.declare(len(program))
        apply(machine, tables, batch)
        if number == attach:
            machine.declare(len(program))
        reads_before = dict(machine.reads)
        machine.log.clear()
        runs = machine.engine.runs
        changes = machine.engine.commit()

        declared = program[: len(machine.sources)]
        naive = Naive(declared, tables)
        check_result(machine, naive)
        check_needed(machine, naive, reads_before)
        check_graph(machine)
        forget(machine)
        assert machine.engine.runs - runs == len(machine.log)
        for collection in (n for n in mirror if n < len(declared)):
            known, reported = mirror[collection], changes[machine.sources[collection]]
            assert all(known.get(key) != value for key, value in reported.set.items())
            assert reported.removed <= known.keys()
            assert not reported.removed & reported.set.keys()
            known.update(reported.set)
            for key in reported.removed:
                del known[key]
            assert known == naive.values[collection]

    scratch = fresh(program, tables)
    assert machine.engine.cells == scratch.engine.cells
    check_result(scratch, Naive(program, tables))


@settings(max_examples=150, deadline=None)
@given(programs(), batches, st.lists(st.frozensets(st.integers(1, 12), max_size=2), min_size=8, max_size=8))
def test_nothing_is_lost_by_exceptions(program, batches, faults):
    machine = Machine(program)
    machine.declare(len(program))
    tables: list[dict[int, int]] = [{} for _ in range(TABLES)]
    mirror: dict[int, dict[int, int]] = {n: {} for n, item in enumerate(program) if item.kind == "collection"}
    for batch, faulty in zip([*batches, []], [*faults[: len(batches)], frozenset()], strict=True):
        apply(machine, tables, batch)
        machine.log.clear()
        machine.faults = set(faulty)
        changes = machine.engine.commit()
        for errors in changes.failures.values():
            for error in errors.values():
                assert isinstance(error, FaultError)
                assert error.__notes__[0] == str(error)  # the function that failed first, then those that needed it
        for collection, known in mirror.items():
            reported = changes[machine.sources[collection]]
            assert all(known.get(key) != value for key, value in reported.set.items())
            known.update(reported.set)
            for key in reported.removed:
                del known[key]
            assert known == dict(machine.sources[collection].items())
        if not changes.failures:
            check_graph(machine)
            check_result(machine, Naive(program, tables))
    assert machine.engine.cells == fresh(program, tables).engine.cells


NODES = "abcde"
graphs = st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=3).map(tuple))


def reachable_cycle(graph: dict[str, tuple[str, ...]], node: str, path: tuple[str, ...] = ()) -> bool:
    return node in path or any(reachable_cycle(graph, child, (*path, node)) for child in graph.get(node, ()))


def height(graph: dict[str, tuple[str, ...]], node: str) -> int:
    return 1 + max((height(graph, child) for child in graph.get(node, ())), default=0)


@settings(max_examples=150, deadline=None)
@given(st.lists(graphs, min_size=1, max_size=5))
def test_cycles_are_named_and_left(versions):
    engine = Engine()
    edges = engine.table("edges")
    heights = engine.derived(
        "height",
        lambda read, key: 1 + max((read(heights, child) for child in read(edges, key) or ()), default=0),
    )
    roots = engine.collection("roots", (frozenset("ab"),), lambda read, key: read(heights, key))
    for graph in versions:
        for node in NODES:
            if node in graph:
                edges.set(node, graph[node])
            else:
                edges.delete(node)
        if not any(reachable_cycle(graph, root) for root in "ab"):
            engine.commit()
            assert dict(roots.items()) == {root: height(graph, root) for root in "ab"}
            continue
        error = next(iter(engine.commit().failures[roots].values()))
        assert isinstance(error, CycleError)
        members = [name.removeprefix("height[").removesuffix("]") for name in error.members]
        for node, following in zip(members, [*members[1:], members[0]], strict=True):
            assert following in graph[node]
        assert " -> ".join([*error.members, error.members[0]]) in str(error)
