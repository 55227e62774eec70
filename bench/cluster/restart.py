"""S9: everything from nothing, and a controller that is killed and comes back under load."""

from __future__ import annotations

import time
from typing import Any

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.measure import spread

COLD = 3
KILLS = 3
RATE = 500
SAMPLED = 200
DOWN = 1.0
LIMIT = 300.0


def restart(rig: Rig) -> dict[str, Any]:
    sampled = [workload.fqdn(number) for number in range(0, rig.hosts, max(1, rig.hosts // SAMPLED))]
    cold = [_cold(rig, sampled) for _ in range(COLD)]
    memory = [one["memory_mb"] for one in cold]
    kills = [_kill(rig, sampled) for _ in range(KILLS)]
    failed: dict[str, int] = {}
    for one in kills:
        for status, count in one["failed"].items():
            failed[status] = failed.get(status, 0) + count
    return {
        "cold_ms": spread([one["seconds"] for one in cold]),
        "cold_not_200": sum(one["not_200"] for one in cold),
        "kill_failed": failed,
        "kill_requests": sum(one["requests"] for one in kills),
        "new_host_served_after_ms": spread([one["seconds"] for one in kills]),
        "memory_mb": {name: max(one[name] for one in memory) for name in memory[0]},
    }


def _cold(rig: Rig, sampled: list[str]) -> dict[str, Any]:
    """A new controller and a new Envoy at once; from their start until Envoy has all hosts."""
    rig.controller.stop()
    rig.envoy.stop()
    rig.envoy = rig.new_envoy()
    started = rig.controller.launch()
    rig.envoy.launch()
    at = rig.prober.all(sampled, LIMIT)
    if at is None:
        raise TimeoutError(f"not all hosts are served {LIMIT:g} s after a start: {rig.controller.tail()}")
    memory = rig.memory()  # before each host has a connection of its own to its pods
    everyone = rig.prober.survey([workload.fqdn(number) for number in range(rig.hosts)])
    return {"seconds": at - started, "not_200": rig.hosts - everyone.get("200", 0), "memory_mb": memory}


def _kill(rig: Rig, sampled: list[str]) -> dict[str, Any]:
    """Kill -9 under load; started again after a second, as a kubelet would; and then it must follow again."""
    rig.loader.load(sampled, RATE)
    time.sleep(1)
    rig.controller.kill()
    time.sleep(DOWN)
    number = rig.number()
    started = rig.controller.launch()
    for request in workload.creation(number):
        rig.wire.post(*request)
    at, _ = rig.prober.watch(workload.fqdn(number), limit=LIMIT)
    if at is None:
        raise TimeoutError(f"nothing new is served {LIMIT:g} s after a restart: {rig.controller.tail()}")
    time.sleep(2)
    answers = rig.loader.unload()
    failed = {status: count for status, count in answers.items() if status != "200"}
    return {"seconds": at - started, "failed": failed, "requests": sum(answers.values())}
