"""The benchmark runs, small: what it drives and what it prints has not come apart, and what may not fail does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.cluster import churn, floor, propagation, quiet, refused, report, restart, statuses
from bench.cluster.__main__ import SCENARIOS, main


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, numbers in (
        (floor, {"ROUNDS": 5}),
        (propagation, {"ADDS": 4, "WARM_UP": 1, "TARGETS": 1, "TURNS": 2}),
        (churn, {"SECONDS": 1}),
        (quiet, {"TOUCHES": 30, "SETTLE": 0.3}),
        (statuses, {"FLIPS": 2}),
        (refused, {"EDITS": 4}),
        (restart, {"COLD": 1, "KILLS": 1}),
    ):
        for name, number in numbers.items():
            assert hasattr(module, name)
            monkeypatch.setattr(module, name, number)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("brief")
def test_a_small_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    assert main(["--hosts", "20", "--json", str(file)]) == 0
    result = json.loads(file.read_text())
    found = result["scenarios"]
    assert list(found) == list(SCENARIOS)
    assert result["load"]["statuses_right"] == 20
    assert (found["S1"]["ms"]["n"], found["S1"]["other_answers"], found["S1"]["missed"]) == (4, {}, 0)
    assert (found["S2"]["switch_ms"]["n"], found["S2"]["failed"], found["S2"]["missed"]) == (2, {}, 0)
    assert [part["missed"] for part in (found["S3"]["spread"], found["S3"]["one_service"])] == [0, 0]
    assert found["S6"]["updates"] == 0
    assert (found["S8"]["to_invalid_ms"]["n"], found["S8"]["missed"]) == (2, 0)
    assert (found["S11"]["effective"], found["S11"]["status"], found["S11"]["rejections"]) == (4, "invalid", 0)
    assert (found["S9"]["cold_not_200"], found["S9"]["kill_failed"]) == (0, {})

    shown = capsys.readouterr().out
    for name in SCENARIOS:
        assert f"\n{name} " in shown
    # Two runs, as `make bench-table` makes them.
    lines = report.render([result, result]).splitlines()
    assert lines[2] == "| **20 hosts**, 2 runs | | |"
    assert len(lines) == 3 + len(report.LINES)
    assert "| S6 1,000 touches: updates of Envoy | 0 | 0 |" in lines


def test_a_report_of_runs_that_differ() -> None:
    def run(p50: float, p99: float | None, failed: dict[str, int]) -> dict[str, object]:
        series = {"p50": p50, "p99": p99}
        windows = {"took_s": 10.0, "cpu_s": {"others": 2.5}, "memory_mb": {"controller": 100, "envoy": 120}}
        return {
            "hosts": 1000,
            "floor": {"write_ms": series, "event_after_acknowledgement_ms": series},
            "load": windows,
            "scenarios": {"S2": {"edit_ms": series, "switch_ms": series, "failed": failed, **windows}},
        }

    text = report.render([run(1.26, 9.94, {}), run(4.04, 154.4, {"503": 1200, "0": 34})])
    assert "| S2 route edited, p50 / p99 | 1.26–4.0 / 9.9–154 ms | ≤ 10 / 25 ms; 0 |" in text
    assert "failed requests in both | 1.26–4.0 / 9.9–154 ms; 0–1,234 | ≤ 10 / 25 ms; 0 |" in text
    assert "| other programs meanwhile, of a core | 25 % |  |" in text
    assert "S1" not in text
    assert "| S2 route edited, p50 / p99 | 1.26 / none in time ms |" in report.render([run(1.26, None, {})])


def test_what_the_bench_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--scenarios", "S1,S77"])
    assert "no scenario S77; there are S1, S2" in capsys.readouterr().err
