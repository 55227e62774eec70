"""Results of several runs as the table of docs/performance.md: the least and the most of each figure, with the goals.

python -m bench.cluster.report FILE…      what `make bench JSON=FILE` wrote; sizes may be mixed
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.cluster.table import goals

Json = dict[str, Any]


class Line(NamedTuple):
    """`form` has a {} for each figure; `figures` gives those of one run. `needs`: the scenario, if it belongs to one."""

    title: str
    form: str
    figures: Callable[[Json], tuple[Any, ...]]
    goal: str = ""
    needs: str = ""


def _series(found: Json) -> tuple[Any, Any]:
    return found.get("p50"), found.get("p99")


def _sum(counts: dict[str, int]) -> int:
    return sum(counts.values())


LINES = (
    Line(
        "floor: a write is acknowledged, p50 / p99", "{} / {} ms",
        lambda run: _series(run["floor"]["write_ms"]),
    ),
    Line(
        "floor: a bare watcher has it, after that", "{} / {} ms",
        lambda run: _series(run["floor"]["event_after_acknowledgement_ms"]),
    ),
    Line(
        "S1 host added → first 200, p50 / p99; answers other than 404, 200", "{} / {} ms; {}",
        lambda run: (*_series(run["S1"]["ms"]), _sum(run["S1"]["other_answers"])), "S1", "S1",
    ),
    Line("S2 route edited, p50 / p99", "{} / {} ms", lambda run: _series(run["S2"]["edit_ms"]), "S2", "S2"),
    Line(
        "S2 backend switched, p50 / p99; failed requests in both", "{} / {} ms; {}",
        lambda run: (*_series(run["S2"]["switch_ms"]), _sum(run["S2"]["failed"])), "S2", "S2",
    ),
    Line(
        "S3 100 slices/s over all hosts, p50 / p99", "{} / {} ms",
        lambda run: _series(run["S3"]["spread"]["ms"]), "S3", "S3",
    ),
    Line("— CPU s per 1,000", "{}", lambda run: (run["S3"]["spread"]["cpu_s_per_1000"],), "S3 cpu", "S3"),
    Line(
        "S3 100 slices/s on one Service, p50 / p99", "{} / {} ms",
        lambda run: _series(run["S3"]["one_service"]["ms"]), "S3", "S3",
    ),
    Line("— CPU s per 1,000", "{}", lambda run: (run["S3"]["one_service"]["cpu_s_per_1000"],), "S3 cpu", "S3"),
    Line("S6 1,000 touches: updates of Envoy", "{}", lambda run: (run["S6"]["updates"],), "S6", "S6"),
    Line("— CPU s per 1,000", "{}", lambda run: (run["S6"]["cpu_s_per_1000"],), "S6 cpu", "S6"),
    Line("S8 all statuses right after the load", "{} s", lambda run: (run["load"]["statuses_s"],), "S8 all", "S8"),
    Line(
        "S8 one flipped to invalid, p50 / p99", "{} / {} ms",
        lambda run: _series(run["S8"]["to_invalid_ms"]), "S8", "S8",
    ),
    Line(
        "S9 cold start → Envoy has everything, median / most of 3", "{} / {} s",
        lambda run: tuple(run["S9"]["cold_ms"][part] / 1e3 for part in ("p50", "max")), "S9", "S9",
    ),
    Line(
        "S9 kill −9 and restart: failed requests", "{}", lambda run: (_sum(run["S9"]["kill_failed"]),), "S9 kill", "S9"
    ),
    Line(
        "— a new host is served, from the restart on, median", "{} s",
        lambda run: (run["S9"]["new_host_served_after_ms"]["p50"] / 1e3,), "", "S9",
    ),
    Line(
        "S11 good edits that take effect; the refused object's status", "{} of {}; {}",
        lambda run: (run["S11"]["effective"], run["S11"]["of"], run["S11"]["status"]), "S11", "S11",
    ),
    Line(
        "memory of the controller; of Envoy, after the load", "{}; {} MB",
        lambda run: tuple(run["load"]["memory_mb"][name] for name in ("controller", "envoy")), "memory",
    ),
    Line(
        "— at most, later", "{}; {} MB",
        lambda run: tuple(max(run[name]["memory_mb"][who] for name in run["done"]) for who in ("controller", "envoy")),
    ),
    Line("other programs meanwhile, of a core", "{} %", lambda run: (_others(run),)),
)  # fmt: skip


def render(results: list[Json]) -> str:
    lines = ["| what | measured | goal |", "|---|---|---|"]
    for hosts in sorted({result["hosts"] for result in results}):
        runs = [_flat(result) for result in results if result["hosts"] == hosts]
        lines.append(f"| **{hosts:,} hosts**, {len(runs)} run{'s' if len(runs) > 1 else ''} | | |")
        lines += [f"| {title} | {said} | {goal} |" for title, said, goal in _rows(hosts, runs)]
    return "\n".join(lines)


def _rows(hosts: int, runs: list[Json]) -> Iterator[tuple[str, str, str]]:
    beside = goals(hosts)
    for line in LINES:
        counted = [run for run in runs if not line.needs or line.needs in run["done"]]
        if counted:
            columns = zip(*(line.figures(run) for run in counted), strict=True)
            yield line.title, line.form.format(*map(_range, columns)), beside.get(line.goal, "")


def _flat(result: Json) -> Json:
    return {**result, **result["scenarios"], "done": list(result["scenarios"])}


def _range(values: tuple[Any, ...]) -> str:
    """Of numbers the least and the most, as far as they differ when they are written."""
    if None in values:
        return "none in time"
    if any(isinstance(value, str) for value in values):
        return ", ".join(dict.fromkeys(value or "none" for value in values))
    least, most = _number(min(values)), _number(max(values))
    return least if least == most else f"{least}–{most}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 3 else f"{value:.2f}"


def _others(run: Json) -> int:
    """The most in any scenario."""
    windows = [run[name] for name in run["done"] if run[name]["cpu_s"]] or [run["load"]]
    shares: list[float] = [one["cpu_s"]["others"] / one["took_s"] for one in windows]
    return max(0, round(100 * max(shares)))


def main() -> int:
    if not sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    print(render([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
