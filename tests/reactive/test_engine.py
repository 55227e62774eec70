"""What the engine promises, one promise a test."""

from __future__ import annotations

import gc
from collections.abc import Mapping

import pytest

from contour.reactive import ChangeSet, Collection, Derived, Engine, Index, Link, OrderError, Table


def failure(changes: ChangeSet) -> Exception:
    """The first one of a commit."""
    return next(error for errors in changes.failures.values() for error in errors.values())


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_table_is_a_mapping_of_values(engine):
    table: Table[str, int] = engine.table("numbers")
    table.set("a", 1)
    table.set("b", 2)
    table.delete("b")
    table.delete("never there")
    assert (table.get("a"), table.get("b"), "a" in table, len(table), list(table)) == (1, None, True, 1, ["a"])
    with pytest.raises(ValueError, match="None is not a value"):
        table.set("a", None)  # type: ignore[arg-type]


def test_an_edit_runs_only_what_read_it(engine):
    services: Table[str, int] = engine.table("services")
    hosts = engine.collection("hosts", (services,), lambda read, key: read(services, key))
    for name in "abcdef":
        services.set(name, 1)
    assert engine.commit()[hosts].set == dict.fromkeys("abcdef", 1)
    services.set("c", 2)
    assert engine.commit()[hosts].set == {"c": 2}
    assert (hosts.runs, engine.runs) == (7, 7)


def test_an_equal_value_is_no_change(engine):
    table: Table[str, tuple[int, ...]] = engine.table("t")
    out = engine.collection("c", (table,), lambda read, key: read(table, key))
    table.set("a", (1, 2))
    engine.commit()
    table.set("a", (1, *(2,)))
    assert not engine.commit()
    assert out.runs == 1


def test_set_and_set_back_between_commits_is_no_change(engine):
    table: Table[str, int] = engine.table("t")
    by_value: Index[int, str] = engine.index("i", table, lambda key, value: [(value, key)])
    out = engine.collection("c", (table, by_value), lambda read, key: str(read(table, key)))
    table.set("a", 1)
    table.set("b", 1)
    engine.commit()
    runs = engine.runs
    table.set("a", 2)
    table.set("a", 1)
    table.delete("b")
    table.set("b", 1)
    table.set("c", 3)
    table.delete("c")
    assert not engine.commit()
    assert engine.runs == runs
    assert out.get("a") == "1"


def test_early_cutoff(engine):
    table: Table[str, int] = engine.table("t")
    parity: Derived[str, int] = engine.derived("parity", lambda read, key: (read(table, key) or 0) % 2)
    out = engine.collection("c", (table,), lambda read, key: ("odd", "even")[read(parity, key) == 0])
    table.set("a", 1)
    engine.commit()
    table.set("a", 3)
    assert not engine.commit()
    assert (parity.runs, out.runs) == (2, 1)


def test_a_shared_value_runs_once(engine):
    table: Table[str, int] = engine.table("t")
    shared = engine.derived("shared", lambda read, key: read(table, key))
    out = engine.collection("c", (frozenset(range(100)),), lambda read, key: (key, read(shared, "x")))
    engine.commit()
    table.set("x", 1)
    assert len(engine.commit()[out].set) == 100
    assert shared.runs == 2


def test_a_stale_value_that_nobody_would_read_does_not_run(engine):
    table: Table[str, int] = engine.table("t")
    dangerous = engine.derived("dangerous", lambda read, key: 10 // (read(table, "divisor") or 0))
    allowed = engine.derived("allowed", lambda read, key: (read(table, "divisor") or 0) > 0)
    out = engine.collection(
        "c", (frozenset(["x"]),), lambda read, key: read(dangerous, key) if read(allowed, key) else -1
    )
    table.set("divisor", 5)
    engine.commit()
    table.set("divisor", 0)  # running `dangerous` before the reader's own check would raise
    assert engine.commit()[out].set == {"x": -1}
    assert dangerous.find("x") is None


def test_index_readers_are_stale_only_when_the_set_changes(engine):
    table: Table[str, tuple[str, str]] = engine.table("slices")
    index: Index[str, str] = engine.index("by service", table, lambda _key, value: [value])
    out = engine.collection("c", (frozenset(["s"]),), lambda read, key: tuple(sorted(read(index, key))))
    table.set("a", ("s", "x"))
    engine.commit()
    table.set("b", ("s", "x"))  # the same pair again
    assert not engine.commit()
    table.delete("a")  # b still gives it
    assert not engine.commit()
    table.delete("b")
    table.set("c", ("s", "x"))  # moves from b to c in one commit
    assert not engine.commit()
    assert out.runs == 1
    table.set("c", ("s", "y"))
    assert engine.commit()[out].set == {"s": ("y",)}


def test_index_read_is_cached_until_it_changes(engine):
    table: Table[str, int] = engine.table("t")
    index: Index[int, str] = engine.index("i", table, lambda key, value: [(value, key)])
    table.set("a", 1)
    engine.commit()
    assert index.get(1) is index.get(1) == frozenset("a")
    table.set("b", 1)
    engine.commit()
    assert index.get(1) == frozenset("ab")
    assert (list(index), 1 in index, 2 in index, index.get(2)) == ([1], True, False, frozenset())


def test_index_declared_late_has_what_was_there(engine):
    table: Table[str, int] = engine.table("t")
    table.set("a", 1)
    engine.commit()
    table.set("a", 2)  # not committed
    table.set("b", 1)
    index: Index[int, str] = engine.index("i", table, lambda key, value: [(value, key)])
    assert dict(index.all.peek()) == {1: frozenset("a")}
    engine.commit()
    assert dict(index.all.peek()) == {1: frozenset("b"), 2: frozenset("a")}


def test_keys_are_a_union_that_follows_its_sources(engine):
    table: Table[str, str] = engine.table("t")
    index: Index[str, str] = engine.index("i", table, lambda key, value: [(value, key)])
    first = engine.collection("first", (table,), lambda read, key: key if key != "hidden" else None)
    out = engine.collection("c", (index, first, frozenset(["const"])), lambda read, key: key)
    table.set("a", "a")  # from the index and from the collection
    table.set("hidden", "b")  # no member of the first, but its value is a key of the index
    assert engine.commit()[out].set.keys() == {"a", "b", "const"}
    assert (len(out), sorted(out), "a" in out, len(first)) == (3, ["a", "b", "const"], True, 1)
    table.set("a", "b")  # the collection still has it
    assert not engine.commit()
    table.delete("a")
    assert engine.commit()[out].removed == {"a"}


def test_none_is_not_a_member(engine):
    table: Table[str, int] = engine.table("t")
    out = engine.collection("c", (table,), lambda read, key: read(table, key) if read(table, key) != 7 else None)
    after = engine.collection("after", (frozenset(["a"]),), lambda read, key: str(read(out, key)))
    table.set("a", 7)
    changes = engine.commit()
    assert not changes[out]
    assert changes[after].set == {"a": "None"}
    table.set("a", 1)
    assert engine.commit()[out].set == {"a": 1}
    table.set("a", 7)
    changes = engine.commit()
    assert (changes[out].set, changes[out].removed, changes[after].set) == ({}, {"a"}, {"a": "None"})


def test_a_collection_declared_late_is_computed_at_the_next_commit(engine):
    table: Table[str, int] = engine.table("t")
    first = engine.collection("first", (table,), lambda read, key: read(table, key))
    table.set("a", 1)
    engine.commit()
    late = engine.collection("late", (first,), lambda read, key: read(first, key))
    changes = engine.commit()
    assert (changes[late].set, bool(changes[first]), first.runs) == ({"a": 1}, False, 1)


def test_index_over_a_collection(engine):
    table: Table[str, str] = engine.table("t")
    hosts = engine.collection("hosts", (table,), lambda read, key: read(table, key))
    users: Index[str, str] = engine.index("users", hosts, lambda key, value: [(value, key)])
    services = engine.collection("services", (users,), lambda read, key: tuple(sorted(read(users, key))))
    table.set("a", "s1")
    table.set("b", "s1")
    assert engine.commit()[services].set == {"s1": ("a", "b")}
    table.set("b", "s2")
    assert engine.commit()[services].set == {"s1": ("a",), "s2": ("b",)}
    table.delete("a")
    assert engine.commit()[services].removed == {"s1"}


def test_all_is_a_view_that_cannot_be_written(engine):
    table: Table[str, int] = engine.table("t")
    index: Index[int, str] = engine.index("i", table, lambda key, value: [(value, key)])
    doubled = engine.collection("doubled", (table,), lambda read, key: 2 * (read(table, key) or 0))
    seen: list[Mapping[str, int]] = []

    def total(read, _key):
        seen.append(read(doubled.all, None))
        return sum(read(table.all, None).values()) + sum(read(doubled.all, None).values()) + len(read(index.all, None))

    out = engine.collection("total", (frozenset(["all"]),), total)
    table.set("a", 1)
    table.set("b", 2)
    assert engine.commit()[out].set == {"all": 11}
    table.set("b", 3)
    assert engine.commit()[out].set == {"all": 14}
    table.set("b", 3)
    assert not engine.commit()
    with pytest.raises(TypeError):
        seen[0]["a"] = 5  # type: ignore[index]


def test_index_all_has_only_keys_with_entries(engine):
    table: Table[str, int] = engine.table("t")
    index: Index[int, str] = engine.index("i", table, lambda key, value: [(value, key)])
    engine.collection("reader", (frozenset([7]),), lambda read, key: len(read(index, key)))  # keeps 7 as a node
    table.set("a", 1)
    engine.commit()
    view = index.all.peek()
    assert (dict(view), len(view), 7 in view) == ({1: frozenset("a")}, 1, False)


# --- memory -------------------------------------------------------------------------------------------------------


def test_what_nobody_reads_is_forgotten(engine):
    table: Table[int, int] = engine.table("t")
    index: Index[int, int] = engine.index("i", table, lambda key, value: [(value, key)])
    deep = engine.derived("deep", lambda read, key: read(table, key + 1000))
    derived = engine.derived("d", lambda read, key: (read(deep, key), read(index, key)))
    out = engine.collection("c", (table,), lambda read, key: read(derived, key) and read(table, key))
    engine.collection("after", (out,), lambda read, key: read(out, key))
    empty = engine.cells
    for key in range(50):
        table.set(key, key + 7)
    engine.commit()
    assert engine.cells > 250
    for key in range(50):
        table.delete(key)
    engine.commit()
    assert engine.cells == empty == 0


def test_forgotten_cells_leave_no_cycles(engine):
    table: Table[int, int] = engine.table("t")
    derived = engine.derived("d", lambda read, key: read(table, key))
    engine.collection("c", (table,), lambda read, key: read(derived, key))
    for key in range(50):
        table.set(key, key)
    engine.commit()
    gc.collect()
    gc.disable()
    try:
        for key in range(50):
            table.delete(key)
        engine.commit()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_reader_may_wait_for_a_key_that_is_not_there(engine):
    table: Table[str, int] = engine.table("t")
    first = engine.collection("first", (table,), lambda read, key: read(table, key))
    out = engine.collection("c", (frozenset(["x"]),), lambda read, key: read(first, "a") or 0)
    assert engine.commit()[out].set == {"x": 0}
    table.set("a", 5)
    assert engine.commit()[out].set == {"x": 5}
    table.delete("a")
    assert engine.commit()[out].set == {"x": 0}


# --- misuse and failure -------------------------------------------------------------------------------------------


def test_a_collection_cannot_read_itself(engine):
    out: Collection[str, int] = engine.collection("c", (frozenset("a"),), lambda read, key: read(out, key))
    with pytest.raises(OrderError, match="c is read by a collection that is not declared after it"):
        raise failure(engine.commit())


@pytest.mark.parametrize("how", ["key", "all", "index", "derived"])
def test_a_collection_cannot_read_a_later_one(engine, how):
    def first(read, key):
        match how:
            case "key":
                return read(later, key)
            case "all":
                return len(read(later.all, None))
            case "index":
                return len(read(index, 1))
        return read(through, key)

    engine.collection("first", (frozenset("a"),), first)
    later: Collection[str, int] = engine.collection("later", (frozenset("a"),), lambda read, key: 1)
    index: Index[int, str] = engine.index("i", later, lambda key, value: [(value, key)])
    through = engine.derived("through", lambda read, key: read(later, key))
    with pytest.raises(OrderError):
        raise failure(engine.commit())


def test_a_remembered_value_does_not_hide_a_wrong_order(engine):
    table: Table[str, int] = engine.table("t")
    first = engine.collection("first", (frozenset("a"),), lambda read, key: read(table, "on") and read(through, key))
    later = engine.collection("later", (frozenset("a"),), lambda read, key: read(table, "value"))
    through = engine.derived("through", lambda read, key: read(later, key))
    engine.collection("last", (frozenset("a"),), lambda read, key: read(through, key))
    table.set("value", 1)
    engine.commit()
    table.set("on", 1)
    engine.commit()  # `through` is at hand: still the right answer
    table.set("value", 2)
    with pytest.raises(OrderError, match="first depends on"):
        engine.commit()
    assert first.get("a") == 1


def test_an_exception_names_its_way_and_holds_up_nothing_else(engine):
    table: Table[str, int] = engine.table("t")
    inverse = engine.derived("inverse", lambda read, key: 12 // (read(table, key) or 0))
    out = engine.collection("hosts", (table,), lambda read, key: read(inverse, key))
    behind = engine.collection("behind", (out,), lambda read, key: -(read(out, key) or 0))
    for key, value in {"a": 1, "b": 2, "c": 3}.items():
        table.set(key, value)
    engine.commit()
    table.set("a", 4)
    table.set("b", 0)
    table.set("c", 6)
    table.set("d", 0)
    changes = engine.commit()
    assert changes[out].set == {"a": 3, "c": 2}
    assert changes[behind].set == {"a": -3, "c": -2}
    assert (out.get("b"), out.get("d")) == (6, None)  # as before
    assert {key: error.__notes__ for key, error in changes.failures[out].items()} == {
        key: [f"in inverse[{key}]", f"in hosts[{key}]"] for key in "bd"
    }
    table.delete("d")
    table.set("a", 6)
    changes = engine.commit()
    assert changes[out].set == {"a": 2}
    assert list(changes.failures[out]) == ["b"]  # tried again
    table.set("b", 12)
    changes = engine.commit()
    assert (changes[out].set, changes.failures) == ({"b": 1}, {})


def test_an_exception_in_an_index_is_retried(engine):
    table: Table[str, str] = engine.table("t")
    lengths: Index[int, str] = engine.index("lengths", table, lambda key, value: [(len(value), key)])
    numbers: Index[int, str] = engine.index("numbers", table, lambda key, value: [(int(value), key)])
    out = engine.collection("c", (numbers, lengths), lambda read, key: (read(numbers, key), read(lengths, key)))
    table.set("a", "12")
    table.set("b", "x")
    table.set("c", "34")
    with pytest.raises(ValueError, match="invalid literal"):
        engine.commit()
    table.set("b", "56")
    engine.commit()
    assert dict(lengths.all.peek()) == {2: frozenset("abc")}
    assert set(out) == {2, 12, 34, 56}
    assert out.get(2) == (frozenset(), frozenset("abc"))
    table.delete("a")  # counted once, although the first commit stopped after it
    engine.commit()
    assert dict(lengths.all.peek()) == {2: frozenset("bc")}


def test_an_exception_in_an_index_over_a_collection_is_retried(engine):
    table: Table[str, str] = engine.table("t")
    first = engine.collection("first", (table,), lambda read, key: read(table, key))
    numbers: Index[int, str] = engine.index("numbers", first, lambda key, value: [(int(value), key)])
    out = engine.collection("c", (numbers,), lambda read, key: read(numbers, key))
    table.set("a", "1")
    table.set("b", "x")
    with pytest.raises(ValueError, match="invalid literal"):
        raise failure(engine.commit())
    assert out.get(1) == frozenset("a")
    table.set("b", "1")
    changes = engine.commit()
    assert changes[first].set == {"b": "1"}
    assert changes[out].set == {1: frozenset("ab")}


def test_functions_cannot_write_commit_or_lend_their_read(engine):
    table: Table[str, int] = engine.table("t")
    lent = []
    deeds = {
        "set": lambda _read: table.set("x", 1),
        "commit": lambda _read: engine.commit(),
        "lend": lent.append,
    }
    key_set: Table[str, int] = engine.table("deeds")
    engine.collection("c", (key_set,), lambda read, key: deeds[key](read))
    for deed in ("set", "commit"):
        key_set.set(deed, 1)
        with pytest.raises(RuntimeError, match="during a commit"):
            raise failure(engine.commit())
        key_set.delete(deed)
    key_set.set("lend", 1)
    engine.commit()
    with pytest.raises(RuntimeError, match="outside of the function"):
        lent[0](table, "x")


def test_a_chain_too_deep_for_the_stack_is_an_error_that_passes(engine):
    follows: Table[int, int] = engine.table("follows")
    depth: Derived[int, int] = engine.derived(
        "depth", lambda read, key: 1 + read(depth, read(follows, key)) if read(follows, key) is not None else 0
    )
    out = engine.collection("c", (frozenset([1]), follows), lambda read, key: read(depth, key))
    for key in range(1, 3000):
        follows.set(key, key + 1)
    with pytest.raises(RecursionError):
        raise failure(engine.commit())
    follows.delete(50)
    for key in range(60, 3000):
        follows.delete(key)
    engine.commit()
    assert (out.get(1), out.get(51), len(out)) == (49, 9, 58)
    assert depth.cells == 60


# --- explanations -------------------------------------------------------------------------------------------------


def test_explain(engine):
    table: Table[str, int] = engine.table("services")
    ports = engine.derived("ports", lambda read, key: read(table, key))
    hosts = engine.collection("hosts", (frozenset("ab"),), lambda read, key: (read(ports, "s"), read(table, key)))
    table.set("s", 80)
    engine.commit()
    told = engine.explain(ports, "s")
    assert (str(told.name), told.value) == ("ports[s]", 80)
    assert told.reads == (Link("services", "s"),)
    assert sorted(map(str, told.read_by)) == ["hosts[a]", "hosts[b]"]
    assert engine.explain(hosts, "a").reads == (Link("ports", "s"), Link("services", "a"))
    assert engine.explain(table, "s").read_by == (Link("ports", "s"),)
    assert engine.explain(table, "unknown") == (Link("services", "unknown"), None, (), ())
