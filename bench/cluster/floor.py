"""The rig without a controller: what the API server alone takes until a watcher has seen a change."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.cluster.wire import Wire
from bench.measure import spread

ROUNDS = 200


class _Metadata(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Item(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    object: _Item


def floor(rig: Rig) -> dict[str, Any]:
    """Milliseconds from the acknowledgement of a write until a bare watcher has the event, and of the write itself."""
    number = workload.TEAMS * 100_000  # nobody's
    answer = rig.wire.post(workload.path("Service", number, named=False), msgspec.json.encode(workload.service(number)))
    path = workload.path("Service", number)
    seen: dict[str, float] = {}
    decoder = msgspec.json.Decoder(_Event)
    with Wire(rig.cluster.kubeconfig) as watcher:
        version = msgspec.json.decode(answer.body, type=_Item).metadata.resource_version

        def follow() -> None:
            for line in watcher.watch(workload.path("Service", number, named=False), version):
                at = time.monotonic()
                seen[decoder.decode(line).object.metadata.resource_version] = at

        thread = threading.Thread(target=follow)
        thread.start()
        writes, acknowledged = [], {}
        for turn in range(ROUNDS):
            time.sleep(0.01)
            started = time.monotonic()
            answer = rig.wire.patch(path, {"metadata": {"annotations": {"turn": str(turn)}}})
            writes.append(answer.at - started)
            acknowledged[msgspec.json.decode(answer.body, type=_Item).metadata.resource_version] = answer.at
        deadline = time.monotonic() + 5
        while len(seen) < ROUNDS and time.monotonic() < deadline:
            time.sleep(0.01)
        watcher.close()
        thread.join()
    rig.wire.delete(path)
    events = [seen[version] - at for version, at in acknowledged.items() if version in seen]
    return {"write_ms": spread(writes), "event_after_acknowledgement_ms": spread(events)}
