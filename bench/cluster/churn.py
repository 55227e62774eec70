"""S3: 100 EndpointSlices a second get other pods, spread over all hosts and then all on one Service.

Every twentieth update is watched: asking for each would take the CPU that is to be measured.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.cluster.wire import Wire
from bench.measure import spread

RATE, SECONDS = 100, 20
SAMPLE = 20
LIMIT = 5.0


class Update(NamedTuple):
    """A host's slice gets the pods from number `pods` on."""

    due: float
    number: int
    pods: int
    sampled: bool


def churn(rig: Rig) -> dict[str, Any]:
    """Four connections write when updates are spread; one Service's must stay in order, so one does."""
    everywhere = itertools.cycle(range(0, rig.hosts, max(1, rig.hosts // (RATE * SECONDS))))
    return {
        "spread": _storm(rig, everywhere, writers=4, half=0),
        "one_service": _storm(rig, itertools.repeat(rig.hosts // 2), writers=1, half=1),
    }


def _storm(rig: Rig, numbers: Iterator[int], *, writers: int, half: int) -> dict[str, Any]:
    updates = RATE * SECONDS
    # Pods that no host has had: two storms share the addresses from MOVED on.
    first = workload.MOVED + half * updates * workload.PODS
    before, started = rig.controller.cpu(), time.monotonic() + 0.2
    schedule = [
        Update(started + turn / RATE, next(numbers), first + turn * workload.PODS, turn % SAMPLE == SAMPLE // 2)
        for turn in range(updates)
    ]
    samples = _Samples(rig)
    threads = [threading.Thread(target=_write, args=(rig, schedule[one::writers], samples)) for one in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    samples.end()
    wrote, last = time.monotonic(), schedule[-1]
    at, _ = rig.prober.watch(workload.fqdn(last.number), limit=60, pod_from=last.pods)
    return {
        "ms": spread(samples.times), "missed": samples.missed, "not_sampled": samples.skipped,
        "updates_per_s": round(updates / (wrote - started), 1),
        "settled_s": None if at is None else round(max(0.0, at - wrote), 3),
        "cpu_s_per_1000": round((rig.controller.cpu() - before) / updates * 1000, 2),
    }  # fmt: skip


def _write(rig: Rig, updates: list[Update], samples: _Samples) -> None:
    with Wire(rig.cluster.kubeconfig) as wire:
        for update in updates:
            sampled = update.sampled and samples.begin(update)
            time.sleep(max(0.0, update.due - time.monotonic()))
            body = {"endpoints": workload.endpoints(update.pods)}
            acknowledged = wire.patch(workload.path("EndpointSlice", update.number), body).at
            if sampled:
                samples.acknowledged.put(acknowledged)


class _Samples:
    """One at a time is watched; the writers do not wait for it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._probing = threading.Lock()
        self.acknowledged: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self.times: list[float] = []
        self.missed = self.skipped = 0
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def begin(self, update: Update) -> bool:
        """Watch for this update; False while an earlier one is still awaited."""
        if not self._probing.acquire(blocking=False):
            self.skipped += 1
            return False
        self._rig.prober.begin(workload.fqdn(update.number), limit=LIMIT, pod_from=update.pods)
        return True

    def end(self) -> None:
        self.acknowledged.put(None)
        self._thread.join()

    def _collect(self) -> None:
        while (acknowledged := self.acknowledged.get()) is not None:
            at, _ = self._rig.prober.result()
            if at is None:
                self.missed += 1
            else:
                self.times.append(at - acknowledged)
            self._probing.release()
