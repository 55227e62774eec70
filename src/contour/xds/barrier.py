"""Make before break: nothing that uses a new cluster is sent before the cluster can serve.

A new cluster is warming in Envoy until its endpoints have come, and a route to it answers 503 until then (envoy.md §3).
So in each change set a host has a gate: the new clusters that its scopes and routes mention. A cluster is ready when
Envoy has acknowledged its endpoints (or the cluster itself, if it has none by EDS), a hinted health check has had its
time, or the limit has passed.

Each kind of object comes on a watch of its own, and that of Services or EndpointSlices may be some milliseconds behind
that of HTTPProxies. So endpoints that are none, and a host of which a route has lost its backend, are given a moment;
after it they are taken at their word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from contour.xds import wire

# Clusters times resources above which all wait for a cluster rather than look which ones mention it.
_SEARCHES = 20_000

ALL = None  # the gate of everything in a change set


def host_of(name: str) -> str:
    """What shares a gate: scopes and routes of one host, `GROUP/HOST`. When a host moves to another group, its old
    scope must not start to refuse before the new one can be sent.
    """
    return name.rpartition("/")[2]


class _Warming:
    __slots__ = ("deadline", "empty", "endpoints", "gates", "hold", "lag", "nonce", "search", "sent")

    def __init__(self, name: str, hold: float, lag: float, deadline: float) -> None:
        self.hold = hold
        self.lag = lag
        self.empty = False  # the assignment that was sent has no endpoints
        self.search = name.encode()
        self.sent = False
        self.endpoints: str | None = None  # of the version that was sent
        self.nonce = ""  # of the response that carries the endpoints, sent after the cluster
        self.deadline = deadline
        self.gates: list[tuple[int, str | None]] = []  # that wait for this cluster


class Barrier:
    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.warming: dict[str, _Warming] = {}
        self._by_endpoints: dict[str, set[str]] = {}
        self._gates: dict[int, dict[str | None, set[str]]] = {}  # by change set and host
        self._lacking: dict[str, float] = {}  # hosts without a backend, and how long that may be a delay
        self.deadline = inf  # not later than the next thing that `expire` would do

    def expect(self, name: str, hold: float, lag: float, now: float) -> None:
        """A cluster that the client does not have is about to be sent, or is on its way. It is not ready before `hold`
        seconds have passed since its endpoints came, or `lag` if they were none.
        """
        if name not in self.warming:
            self.warming[name] = _Warming(name, hold, lag, now + self._limit)
            self.deadline = min(self.deadline, now + self._limit)

    def drop(self, name: str) -> None:
        """The cluster is ready, refused or no longer wanted."""
        if name not in self.warming:
            return
        self._forget_endpoints(name)
        for sequence, host in self.warming.pop(name).gates:
            gates = self._gates[sequence]
            gates[host].discard(name)
            if not gates[host]:
                del gates[host]
                if not gates:
                    del self._gates[sequence]

    def lack(self, host: str, until: float) -> None:
        """Of this host nothing is sent before that time, unless it is `found`."""
        self._lacking[host] = until
        self.deadline = min(self.deadline, until)

    def found(self, host: str) -> None:
        self._lacking.pop(host, None)

    def close(self, sequence: int, bodies: Mapping[str | None, list[bytes]]) -> None:
        """Gate the hosts of a change set by the warming clusters that occur in the bytes of their resources; what is
        under `ALL` gates all.

        A cluster is named in the bytes of whatever uses it, so this misses none; a chance match only waits a little.
        """
        resources = sum(map(len, bodies.values()))
        # One with a health check would make all the others wait for long.
        held = {n: w for n, w in self.warming.items() if w.hold > 0}
        searched = next((s for s in (self.warming, held) if len(s) * resources <= _SEARCHES), {})
        if resources:
            self._wait(sequence, ALL, self.warming.keys() - searched.keys())
        for host, parts in bodies.items():
            self._wait(sequence, host, {n for n, w in searched.items() if any(w.search in part for part in parts)})

    def open(self, sequence: int, host: str | None = None) -> bool:
        """Whether a host of a change set waits for nothing; without a host: whether nothing in it does."""
        if host in self._lacking if host is not None else self._lacking:
            return False
        gates = self._gates.get(sequence)
        return gates is None or not (host is None or host in gates or ALL in gates)

    def clusters_sent(self, endpoints: Mapping[str, str | None], now: float) -> None:
        """Clusters and the endpoints that they wait for; a newer version of one that is still warming starts again."""
        for name, assignment in endpoints.items():
            item = self.warming.get(name)
            if item is None:
                continue
            self._forget_endpoints(name)
            item.sent, item.endpoints, item.nonce = True, assignment, ""
            if assignment is not None:
                self._by_endpoints.setdefault(assignment, set()).add(name)
            item.deadline = now + self._limit
            self.deadline = min(self.deadline, item.deadline)

    def clusters_acknowledged(self, names: Iterable[str], now: float) -> None:
        for name in names:
            item = self.warming.get(name)
            if item is not None and item.sent and item.endpoints is None:
                self._ready(name, item, now)

    def endpoints_sent(self, assignments: Mapping[str, bytes], nonce: str) -> None:
        for endpoints, body in assignments.items():
            for name in self._by_endpoints.get(endpoints, ()):
                self.warming[name].nonce = nonce
                self.warming[name].empty = not wire.has_endpoints(body)

    def endpoints_acknowledged(self, names: Iterable[str], nonce: str, now: float) -> None:
        for endpoints in names:
            for name in tuple(self._by_endpoints.get(endpoints, ())):
                item = self.warming[name]
                if item.nonce == nonce:
                    self._ready(name, item, now)

    def expire(self, now: float) -> None:
        for name in [n for n, w in self.warming.items() if w.deadline <= now]:
            self.drop(name)
        for host in [h for h, until in self._lacking.items() if until <= now]:
            del self._lacking[host]
        self.deadline = min((*(w.deadline for w in self.warming.values()), *self._lacking.values()), default=inf)

    def _ready(self, name: str, item: _Warming, now: float) -> None:
        hold = max(item.hold, item.lag if item.empty else 0.0)
        if hold <= 0:
            self.drop(name)
            return
        # Without a healthy endpoint the first requests would be answered 503 (envoy.md §2, Ordering and refusals).
        item.nonce = ""
        item.deadline = now + min(hold, self._limit)
        self.deadline = min(self.deadline, item.deadline)

    def _wait(self, sequence: int, host: str | None, clusters: set[str]) -> None:
        if clusters:
            waits = self._gates.setdefault(sequence, {}).setdefault(host, set())
            for name in clusters - waits:
                waits.add(name)
                self.warming[name].gates.append((sequence, host))

    def _forget_endpoints(self, name: str) -> None:
        endpoints = self.warming[name].endpoints
        if endpoints is not None:
            names = self._by_endpoints[endpoints]
            names.discard(name)
            if not names:
                del self._by_endpoints[endpoints]
