"""S3: 100 EndpointSlices a second get other pods, spread over all hosts and then all on one Service.

Every twentieth update is watched: asking for each would take the CPU that is to be measured.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.cluster.wire import Wire
from bench.measure import spread

RATE, SECONDS = 100, 20
SAMPLE = 20
WRITERS = 4  # connections, so that one slow write does not hold up the next
LIMIT = 5.0

Due = tuple[float, int, int, bool]


def churn(rig: Rig) -> dict[str, Any]:
    spread_out = _storm(rig, itertools.cycle(range(0, rig.hosts, max(1, rig.hosts // (RATE * SECONDS)))), half=0)
    one = _storm(rig, itertools.repeat(rig.hosts // 2), half=1)
    return {"spread": spread_out, "one_service": one}


def _storm(rig: Rig, numbers: Iterator[int], half: int) -> dict[str, Any]:
    updates = RATE * SECONDS
    # Pods that no host has had: two storms share the addresses from MOVED on.
    first = workload.MOVED + half * updates * workload.PODS
    waiting: queue.SimpleQueue[Due | None] = queue.SimpleQueue()
    storm = _Updates(rig, waiting)
    threads = [threading.Thread(target=storm.write) for _ in range(WRITERS)]
    before, started = rig.controller.cpu(), time.monotonic() + 0.2
    for turn in range(updates):
        waiting.put((started + turn / RATE, next(numbers), first + turn * workload.PODS, turn % SAMPLE == SAMPLE // 2))
    last = first + (updates - 1) * workload.PODS
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrote = time.monotonic()
    number = storm.numbers[last]
    at, _ = rig.prober.watch(workload.fqdn(number), limit=60, pod_from=last)
    return {
        "ms": spread(storm.times), "missed": storm.missed, "not_sampled": storm.skipped,
        "updates_per_s": round(updates / (wrote - started), 1),
        "settled_s": None if at is None else round(max(0.0, at - wrote), 3),
        "cpu_s_per_1000": round((rig.controller.cpu() - before) / updates * 1000, 2),
    }  # fmt: skip


class _Updates:
    def __init__(self, rig: Rig, waiting: queue.SimpleQueue[Due | None]) -> None:
        self._rig = rig
        self._waiting = waiting
        self._probing = threading.Lock()
        self.times: list[float] = []
        self.numbers: dict[int, int] = {}
        self.missed = self.skipped = 0

    def write(self) -> None:
        with Wire(self._rig.cluster.kubeconfig) as wire:
            while (due := self._waiting.get()) is not None:
                at, number, pods, sampled = due
                self.numbers[pods] = number
                body = {"endpoints": workload.endpoints(pods)}
                if sampled and self._probing.acquire(blocking=False):
                    try:
                        self._sample(wire, at, number, pods, body)
                    finally:
                        self._probing.release()
                    continue
                self.skipped += sampled
                time.sleep(max(0.0, at - time.monotonic()))
                wire.patch(workload.path("EndpointSlice", number), body)

    def _sample(self, wire: Wire, due: float, number: int, pods: int, body: dict[str, Any]) -> None:
        self._rig.prober.begin(workload.fqdn(number), limit=LIMIT, pod_from=pods)
        time.sleep(max(0.0, due - time.monotonic()))
        acknowledged = wire.patch(workload.path("EndpointSlice", number), body).at
        at, _ = self._rig.prober.result()
        if at is None:
            self.missed += 1
        else:
            self.times.append(at - acknowledged)
