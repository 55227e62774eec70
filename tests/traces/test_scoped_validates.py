"""Recorded objects in the `scoped` shape: Envoy takes every state, and what it would refuse is withheld with a verdict.

A sample; with `--all-traces` every case. States are put together, some dozens to one start of Envoy's validator.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec
import pytest
from tests.golden.batch import merged
from tests.traces import cases
from tests.traces.cases import Case

from contour.api.decode import DecodeError, UnknownKind, decode
from contour.api.meta import Ref
from contour.cli.flags import parse
from contour.control.pipeline import Pipeline
from contour.control.settings import Flags, Settings, SettingsError, load
from contour.envoy.resource import Withheld
from contour.testing import envoy, static

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")

SAMPLE = 8  # one of so many
BATCH = 40

State = dict[str, list[dict[str, object]]]


class Rendered(NamedTuple):
    name: str
    state: State
    withheld: list[Withheld]
    untold: list[str]  # what is withheld and not in the status of the objects that it came from
    unchecked: State | None  # in the `classic` shape, which withholds nothing; only where `scoped` does


@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", [cases.corpus, cases.prod, cases.mutants, cases.config])
def test_envoy_takes_what_is_not_withheld_and_would_refuse_what_is(
    source: Callable[[], Iterator[Case]], request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    step = 1 if request.config.getoption("--all-traces") else SAMPLE
    counts: Counter[str] = Counter()
    refused, untold, needless = [], [], []
    for batch in _batches(_different(_rendered(case) for case in itertools.islice(source(), 0, None, step))):
        counts["states"] += len(batch)
        counts["states with something withheld"] += sum(bool(one.withheld) for one in batch)
        counts["withheld"] += sum(len(one.withheld) for one in batch)
        refused += _refused(batch)
        untold += [f"{one.name}: {text}" for one in batch for text in one.untold]
        needless += [
            f"{one.name}: {one.withheld}"
            for one in batch
            if one.unchecked is not None and envoy.validate(merged({one.name: one.unchecked})) is None
        ]
    counts["refused"] = len(refused)
    with capsys.disabled():
        print(f"\n{source.__name__}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))  # noqa: T201
    assert counts["states"]
    assert not refused, "\n".join(refused)[:4000]
    assert not untold, "\n".join(untold)
    assert not needless, "\n".join(needless)


def _rendered(case: Case) -> Rendered:
    """As stored, without admission. Of a case with settings that are not there yet, the objects alone."""
    pipeline = Pipeline(_settings(case))
    for mapping in case.objects:
        try:
            pipeline.store.apply(decode(mapping))
        except (UnknownKind, DecodeError):  # the API server's business
            continue
    pipeline.commit()
    shape = pipeline.shape("scoped")
    withheld = [one for held in shape.values() for _, one in held.items() if isinstance(one, Withheld)]
    untold = [text for one in withheld for text in unreported(pipeline, one)]
    return Rendered(case.name, static.state_of(shape), withheld, untold, _classic(pipeline) if withheld else None)


def _classic(pipeline: Pipeline) -> State:
    shape = pipeline.shape("classic")
    pipeline.commit()
    return static.state_of(shape)


def _settings(case: Case) -> Settings:
    flags = Flags(**parse(case.args))
    try:
        return load(case.config, flags)
    except SettingsError:
        settings = load("", flags)
        return msgspec.structs.replace(
            settings, graph=msgspec.structs.replace(settings.graph, enable_external_name=True)
        )


def unreported(pipeline: Pipeline, withheld: Withheld) -> Iterator[str]:
    if not withheld.objects:
        yield f"{withheld.name} is withheld and nobody is told: {withheld.reason}"
    for key in withheld.objects:
        if key.kind == "Ingress":  # its status has no room for it
            found = pipeline.findings.get(key)
            if found is None or withheld.reason not in {one.message for one in found.findings}:
                yield f"{withheld.name} is withheld and {key} is not told: {withheld.reason}"
        if key.kind != "HTTPProxy":
            continue
        proxy = pipeline.store.proxies.get(Ref(key.namespace, key.name))
        if proxy and any(one.observed_generation > proxy.metadata.generation for one in proxy.status.conditions):
            continue  # somebody has seen more than we have, and wrote the status
        conditions = (pipeline.statuses.get(key) or {}).get("conditions", [])
        told = [
            (error["type"], error["reason"], error["message"]) for one in conditions for error in one.get("errors", [])
        ]
        if ("EnvoyError", "Rejected", withheld.reason) not in told:
            yield f"{withheld.name} is withheld and {key} is not told: {withheld.reason}, but {told}"


def _different(found: Iterable[Rendered]) -> Iterator[Rendered]:
    """Each state once."""
    seen = set()
    for one in found:
        key = hash(json.dumps(one.state, sort_keys=True))
        if key not in seen:
            seen.add(key)
            yield one


def _batches(found: Iterable[Rendered]) -> Iterator[list[Rendered]]:
    """Of one runtime layer each: a process has one."""
    by_runtime: dict[str, list[Rendered]] = {}
    for one in found:
        key = json.dumps(one.state["runtime"])
        batch = by_runtime.setdefault(key, [])
        batch.append(one)
        if len(batch) == BATCH:
            yield by_runtime.pop(key)
    yield from by_runtime.values()


def _refused(batch: list[Rendered]) -> list[str]:
    """Envoy names the first that it does not like, if any: halve until there is only one to blame."""
    text = envoy.validate(merged({one.name: one.state for one in batch}))
    if text is None:
        return []
    if len(batch) == 1:
        return [f"{batch[0].name}: {text[-600:]}"]
    half = len(batch) // 2
    return _refused(batch[:half]) + _refused(batch[half:])
