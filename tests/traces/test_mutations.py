"""Recorded objects with something wrong in them: a field less, a null, another type, a number too large. Nothing raises.

A few hundred in the suite, the same ones in each run; `--fuzz N` makes it N.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.traces import cases
from tests.traces.cases import Case

from contour.cli.flags import parse
from contour.control.jsonl import answer
from contour.control.pipeline import ShapeName

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")

IN_SUITE = 400
MOST = 3  # mutations of one state

Json = Any
_WAYS: tuple[tuple[ShapeName, bool], ...] = (("classic", True), ("scoped", True), ("scoped", False), ("classic", False))
_STRAYS: tuple[Json, ...] = (
    *(None, "", "x", "\x00", "é" * 300, " ", "a/b", "*", "%", "-1s"),
    *(0, -1, 1, 2**15, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 1.5, 1e300, True, False),
    *([], {}, [None], [[]], [{}], ["a"], [1], {"": None}, {"a": {}}, {"name": "a"}),
)


@pytest.mark.timeout(4 * 3600)
def test_nothing_raises(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = request.config.getoption("--fuzz") or IN_SUITE
    found = [case for case in (*cases.corpus(), *cases.prod(), *cases.mutants()) if case.objects]
    dice = random.Random(wanted)
    counts: Counter[str] = Counter()
    problems = []
    for number, case in enumerate(itertools.islice(_shuffled(found, dice), wanted)):
        shape, skip_admission = _WAYS[number % len(_WAYS)]
        objects = copy.deepcopy(case.objects)
        done = [_mutate(objects, dice) for _ in range(1 + number % MOST)]
        line = json.dumps({"name": case.name, "config": case.config, "args": case.args, "objects": objects})
        try:
            got = answer(line, parse, shape, skip_admission=skip_admission)
        except Exception as error:  # noqa: BLE001
            got = {"error": repr(error)}
        counts["states"] += 1
        counts["mutations"] += len(done)
        counts["objects"] += len(objects)
        if "error" in got and not got["error"].startswith("config:"):
            problems.append(f"{case.name} ({shape}, skip admission: {skip_admission}): {done}: {got['error']}")
    with capsys.disabled():
        print("\nmutations: " + ", ".join(f"{count} {what}" for what, count in counts.items()))  # noqa: T201
    assert counts["states"] == wanted
    assert not problems, f"{len(problems)}:\n" + "\n".join(problems[:20])


def _shuffled(found: list[Case], dice: random.Random) -> Iterator[Case]:
    """Again and again, each time in another order."""
    while True:
        yield from dice.sample(found, len(found))


def _mutate(objects: list[dict[str, Json]], dice: random.Random) -> str:
    """Changes one place of one object, and tells which and how. Its kind stays, so that it is looked at."""
    obj = dice.choice(objects)
    places = [place for place in _places(obj) if place[-1:] not in (("kind",), ("apiVersion",))]
    if not places:
        return "nothing"
    *above, last = dice.choice(places)
    holder: Any = obj
    for step in above:
        holder = holder[step]
    where = f"{obj['kind']}.{'.'.join(map(str, [*above, last]))}"
    match dice.randrange(6):
        case 0:
            del holder[last]
            return f"{where} left out"
        case 1:
            holder[last] = [holder[last]] if isinstance(holder[last], dict) else {"a": holder[last]}
        case 2 if isinstance(holder[last], list):
            holder[last] = {str(at): one for at, one in enumerate(holder[last])}
        case 3 if isinstance(holder[last], list):
            holder[last] = [*holder[last], *holder[last], None]
        case _:
            holder[last] = copy.deepcopy(dice.choice(_STRAYS))
    return f"{where} = {str(holder[last])[:60]!r}"


def _places(value: Json, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield (*above, key)
        yield from _places(item, (*above, key))
