"""`make bench N=1000`: the scenarios, a table with the goals, and JSON.

python -m bench.cluster [--hosts N] [--scenarios S1,S2] [--controller 'COMMAND … {kubeconfig} … {xds_port}']
                        [--crds FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.cluster import table, workload
from bench.cluster.churn import churn
from bench.cluster.floor import floor
from bench.cluster.load import load
from bench.cluster.propagation import add, edit
from bench.cluster.quiet import touch
from bench.cluster.refused import refuse
from bench.cluster.restart import restart
from bench.cluster.rig import OURS, Rig, Shape
from bench.cluster.statuses import flip, following
from bench.measure import machine

SCENARIOS: dict[str, Callable[[Rig], dict[str, Any]]] = {
    "S1": add, "S2": edit, "S3": churn, "S6": touch, "S8": flip, "S11": refuse,
    "S9": restart,  # last: a killed leader's Lease stops statuses for a while
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="A controller between a real API server and Envoy.")
    parser.add_argument("--hosts", type=int, default=1000, help="how many hosts are loaded (1000)")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=f"which ones: {', '.join(SCENARIOS)}")
    parser.add_argument("--controller", help="another controller's command; {kubeconfig} and {xds_port} are filled in")
    parser.add_argument("--crds", type=Path, help="that controller's CRDs (YAML), instead of ours")
    parser.add_argument("--status-limit", type=float, help="seconds to wait for the statuses of the load (S8)")
    parser.add_argument("--json", type=Path, help="write the JSON there too")
    given = parser.parse_args(arguments)
    named = {name.strip().upper() for name in given.scenarios.split(",") if name.strip()}
    if unknown := named - SCENARIOS.keys():
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    wanted = [name for name in SCENARIOS if name in named]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        shape: Shape = "classic" if given.controller else "scoped"
        with Rig(given.hosts, given.controller or OURS, shape, given.crds, Path(directory)) as rig:
            try:
                measure(rig, wanted, given.status_limit or 60 + given.hosts / 50, result)
            finally:  # also of a run that could not go on
                print(text := json.dumps(result))
                if given.json:
                    given.json.write_text(text + "\n", encoding="utf-8")
    print(table.render(result))
    return 0


def measure(rig: Rig, wanted: list[str], status_limit: float, result: dict[str, Any]) -> None:
    """Fills `result` as it goes."""
    result |= {"hosts": rig.hosts, "machine": machine(), "controller": rig.controller.command}
    say("the rig's floor …")
    result["floor"] = floor(rig)
    rig.controller.launch()
    rig.envoy.launch()
    result["load"] = first(rig, status_limit if "S8" in wanted else 0)
    done: dict[str, Any] = {}
    result["scenarios"] = done
    for name in wanted:
        say(f"{name} …")
        window, started = rig.window(), time.monotonic()
        try:
            found = SCENARIOS[name](rig)
        except Exception:
            say(rig.controller.tail())
            raise
        took = time.monotonic() - started
        # S9 replaces the processes that a window looks at.
        cpu = None if name == "S9" else window.end()
        done[name] = {"took_s": round(took, 1), "cpu_s": cpu, "memory_mb": rig.memory()} | found


def first(rig: Rig, status_limit: float) -> dict[str, Any]:
    """Load all hosts while the controller runs; until Envoy has them, and until all statuses are right (S8)."""
    say(f"loading {rig.hosts} hosts …")
    window, started = rig.window(), time.monotonic()
    with following(rig) as statuses:
        load(rig.cluster.kubeconfig, rig.hosts)
        loaded = time.monotonic()
        say(f"loaded in {loaded - started:.1f} s")
        at, _ = rig.prober.watch(workload.fqdn(rig.hosts - 1), limit=300)
        if at is None:
            raise TimeoutError(f"the load is not served after 300 s: {rig.controller.tail()}")
        result: dict[str, Any] = {"load_s": round(loaded - started, 1), "served_s": round(max(0.0, at - loaded), 2)}
        if status_limit:
            done = statuses.wait(lambda: statuses.valid >= rig.hosts, status_limit)
            result |= {
                "statuses_s": round(time.monotonic() - loaded, 2) if done else None,
                "statuses_right": statuses.valid,
                "statuses_limit_s": status_limit,
            }
    result["took_s"] = round(time.monotonic() - started, 1)
    return {**result, "cpu_s": window.end(), "memory_mb": rig.memory()}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, as after Ctrl-C
    sys.exit(main())
