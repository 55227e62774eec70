"""The `classic` shape against what Contour itself answers (`../shared/traces`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.traces import cases
from tests.traces.cases import Case
from tests.traces.compare import TYPES, compare, recorded

from contour.cli.flags import parse
from contour.control.jsonl import answer

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("source", [cases.corpus, cases.prod, cases.mutants, cases.config])
def test_every_case_of_the_features_we_have_agrees(
    source: Callable[[], Iterator[Case]], capsys: pytest.CaptureFixture[str]
) -> None:
    compared: Counter[str] = Counter()
    agree: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    differences = []
    for case in source():
        if case.later:
            left_out.update(case.later)
            continue
        request = {"name": case.name, "config": case.config, "args": case.args, "objects": case.objects}
        state = answer(json.dumps(request), parse, "classic", skip_admission=True)
        found = compare(case, state) if "error" not in state else dict.fromkeys(TYPES, state["error"])
        for section in TYPES:
            if recorded(case, section):
                compared[section] += 1
                agree[section] += section not in found
        differences += [f"{case.name}: {section}: {text[:600]}" for section, text in found.items()]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{source.__name__}: " + ", ".join(f"{section} {agree[section]}/{compared[section]}" for section in TYPES)
        )
        print(f"  left to later issues: {sum(left_out.values())} uses of {len(left_out)} features")  # noqa: T201
    assert compared["status"] > 0
    assert not differences, "\n".join(differences[:40]) + f"\n{len(differences)} differences"
