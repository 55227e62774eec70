"""The cost of a change does not grow with what it does not touch: one edit in a small engine and in a large one."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

from contour.reactive import Engine, Index, Table

SMALL, LARGE = 100, 10_000
# Anything O(N) with as little as 20 ns an element costs 200 us here, ten times the whole edit.
FACTOR = 4


def fill(size: int) -> tuple[Engine, Table[int, str]]:
    engine = Engine()
    table: Table[int, str] = engine.table("t")
    crowd: Index[str, int] = engine.index("crowd", table, lambda key, _value: [("all", key)])
    members = engine.collection("members", (table,), lambda read, key: read(table, key))
    over: Index[str, int] = engine.index("over", members, lambda key, _value: [("all", key)])
    engine.collection("scopes", (members,), lambda read, key: read(members, key))
    engine.collection("crowds", (crowd, over), lambda _read, key: key)
    for key in range(size):
        table.set(key, "x")
    engine.commit()
    return engine, table


def fastest(step: Callable[[int], None]) -> float:
    """The best of many is what the work costs; the rest is what else the machine does."""
    times = []
    for number in range(200):
        started = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - started)
    return min(times)


def edit(engine: Engine, table: Table[int, str]) -> Callable[[int], None]:
    def step(number: int) -> None:
        table.set(50, str(number))
        assert engine.commit()

    return step


def add_and_remove(engine: Engine, table: Table[int, str]) -> Callable[[int], None]:
    def step(number: int) -> None:
        table.set(-1 - number, "x")
        assert engine.commit()
        table.delete(-1 - number)
        assert engine.commit()

    return step


@pytest.mark.parametrize("kind", [edit, add_and_remove])
def test_one_edit_costs_the_same_at_any_size(kind):
    gc.collect()
    gc.disable()
    try:
        small, large = (fastest(kind(*fill(size))) for size in (SMALL, LARGE))
    finally:
        gc.enable()
    assert large < FACTOR * small
