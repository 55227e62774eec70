"""Recorded states in the `scoped` shape: Envoy takes each of them, and what it would refuse is withheld."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.traces import cases
from tests.traces.cases import Case

from contour.cli.flags import parse
from contour.control.jsonl import answer
from contour.testing import envoy, static

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")

_SAMPLE = 25  # one of so many


def states(source: Iterator[Case]) -> Iterator[tuple[str, dict[str, object]]]:
    """Each different state once. Settings that are not there yet are left out of a case."""
    seen = set()
    for case in source:
        request = {"name": case.name, "config": case.config, "args": case.args, "objects": case.objects}
        state = answer(json.dumps(request), parse, "scoped", skip_admission=True)
        if "error" in state:
            state = answer(json.dumps({**request, "config": "", "args": []}), parse, "scoped", skip_admission=True)
        assert "error" not in state, state
        for listener in state["listeners"]:
            listener["address"]["socket_address"]["port_value"] = 0  # validation binds them
        config = static.static_config(state)
        key = json.dumps(config, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield case.name, config


@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", [cases.corpus, cases.prod, cases.mutants, cases.config])
def test_envoy_takes_every_state(source, request: pytest.FixtureRequest) -> None:
    found = list(states(source()))
    if not request.config.getoption("--all-traces"):
        found = found[::_SAMPLE]
    refused = [f"{name}: {text}" for name, config in found if (text := envoy.validate(config))]
    assert found
    assert not refused, f"{len(refused)} of {len(found)}: " + "\n".join(refused)[:4000]
