"""S11: one object that Envoy refuses, and then 20 good edits of others."""

from __future__ import annotations

import json
import time
from typing import Any

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.cluster.statuses import following

EDITS = 20
LIMIT = 2.0
STATUS_LIMIT = 30.0
# Go compiles it, and RE2 in C++, which is what Envoy has, says that it is too large.
REGEX = r"/\pL{1000}"


def refuse(rig: Rig) -> dict[str, Any]:
    number = rig.number()
    with following(rig) as statuses:
        *before, (path, _) = workload.creation(number)
        for request in before:
            rig.wire.post(*request)
        bad = workload.proxy(number)
        bad["spec"]["routes"][0]["conditions"] = [{"regex": REGEX}]
        rejected = _rejections(rig)
        rig.wire.post(path, json.dumps(bad).encode())
        statuses.wait_for(f"h{number}", "invalid", LIMIT)
        started, effective = time.monotonic(), 0
        for turn in range(EDITS):
            edited, mark = turn * max(1, rig.hosts // EDITS) % rig.hosts, rig.mark()
            rig.wire.patch(workload.path("HTTPProxy", edited), {"spec": workload.spec(edited, mark=mark)})
            at, _ = rig.prober.watch(workload.fqdn(edited), limit=LIMIT, mark=mark)
            effective += at is not None
        took = time.monotonic() - started
        statuses.wait(lambda: statuses.of(f"h{number}") != "", STATUS_LIMIT)
        said = statuses.of(f"h{number}")
    rejections = _rejections(rig) - rejected
    rig.wire.delete(workload.path("HTTPProxy", number))
    return {
        "effective": effective, "of": EDITS, "status": said, "rejections": rejections,
        "rejections_per_s": round(rejections / took, 1),
    }  # fmt: skip


def _rejections(rig: Rig) -> int:
    return sum(rig.envoy.stats("update_rejected$").values())
