"""S6: 1,000 touches of what no route depends on. Envoy counts what it is told.

What the kernel counts on the connection is beside it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from bench.cluster import workload
from bench.cluster.rig import Rig

TOUCHES = 1000
SETTLE = 3.0


def touch(rig: Rig) -> dict[str, Any]:
    """Annotations of HTTPProxies, annotations of Services, and Secrets that nobody refers to, by turns."""
    time.sleep(SETTLE)  # what the scenario before has changed last
    before, known, cpu, started = rig.sent(), rig.updates(), rig.controller.cpu(), time.monotonic()
    for turn in range(TOUCHES):
        number = turn % rig.hosts
        match turn % 3:
            case 0 | 1 as kind:
                touched = {"metadata": {"annotations": {"touched": str(turn)}}}
                rig.wire.patch(workload.path("HTTPProxy" if kind else "Service", number), touched)
            case _:
                secret = json.dumps(workload.secret(f"unrelated-{turn}", number)).encode()
                rig.wire.post(workload.path("Secret", number, named=False), secret)
    took = time.monotonic() - started
    time.sleep(SETTLE)  # for what is not to come there is no event
    after = rig.sent()
    return {
        "updates": rig.updates() - known,
        # HTTP/2 pings of idle connections are data to the kernel as well.
        "segments": after["data_segs_out"] - before["data_segs_out"],
        "bytes": after["bytes_sent"] - before["bytes_sent"],
        "cpu_s_per_1000": round((rig.controller.cpu() - cpu) / TOUCHES * 1000, 2),
        "touches_per_s": round(TOUCHES / took, 1),
    }
