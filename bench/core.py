"""`make bench-core`: builds, edits, and edits until Envoy answers differently, at 1,000 and 10,000 hosts; no cluster.

Prints a table with the goals, then one line of JSON. Each part runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench.measure import machine, spread

SIZES = (1_000, 10_000)
COMMAND_RUNS = 10

Row = tuple[str, str, str]


def main() -> int:
    result: dict[str, Any] = {"machine": machine(), "commands": _commands()}
    for size in SIZES:
        result[str(size)] = {"edits": _part("edits", size), "live": _part("live", size)}
    rows = list(_rows(result))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(json.dumps(result))
    return 0


def _part(name: str, size: int) -> dict[str, Any]:
    print(f"{name} at {size} hosts …", file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", f"bench.{name}", str(size)], stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _commands() -> dict[str, Any]:
    program = str(Path(sys.executable).parent / "contour")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(_ten_objects(), file)
        file.flush()
        return {
            "version": _timed([program, "version"]),
            "render of ten objects": _timed([program, "render", "-f", file.name]),
        }


def _timed(command: list[str]) -> dict[str, float]:
    times = []
    for _ in range(COMMAND_RUNS):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    return spread(times)


def _ten_objects() -> Iterator[dict[str, Any]]:
    for number in range(5):
        metadata = {"name": f"h{number}", "namespace": "team"}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
        routes = [{"services": [{"name": f"h{number}", "port": 80}]}]
        spec = {"virtualhost": {"fqdn": f"h{number}.example.com"}, "routes": routes}
        yield {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "metadata": metadata, "spec": spec}


def _rows(result: dict[str, Any]) -> Iterator[Row]:
    found = result["machine"]
    title = f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, load {found['load']}"
    yield "what", "measured (p50 / p99 ms unless named)", "goal"
    yield title, "", ""
    for name, goal in (("version", "≤ 200 ms"), ("render of ten objects", "≤ 500 ms")):
        yield f"contour {name}", _both(result["commands"][name]), goal
    for size, build, memory in ((1_000, "≤ 1 s", "≤ 120 MB"), (10_000, "≤ 10 s", "≤ 400 MB")):
        edits, live = result[str(size)]["edits"], result[str(size)]["live"]
        yield f"-- {size} hosts", "", ""
        yield "first build, all bytes ready", f"{edits['first_build_s']} s", build
        for kind, series in edits["edits_ms"].items():
            yield f"{kind} edited, bytes ready", _both(series), "p99 ≤ 2 ms"
        for key in ("add", "edit", "remove"):
            yield f"host: {key}, until Envoy answers so", _both(live[f"{key}_ms"]), "p99 ≤ 10 ms"
        yield "TLS host behind a shared certificate: add", _both(live["add_tls_ms"]), "p99 ≤ 12 ms"
        yield "  listener updates meanwhile", str(live["listener_updates"]), "0"
        yield "edits that change nothing: messages", str(live["no_op_messages"]), "0"
        answers = ", ".join(f"{count} × {status}" for status, count in live["switch_answers"].items())
        yield "100 backend switches under 500 requests/s", answers, "200 only"
        yield "memory of contour; of Envoy", f"{live['memory_mb']['contour']}; {live['memory_mb']['envoy']} MB", memory
    small, large = (result[str(size)]["edits"]["edits_ms"] for size in SIZES)
    for kind, series in small.items():
        yield f"{kind} edited: p50 at 10,000 / at 1,000", f"{large[kind]['p50'] / series['p50']:.2f}", "≤ 1.3"


def _both(series: dict[str, float]) -> str:
    return f"{series['p50']} / {series['p99']}  (least {series['min']}, most {series['max']}, n {series['n']})"


if __name__ == "__main__":
    sys.exit(main())
