"""Objects that nobody would write: each is refused with the path of a field, or rendered to what Envoy accepts.

A few hundred in the suite, the same ones in each run; `--fuzz N` makes it N others (20,000 take a quarter of an hour).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fuzz.objects import kinds, objects
from tests.fuzz.surroundings import OBJECTS, SETTINGS
from tests.golden.batch import merged
from tests.traces.test_scoped_validates import unreported

from contour.api.admission import AdmissionError, admit
from contour.api.decode import decode
from contour.control import render
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.envoy.resource import Withheld
from contour.testing import envoy, static

BATCH = 40
PER_WORLD = (3, 6)
IN_SUITE = 400

Json = dict[str, Any]
State = dict[str, list[Json]]

_SURROUNDINGS = [decode(one) for one in OBJECTS]


class Rendered(msgspec.Struct):
    objects: list[Json]
    state: State


def worlds() -> st.SearchStrategy[list[Json]]:
    return st.lists(st.sampled_from(kinds()).flatmap(objects), min_size=PER_WORLD[0], max_size=PER_WORLD[1])


@pytest.mark.timeout(4 * 3600)
def test_refused_with_a_path_or_accepted_by_envoy(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = request.config.getoption("--fuzz") or IN_SUITE
    counts: Counter[str] = Counter()
    waiting: list[Rendered] = []
    refused: list[str] = []

    def check() -> None:
        counts["states"] += len(waiting)
        refused.extend(_refused(waiting))
        waiting.clear()

    @settings(
        max_examples=wanted // PER_WORLD[0],
        derandomize=request.config.getoption("--fuzz") is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(worlds(), st.sampled_from(SETTINGS))
    def render_one(world: list[Json], chosen: Settings) -> None:
        waiting.extend(_rendered(world, chosen, counts))
        if len(waiting) >= BATCH:
            check()

    render_one()
    check()
    with capsys.disabled():
        print("\nfuzz: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))  # noqa: T201
    assert counts["objects"] >= wanted
    assert counts["refused"]
    assert not counts["refused without a path"]
    assert counts["valid"] > wanted / 10
    assert not refused, "\n\n".join(refused[:10])


def _rendered(world: list[Json], chosen: Settings, counts: Counter[str]) -> list[Rendered]:
    """What is to be shown to Envoy: the state in each shape, `classic` only if there is nothing that Envoy refuses."""
    pipeline = Pipeline(chosen)
    for one in _SURROUNDINGS:
        pipeline.store.apply(one)
    admitted = [one for one in world if _admitted(pipeline, one, counts)]
    pipeline.commit()
    shape = pipeline.shape("scoped")
    withheld = [one for held in shape.values() for _, one in held.items() if isinstance(one, Withheld)]
    assert not [text for one in withheld for text in unreported(pipeline, one)]
    render.findings(pipeline)
    counts["withheld"] += len(withheld)
    counts["hosts"] += sum(1 for _ in pipeline.graph.hosts.items())
    counts.update(_verdict(status) for _, status in pipeline.statuses.items())
    rendered = [Rendered(admitted, static.state_of(shape))]
    if not withheld:
        pipeline.shape("classic")
        changes = pipeline.commit()
        assert not changes.failures
        rendered.append(Rendered(admitted, static.state_of(pipeline.shape("classic"))))
    return rendered


def _admitted(pipeline: Pipeline, source: Json, counts: Counter[str]) -> bool:
    counts["objects"] += 1
    counts[f"{source['kind']} {source['apiVersion']}"] += 1
    try:
        pipeline.store.apply(admit(source))
    except AdmissionError as error:
        counts["refused"] += 1
        counts["refused without a path"] += not error.path or any(not one.path for one in error.errors)
        return False
    counts["admitted"] += 1
    return True


def _verdict(status: Any) -> str:
    if "currentStatus" in status:
        return str(status["currentStatus"])
    conditions = status.get("conditions") or ({},)
    return {"True": "valid", "False": "invalid"}.get(conditions[0].get("status", ""), "without a verdict")


def _refused(batch: list[Rendered]) -> list[str]:
    """Envoy names the first that it does not like, if any: halve until there is only one to blame."""
    if not batch:
        return []
    text = envoy.validate(merged({str(number): one.state for number, one in enumerate(batch)}))
    if text is None:
        return []
    if len(batch) == 1:
        return [f"{text[-600:]}\n{json.dumps(batch[0].objects)}"]
    half = len(batch) // 2
    return _refused(batch[:half]) + _refused(batch[half:])
