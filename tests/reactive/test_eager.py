"""Eager derived values: readers hear of a change only when the value comes out different."""

from __future__ import annotations

import pytest

from contour.reactive import Engine, OrderError, Read
from contour.reactive.cell import CHECK, FRESH


def test_readers_are_left_alone_by_a_change_that_makes_no_difference() -> None:
    engine = Engine()
    table = engine.table("numbers")
    sign = engine.derived("sign", lambda read, key: (read(table, key) or 0) >= 0, eager=True)
    sign_text = engine.derived("text", lambda read, key: str(read(sign, key)), eager=True)
    readers = engine.collection("readers", (frozenset(range(100)),), lambda read, _: read(sign_text, "n"))
    table.set("n", 1)
    engine.commit()
    states: list[int] = []
    original = sign.compute

    def spy(key: str) -> bool:
        states.extend(cell.state for k in range(100) if (cell := readers.find(k)))
        return original(key)

    sign.compute = spy  # type: ignore[method-assign]
    before = engine.runs
    table.set("n", 2)
    assert not engine.commit()
    assert engine.runs == before + 1
    assert set(states) == {FRESH}  # none of the hundred was even told to look
    assert CHECK not in states
    table.set("n", -1)
    assert len(engine.commit()[readers].set) == 100


def test_one_that_nobody_reads_any_more_is_forgotten() -> None:
    engine = Engine()
    table = engine.table("t")
    wanted = engine.table("wanted")
    eager = engine.derived("eager", lambda read, key: read(table, key), eager=True)
    engine.collection("c", (wanted,), lambda read, key: read(eager, key))
    wanted.set("a", True)
    table.set("a", 1)
    engine.commit()
    assert eager.find("a") is not None
    wanted.delete("a")
    table.set("a", 2)  # stale at the moment when its last reader goes
    engine.commit()
    assert eager.find("a") is None
    table.set("a", 3)
    assert not engine.commit()


def test_what_raises_is_left_for_the_next_commit() -> None:
    engine = Engine()
    table = engine.table("t")

    def inverse(read: Read, key: str) -> float:
        return 1 / (read(table, key) or 0)

    eager = engine.derived("inverse", inverse, eager=True)
    collection = engine.collection("c", (frozenset({"a"}),), lambda read, key: read(eager, key))
    table.set("a", 2)
    engine.commit()
    table.set("a", 0)
    changes = engine.commit()
    assert changes.failures[eager]["a"].__notes__ == ["in inverse[a]"]
    assert collection.get("a") == 0.5
    table.set("a", 4)
    assert engine.commit()[collection].set == {"a": 0.25}


def test_it_may_not_read_collections() -> None:
    engine = Engine()
    table = engine.table("t")
    collection = engine.collection("c", (table,), lambda read, key: read(table, key))
    eager = engine.derived("eager", lambda read, key: read(collection, key), eager=True)
    engine.collection("d", (table,), lambda read, key: read(eager, key))
    table.set("a", 1)
    engine.commit()
    table.set("a", 2)
    with pytest.raises(OrderError):
        engine.commit()
