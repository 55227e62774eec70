"""S1 and S2: from the API server's acknowledgement until Envoy answers so."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.measure import spread

ADDS = 110
WARM_UP = 5  # some costs appear once, after the first full build
RATE = 500
# S2: this many hosts are loaded one after the other, each edited and switched so often meanwhile.
TARGETS, TURNS = 4, 25
# One change at a time: the next one waits until the last has settled, and the longest hold-off of a controller known to
# us, 100 ms, is over.
QUIET = 0.12
LIMIT = 10.0
# Who misses this often in a scenario is not going to arrive.
MISSES = 10


def add(rig: Rig) -> dict[str, Any]:
    """S1: a new host; its HTTPProxy is made last, and from its acknowledgement on the clock runs."""
    times, others, missed = [], Counter[str](), 0
    for turn in range(WARM_UP + ADDS):
        number = rig.number()
        *before, (path, body) = workload.creation(number)
        rig.prober.begin(workload.fqdn(number), limit=LIMIT)
        for earlier in before:
            rig.wire.post(*earlier)
        acknowledged = rig.wire.post(path, body).at
        at, answers = rig.prober.result()
        if turn >= WARM_UP:
            others.update(answers)
            if at is None:
                missed += 1
                if missed == MISSES:
                    break
            else:
                times.append(at - acknowledged)
        time.sleep(QUIET)
    others.pop("404", None)
    return {"ms": spread(times), "other_answers": dict(others), "missed": missed}


def edit(rig: Rig) -> dict[str, Any]:
    """S2: an edited route and a switched backend of a host that gets 500 requests/s."""
    edits: list[float] = []
    switches: list[float] = []
    answers, missed = Counter[str](), 0
    for target in range(TARGETS):
        number = target * (rig.hosts // TARGETS)
        host = workload.fqdn(number)
        rig.loader.load([host], RATE)
        backend = number
        for turn in range(2 * TURNS):
            mark = rig.mark()
            if turn % 2:
                backend = rig.number(beside=number)
                for request in list(workload.creation(backend))[:2]:
                    rig.wire.post(*request)
            pods = [workload.address(backend * workload.PODS + one) for one in range(workload.PODS)]
            rig.prober.begin(host, limit=LIMIT, mark=mark, pod=pods)
            changed = {"spec": workload.spec(number, mark=mark, backend=backend)}
            acknowledged = rig.wire.patch(workload.path("HTTPProxy", number), changed).at
            at, others = rig.prober.result()
            answers.update(others)
            if at is None:
                missed += 1
                if missed == MISSES:
                    break
            else:
                (switches if turn % 2 else edits).append(at - acknowledged)
            time.sleep(QUIET)
        answers.update(rig.loader.unload())
        rig.wire.patch(workload.path("HTTPProxy", number), {"spec": workload.spec(number, mark=rig.mark())})
        if missed == MISSES:
            break
    failed = {status: count for status, count in answers.items() if status != "200"}
    return {
        "edit_ms": spread(edits), "switch_ms": spread(switches), "requests": answers["200"], "failed": failed,
        "missed": missed,
    }  # fmt: skip
