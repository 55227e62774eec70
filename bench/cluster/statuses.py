"""S8: statuses, seen by a watcher of HTTPProxies as a user would see them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bench.cluster import workload
from bench.cluster.rig import Rig
from bench.cluster.wire import Wire
from bench.measure import spread

FLIPS = 50
# One change at a time: the next one waits until the last has settled, and the longest hold-off of a controller known to
# us, 100 ms, is over.
QUIET = 0.12
LIMIT = 10.0


class _Condition(msgspec.Struct):
    type: str
    status: str
    observed_generation: int = msgspec.field(name="observedGeneration", default=0)


class _Status(msgspec.Struct):
    current_status: str = msgspec.field(name="currentStatus", default="")
    description: str = ""
    conditions: list[_Condition] = []


class _Metadata(msgspec.Struct):
    name: str = ""
    generation: int = 0
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Proxy(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: _Proxy


class Statuses:
    """What the statuses say now, and when each began to say so. Follows in a thread of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._news = threading.Condition()
        self._said: dict[str, tuple[str, float]] = {}
        self.valid = 0
        self._closed = False
        self._thread = threading.Thread(target=self._follow, args=(self._read(),))
        self._thread.start()

    def wait(self, done: Callable[[], bool], limit: float) -> bool:
        with self._news:
            return self._news.wait_for(done, limit)

    def wait_for(self, name: str, status: str, limit: float) -> float | None:
        """When the named object began to say so of its newest generation; None: not within the limit."""
        self.wait(lambda: self.of(name) == status, limit)
        with self._news:
            said, at = self._said.get(name, ("", 0.0))
        return at if said == status else None

    def of(self, name: str) -> str:
        """`valid`, `invalid`, …; empty while the status is of an older generation or there is none."""
        return self._said.get(name, ("", 0.0))[0]

    def close(self) -> None:
        self._closed = True
        self._wire.close()
        self._thread.join()

    def _follow(self, version: str) -> None:
        decoder = msgspec.json.Decoder(_Event)
        while not self._closed:
            for line in self._wire.watch(workload.PROXIES, version):
                at, event = time.monotonic(), decoder.decode(line)
                if event.type == "ERROR":
                    break
                with self._news:
                    self._note(event.object, at)
                    self._news.notify_all()
            if not self._closed:
                # A server ends the watch of whoever is too slow for it: what was missed is read.
                self._wire.renew()
                version = self._read()

    def _read(self) -> str:
        items, version = self._wire.list(workload.PROXIES)
        with self._news:
            for item in items:
                self._note(msgspec.convert(item, _Proxy), time.monotonic())
            self._news.notify_all()
        return version

    def _note(self, proxy: _Proxy, at: float) -> None:
        seen = [one.observed_generation for one in proxy.status.conditions if one.type == "Valid"]
        fresh = proxy.status.current_status if seen == [proxy.metadata.generation] else ""
        before, since = self._said.get(proxy.metadata.name, ("", at))
        self.valid += (fresh == "valid") - (before == "valid")
        self._said[proxy.metadata.name] = (fresh, since if fresh == before else at)


@contextmanager
def following(rig: Rig) -> Iterator[Statuses]:
    statuses = Statuses(Wire(rig.cluster.kubeconfig))
    try:
        yield statuses
    finally:
        statuses.close()


def flip(rig: Rig) -> dict[str, Any]:
    """One object becomes invalid (its route names a Service that is not there), and valid again."""
    number = rig.hosts - 1
    name, path = f"h{number}", workload.path("HTTPProxy", number)
    absent = rig.number()
    times: dict[str, list[float]] = {"invalid": [], "valid": []}
    missed = 0
    with following(rig) as statuses:
        for turn in range(2 * FLIPS):
            wanted = "valid" if turn % 2 else "invalid"
            spec = workload.spec(number, mark=rig.mark(), backend=number if turn % 2 else absent)
            acknowledged = rig.wire.patch(path, {"spec": spec}).at
            at = statuses.wait_for(name, wanted, LIMIT)
            if at is None:
                missed += 1
            else:
                times[wanted].append(at - acknowledged)
            time.sleep(QUIET)
    return {"to_invalid_ms": spread(times["invalid"]), "to_valid_ms": spread(times["valid"]), "missed": missed}
