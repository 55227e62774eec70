"""What every client should have: the current resources of each type, shared by all streams of one shape.

Only `Hub.publish` and the verdicts of Envoys (accepted, refused) change it; streams read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b

import msgspec

from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    SCOPED_ROUTE,
    SECRET,
    Resource,
    TypeUrl,
)
from contour.xds import wire

TYPES = (CLUSTER, ENDPOINTS, SECRET, RUNTIME, SCOPED_ROUTE, ROUTE, LISTENER)

Changes = Mapping[TypeUrl, tuple[Mapping[str, Resource], AbstractSet[str]]]

# Refusals of versions that are no longer wanted are remembered in case they come back, up to this many.
_REMEMBERED = 4096


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One version of a resource, encoded once; `prefix + body` is its item in a delta response of any stream."""

    name: str
    version: str
    prefix: bytes
    body: bytes
    digest: int  # of name and version; the XOR over a set of entries is the version of the set
    endpoints: str | None = None  # a cluster's endpoint assignment

    def __repr__(self) -> str:  # a Secret's bytes never reach a log
        return f"Entry({self.name!r}, {self.version})"


FORGOTTEN = Entry("", "\0forgotten", b"", b"", 0)  # the client must be told, whatever it was told before
ABSENT = Entry("", "\0absent", b"", b"", 0)  # the client asked for the name and knows that it does not exist


def entry(type_url: TypeUrl, resource: Resource) -> Entry:
    body = resource.body
    return Entry(
        resource.name,
        resource.version,
        wire.delta_prefix(type_url, resource.name, resource.version, len(body)),
        body,
        digest(resource.name, resource.version),
        wire.endpoints_of(resource.name, body) if type_url == CLUSTER else None,
    )


def other(scope: Entry, salt: int) -> Entry:
    """The same scope with bytes of another hash."""
    body = wire.other_scope(scope.body, salt)
    prefix = wire.delta_prefix(SCOPED_ROUTE, scope.name, scope.version, len(body))
    return Entry(scope.name, scope.version, prefix, body, scope.digest)


def claimed(name: str, version: str) -> Entry:
    """What a reconnecting client says it has; its bytes are not ours."""
    return Entry(name, version, b"", b"", 0)


def digest(name: str, version: str) -> int:
    return int.from_bytes(blake2b(f"{name}\0{version}".encode(), digest_size=8).digest())


class Snapshot:
    def __init__(self) -> None:
        self.ready = False
        self.tables: dict[TypeUrl, dict[str, Entry]] = {t: {} for t in TYPES}
        self.digests: dict[TypeUrl, int] = dict.fromkeys(TYPES, 0)
        # Seconds that a new cluster needs after its endpoints arrived, because its first health check must pass.
        self.health_holds: dict[str, float] = {}
        self._good: dict[TypeUrl, dict[str, Entry]] = {t: {} for t in TYPES}
        self._refusals: dict[tuple[TypeUrl, str, str], str] = {}
        self._returned: list[tuple[TypeUrl, str, str, str]] = []
        # Resources whose current version was refused, with the last good one, which is for those who have none.
        self.refused: dict[tuple[TypeUrl, str], Entry | None] = {}
        # Resources whose newer version is not even published, because Envoy would refuse it.
        self.withheld: set[tuple[TypeUrl, str]] = set()

    def publish(
        self,
        changes: Changes,
        health_holds: Mapping[str, float] | None = None,
        withheld: Iterable[tuple[TypeUrl, str]] = (),
    ) -> dict[TypeUrl, list[str]]:
        """Take a change set; returns the names that differ from before, per type."""
        touched: dict[TypeUrl, list[str]] = {}
        self.ready = True
        self._returned.clear()
        for type_url, (present, removed) in changes.items():
            table, good = self.tables[type_url], self._good[type_url]
            names = []
            for name, resource in present.items():
                old = table.get(name)
                if old is not None and old.version == resource.version:
                    self.withheld.discard((type_url, name))
                    continue
                new = entry(type_url, resource)
                table[name] = new
                self.digests[type_url] ^= new.digest ^ (old.digest if old else 0)
                self.refused.pop((type_url, name), None)
                self.withheld.discard((type_url, name))
                refusal = self._refusals.get((type_url, name, new.version))
                if refusal is not None:
                    self.refused[type_url, name] = good.get(name)
                    self._returned.append((type_url, name, new.version, refusal))
                names.append(name)
            for name in removed:
                old = table.pop(name, None)
                if old is None:
                    continue
                self.digests[type_url] ^= old.digest
                good.pop(name, None)
                self.refused.pop((type_url, name), None)
                self.withheld.discard((type_url, name))
                if type_url == CLUSTER:
                    self.health_holds.pop(name, None)
                names.append(name)
            if names:
                touched[type_url] = names
        self.withheld.update(key for key in withheld if key[1] in self.tables[key[0]])
        if health_holds:
            # Of those that are there: others, such as another shape's, would never be removed.
            clusters = self.tables[CLUSTER]
            self.health_holds.update((name, hold) for name, hold in health_holds.items() if name in clusters)
        return touched

    def version(self, type_url: TypeUrl) -> str:
        return f"{self.digests[type_url]:016x}"

    def accept(self, type_url: TypeUrl, items: Iterable[Entry]) -> list[Entry]:
        """An Envoy runs these; returns those that are current and that none had acknowledged before."""
        table, good, fresh = self.tables[type_url], self._good[type_url], []
        for item in items:
            current = table.get(item.name)
            if current is None or good.get(item.name) is current:
                continue
            if current.version == item.version:
                good[item.name] = current
                fresh.append(current)
            else:
                good[item.name] = item
                if (type_url, item.name) in self.refused:
                    self.refused[type_url, item.name] = item
        return fresh

    def refuse(self, type_url: TypeUrl, item: Entry, text: str) -> bool:
        """An Envoy refuses this version. False: another accepted it, so it is a matter of that one Envoy."""
        good = self._good[type_url].get(item.name)
        if good is not None and good.version == item.version:
            return False
        self._refusals[type_url, item.name, item.version] = text
        while len(self._refusals) > _REMEMBERED:
            del self._refusals[next(iter(self._refusals))]
        current = self.tables[type_url].get(item.name)
        if current is not None and current.version == item.version:
            self.refused[type_url, item.name] = good
        return True

    def returned(self) -> tuple[tuple[TypeUrl, str, str, str], ...]:
        """Type, name, version and Envoy's text of what the last publish brought back although it was refused before."""
        return tuple(self._returned)

    def fetched(self, type_url: TypeUrl, name: str) -> Entry | None:
        """What a client that has nothing is given."""
        if (type_url, name) in self.refused:
            return self.refused[type_url, name]
        return self.tables[type_url].get(name)

    def running(self, type_url: TypeUrl, name: str) -> bool:
        """Whether an Envoy has acknowledged the current version of a resource."""
        current, good = self.tables[type_url].get(name), self._good[type_url].get(name)
        return current is not None and good is not None and current.version == good.version
