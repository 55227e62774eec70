"""The `classic` shape against what Contour answered in its own tests: settings that no flag can say, and sequences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.traces import cases
from tests.traces.compare import difference_of_members
from tests.traces.harness import Replay, recorded, serving, setup

from contour.control.render import SECTIONS

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")

# Both that matter here, in cases that were recorded without any.
_PROCESSORS = {"processors": [{"type": f"{kind}Processor"} for kind in ("Ingress", "HTTPProxy", "ExtensionService")]}
_SECTION_OF = {str(url): section for section, url in SECTIONS.items()}


class Tally:
    """How many agree, by what is compared; and where the others part."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.compared: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.differences: list[str] = []

    def note(self, what: str, difference: str, where: str) -> None:
        self.compared[what] += 1
        self.agreed[what] += not difference
        if difference:
            self.differences.append(f"{where}: {what}: {difference[:600]}")

    def report(self, capsys: pytest.CaptureFixture[str], **at_least: int) -> None:
        """Fails if anything differs, or if less is compared than `at_least`: settings and features only grow."""
        found = ", ".join(f"{what} {self.agreed[what]}/{count}" for what, count in self.compared.items())
        left_out = f"{sum(self.left_out.values())} uses of {len(self.left_out)} features"
        with capsys.disabled():
            print(f"\n{self.title}: {found}\n  left to later issues: {left_out}")  # noqa: T201 (acceptance asks for it)
        assert not self.differences, "\n".join(self.differences[:40]) + f"\n{len(self.differences)} differences"
        assert all(self.compared[what] >= count for what, count in at_least.items()), self.compared


def files(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(Path(cases.ROOT / folder).glob("*.json")):
        yield f"{folder}/{path.stem}", json.loads(path.read_text())


@pytest.mark.parametrize(("folder", "cases_compared"), [("status", 32), ("builder", 89), ("xdscache", 49)])
def test_states_agree(folder: str, cases_compared: int, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(folder)
    for name, case in files(folder):
        replay = Replay(setup(case["config"]))
        later = {*replay.setup.later, *(one for obj in case["objects"] for one in replay.setup.later_of(obj))}
        if later:
            tally.left_out.update(later)
            continue
        for obj in case["objects"]:
            replay.apply(obj)
        replay.commit()
        for section, wanted in case["actual"].items():
            tally.note(section, replay.difference(section, wanted), name)
        tally.note("status", replay.difference_of_statuses(case["statuses"]), name)
    tally.report(capsys, status=cases_compared)


def test_sequences_agree_after_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("feature")
    for name, case in files("feature"):
        replay = Replay(setup(case["setup"]))
        if replay.setup.later:
            tally.left_out.update(replay.setup.later)
            continue
        _Sequence(name, case, replay, tally).run()
    tally.report(capsys, sequences=125, requests=320)


def test_endpoints_follow_their_slices(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("endpointslices")
    for name, case in files("endpointslices"):
        replay = Replay(setup(_PROCESSORS))
        clusters = [cluster for step in case["steps"] for cluster in step.get("clusters", ())]
        objects, names = serving(clusters)
        for obj in objects:
            replay.apply(obj)
        replay.commit()
        for step in case["steps"]:
            if step["op"] == "delete":
                replay.delete(step["object"])
            elif "object" in step:
                replay.apply(step["object"])
            replay.commit()
        got = {}
        for ours, found in replay.resources("endpoints").items():
            got[names[ours]] = {**found, "cluster_name": names[ours]}
        tally.note("endpoints", difference_of_members(recorded("endpoints", case["actual"]["endpoints"]), got), name)
    tally.report(capsys, endpoints=15)


def test_what_causes_no_rebuild_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An event that the reference's cache ignores changes no resource and no status here.

    The reverse does not hold: there a rebuild is all or nothing. Only for the kinds that a class filters does the
    answer say whether the object is stored.
    """
    tally = Tally("cache")
    for name, case in files("cache"):
        replay = Replay(setup({**_PROCESSORS, "kubernetes_cache": case["kubernetes_cache"]}))
        event, before = case["object"], case["objects"] or []
        later = {one for obj in (event, *before) for one in replay.setup.later_of(obj)}
        if later:
            tally.left_out.update(later)
            continue
        for obj in before:
            replay.apply(obj)
        replay.commit()
        stored = replay.stores(event)
        if case["op"] == "insert":
            replay.apply(event)
        else:
            replay.delete(event)
        changed = replay.commit()
        if not case["changed"]:
            tally.note("ignored events", f"changed {sorted(changed)}" if changed else "", name)
        if event["kind"] in ("Ingress", "HTTPProxy"):
            took_effect = stored != replay.stores(event)
            tally.note("class filter", "" if took_effect == case["changed"] else f"took effect: {took_effect}", name)
    tally.report(capsys, **{"ignored events": 9, "class filter": 17})


def _unseen(step: dict[str, Any]) -> bool:
    """An update without a new generation, which no API server makes: stored, but the reference waits for another event
    (httpproxy.md §2.1).
    """
    if step["op"] != "update" or step.get("rebuild") or step["object"]["kind"] not in ("HTTPProxy", "Ingress"):
        return False
    old, new = step["old_object"]["metadata"], step["object"]["metadata"]
    return old.get("generation") == new.get("generation")


class _Sequence:
    """One recorded sequence beside one pipeline, with a commit after each event."""

    def __init__(self, name: str, case: dict[str, Any], replay: Replay, tally: Tally) -> None:
        self.name, self.case, self.replay, self.tally = name, case, replay, tally
        self.wanted: dict[str, list[Any]] = dict(case["initial"]["actual"])
        self.statuses: dict[str, Any] = {}
        # Until its first build the reference serves nothing; here the first commit is a build.
        self.built = False

    def run(self) -> None:
        for number, step in enumerate(self.case["steps"]):
            where = f"{self.name} step {number}"
            if step["op"] == "request":
                self._request(step, where)
            elif step["op"] == "status":
                self._status(step, where)
            else:
                later = self.replay.setup.later_of(step["object"])
                if later:  # what came before it has been compared
                    self.tally.left_out.update(later)
                    return
                self._event(step, where)
        self.tally.note("sequences", self._whole(), self.name)

    def _event(self, step: dict[str, Any], where: str) -> None:
        if step["op"] == "delete":
            self.replay.delete(step["object"])
        elif step["op"] == "update":
            self.replay.update(step["old_object"], step["object"])
        else:
            self.replay.apply(step["object"])
        if _unseen(step):
            return
        changed = self.replay.commit()
        self.wanted.update(step.get("actual", {}))
        if "statuses" in step:
            self.statuses = step["statuses"]
            changed.add("status")
        if not self.built and not step.get("rebuild"):
            return
        changed = {*self.wanted, "status"} if not self.built else changed | step.get("actual", {}).keys()
        self.built = True
        for section, difference in self._differences(changed):
            self.tally.note(section, difference, where)

    def _whole(self) -> str:
        final = self.case["final"]
        assert final["actual"] == self.wanted
        found = self._differences({*self.wanted, "status"}) if self.built else ()
        return next((f"{section}: {difference}" for section, difference in found if difference), "")

    def _differences(self, sections: set[str]) -> Iterator[tuple[str, str]]:
        """Of each section that is recorded, the first difference or ""."""
        for section in sorted(sections):
            if section == "status":
                yield section, self.replay.difference_of_statuses(self.statuses)
            elif section in self.wanted:
                yield section, self.replay.difference(section, self.wanted[section])

    def _request(self, step: dict[str, Any], where: str) -> None:
        if "expect" not in step or not self.built:
            return
        section = _SECTION_OF[step["type_url"]]
        wanted = recorded(section, [_without_type(one) for one in step["expect"]["resources"]])
        got = self.replay.resources(section)
        names = step.get("names") or list(got)
        answer = {name: got[name] for name in names if name in got}
        self.tally.note("requests", "" if answer == wanted else f"want {sorted(wanted)}, got {sorted(answer)}", where)

    def _status(self, step: dict[str, Any], where: str) -> None:
        found = {"/".join(key): value for key, value in self.replay.pipeline.statuses.items()}
        status = found.get(f"{step['kind']}/{step['namespace']}/{step['name']}")
        expect = step["expect"]
        if "no_status" in expect:
            agrees = status is None
        elif status is None:
            agrees = False
        elif "currentStatus" in expect:
            agrees = status["currentStatus"] == expect["currentStatus"]
        else:
            errors = [error for condition in status["conditions"] for error in condition.get("errors", ())]
            agrees = any(expect["has_error"].items() <= error.items() for error in errors)
        self.tally.note("status checks", "" if agrees else f"want {expect}, got {status}", where)


def _without_type(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}
