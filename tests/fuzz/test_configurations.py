"""Configuration files that nobody would write: each is refused with a reason, or Envoy takes what comes of it.

A hundred in the suite, the same ones in each run; `--fuzz N` makes it N others.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.dag.world import extension, proxy, to
from tests.fuzz.configurations import configurations
from tests.fuzz.surroundings import OBJECTS
from tests.golden.batch import merged

from contour.api.decode import decode
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings, SettingsError, load
from contour.testing import envoy, static

BATCH = 40
IN_SUITE = 120

_SITE = [
    proxy("site", virtualhost={"fqdn": "a.test", "tls": {"secretName": "serving"}}, routes=[to("web")]),
    proxy("plain", virtualhost={"fqdn": "b.test"}, routes=[to("external"), to("bare", "/b")]),
    extension("auth"),
]
_OBJECTS = [decode(one) for one in (*OBJECTS, *_SITE)]


@pytest.mark.timeout(4 * 3600)
def test_refused_with_a_reason_or_accepted_by_envoy(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = request.config.getoption("--fuzz") or IN_SUITE
    counts: Counter[str] = Counter()
    waiting: dict[str, dict[str, Any]] = {}
    refused: list[str] = []

    def check() -> None:
        refused.extend(_refused(waiting))
        waiting.clear()

    @settings(
        max_examples=wanted,
        derandomize=request.config.getoption("--fuzz") is None,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(configurations())
    def read_one(value: Any) -> None:
        text = json.dumps(value)
        counts["files"] += 1
        try:
            read = load(text)
        except SettingsError as error:
            counts["refused" if str(error) else "refused without a reason"] += 1
            return
        counts["accepted"] += 1
        for shape in ("scoped", "classic"):
            waiting[f"{len(waiting)} {shape} {text}"] = _state(read, shape)
        if len(waiting) >= BATCH:
            check()

    read_one()
    check()
    with capsys.disabled():
        print("\nfuzz of configurations: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))  # noqa: T201
    assert counts["accepted"] > wanted / 10
    assert counts["refused"] > wanted / 10
    assert not counts["refused without a reason"]
    assert not refused, "\n\n".join(refused[:10])


def _state(read: Settings, shape: Any) -> dict[str, Any]:
    pipeline = Pipeline(read, (shape,))
    for one in _OBJECTS:
        pipeline.store.apply(one)
    pipeline.commit()
    return static.state_of(pipeline.shape(shape))


def _refused(states: dict[str, dict[str, Any]]) -> list[str]:
    """Envoy names the first that it does not like, if any: halve until there is only one to blame."""
    if not states:
        return []
    text = envoy.validate(merged({str(number): state for number, state in enumerate(states.values())}))
    if text is None:
        return []
    if len(states) == 1:
        return [f"{text[-600:]}\n{next(iter(states))}"]
    items = list(states.items())
    half = len(items) // 2
    return _refused(dict(items[:half])) + _refused(dict(items[half:]))
