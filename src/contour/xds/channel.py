"""One resource type on one stream: what the client has, what it still needs, what is under way.

A channel has one response in flight; whatever changes meanwhile forms the next one, so that batches grow with load and
an isolated change waits for nothing. What is sent is always the difference between the client's acknowledged state and
the snapshot *now*; in between there is no queue of changes that could grow or go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from contour.envoy.resource import CLUSTER, LISTENER, SCOPED_ROUTE, TypeUrl
from contour.xds import refusal, wire
from contour.xds.snapshot import ABSENT, FORGOTTEN, Entry, Snapshot, claimed, other
from contour.xds.subscription import Subscription

# Resources of a response, after the first load. A refused response is halved until the culprit is found, and Envoy
# applies a response in one go on its main thread: both want responses that are not huge.
BATCH = 1000
BATCH_BYTES = 4 << 20

# Responses without an answer whose late refusal is still understood.
_ABANDONED = 8
# What was refused and is gone is remembered in case it comes back: about so many names.
_REMEMBERED = 4096

# Types whose state-of-the-world responses hold everything, so that absence means removal ("Grouping Resources into
# Responses" names listeners and clusters; Envoy's scoped routes subscription does the same).
_FULL_STATE = frozenset((CLUSTER, LISTENER, SCOPED_ROUTE))


class Mark(NamedTuple):
    """When a name became due: the change set that touched it last, and the first that the client has not got yet."""

    sequence: int
    since: float
    first: int

    def after(self, older: Mark | None) -> Mark:
        return self if older is None or older.first >= self.first else self._replace(first=older.first)


MaySet = Callable[[str, Mark], bool]
MayRemove = Callable[[str, Mark], bool]


class Flight(msgspec.Struct, frozen=True):
    """A response that is not yet answered."""

    nonce: str
    sent: float
    present: dict[str, Entry]
    removed: tuple[str, ...]
    marks: dict[str, Mark]
    data: bytes


class Answer(msgspec.Struct, frozen=True):
    """What the client's answer to a response means: entries that it runs now, and those that it refuses for good."""

    flight: Flight
    accepted: tuple[Entry, ...] = ()
    refused: tuple[Entry, ...] = ()


class Channel:
    def __init__(self, type_url: TypeUrl, snapshot: Snapshot, *, delta: bool) -> None:
        self.type_url = type_url
        self.subscription = Subscription()
        self.known: dict[str, Entry] = {}  # what the client has acknowledged, or claimed when it came back
        self.due: dict[str, Mark] = {}
        self.due_removal: dict[str, Mark] = {}
        self.flight: Flight | None = None
        self.last_nonce = ""
        self._abandoned: dict[str, tuple[Flight, dict[str, Entry | None]]] = {}  # not answered in time
        self._snapshot = snapshot
        self._delta = delta
        self._full_state = not delta and type_url in _FULL_STATE
        self._owed = False  # an answer is owed even if it is empty
        self.loading = True  # nothing has been sent, and the client came with nothing
        self._certain = delta  # what the client has is known; else it may have more from an earlier stream
        self._digest = 0  # of `known`: the version of a state-of-the-world response
        self._again: set[str] = set()  # asked for again while in flight
        self._suspects: list[dict[str, Mark]] = []  # parts of a refused response, each to be tried alone
        self._suspects_turn = True
        self._refused_here: dict[str, str] = {}
        self._salts: dict[str, int] = {}  # of scopes that Envoy may hold without serving them

    # What the client wants

    def subscribe_delta(
        self, subscribe: Collection[str], unsubscribe: Collection[str], versions: Mapping[str, str] | None, mark: Mark
    ) -> None:
        """`versions`: what the client says it has, on its first request; None on a later one."""
        for name, version in (versions or {}).items():
            self.known[name] = claimed(name, version)
            self.loading = False
        update = self.subscription.delta(subscribe, unsubscribe)
        for name in update.tell:
            # On a new stream a client names everything again and says which versions it has, so as not to be sent them
            # ("Incremental xDS").
            if versions is None or name not in versions:
                self._tell_again(name)
        self._forget_uncovered(update.dropped, everything=update.narrowed or bool(versions))
        if update.everything:
            self.touch((*self._snapshot.tables[self.type_url], *self.known), mark)
            self._owed = not versions  # who has nothing waits for an answer, even an empty one
        self.touch(update.tell, mark)

    def subscribe_state(self, names: Collection[str], mark: Mark, *, first: bool) -> None:
        update = self.subscription.state(names)
        self._forget_uncovered(update.dropped, everything=update.narrowed)
        for name in update.tell:
            self._tell_again(name)
        if update.everything:
            self.touch(tuple(self._snapshot.tables[self.type_url]), mark)
        self.touch(update.tell, mark)
        # The first request is answered whatever it says (operations.md §4.4).
        self._owed = self._owed or first

    def touch(self, names: Iterable[str], mark: Mark) -> None:
        """These names may differ from what the client has."""
        for name in names:
            if not self.subscription.covers(name):
                continue
            older = self.due.pop(name, None) or self.due_removal.pop(name, None)
            if self._wanted(name) is None:
                self.due_removal[name] = mark.after(older)
            else:
                self.due[name] = mark.after(older)

    def resend(self, name: str, mark: Mark) -> None:
        """Send a name again that the client has or is being sent."""
        if self.subscription.covers(name) and (name in self.known or (self.flight and name in self.flight.marks)):
            self._tell_again(name)
            self.touch((name,), mark)

    # How far the client is

    def has(self, name: str) -> bool:
        """The client runs some version of this and is not being told to drop it."""
        have = self.known.get(name)
        return _real(have) and not (self.flight and name in self.flight.removed)

    def being_sent(self, name: str) -> bool:
        return self.flight is not None and name in self.flight.present

    def sent(self, sequence: int) -> bool:
        """Every resource that became due up to `sequence` is on its way; removals apart."""
        return not _any(self.due, sequence)

    def settled(self, sequence: int) -> bool:
        """Nothing that became due up to `sequence` is left to send or to be acknowledged."""
        return not (
            _any(self.due, sequence)
            or _any(self.due_removal, sequence)
            or (self.flight and _any(self.flight.marks, sequence))
            or any(_any(part, sequence) for part in self._suspects)
        )

    def kept(self) -> Iterator[Entry]:
        """What the client goes on with because it is not to have the current version."""
        unavailable = (*self._snapshot.refused, *self._snapshot.withheld)
        names = [name for type_url, name in unavailable if type_url == self.type_url]
        table = self._snapshot.tables[self.type_url]
        names += (n for n, version in self._refused_here.items() if n in table and table[n].version == version)
        for name in names:
            have = self.known.get(name)
            if have is not None and _real(have):
                yield have

    # Sending

    def next(self, now: float, nonce: Callable[[], str], may_set: MaySet, may_remove: MayRemove) -> Flight | None:
        """The next response, if there is anything that may be sent now and nothing is in flight."""
        if self.flight is not None or not (self.due or self.due_removal or self._suspects or self._owed):
            return None
        # Parts of a refused response take turns with what else is due, so that nothing waits for a culprit.
        self._suspects_turn = not self._suspects_turn
        removed: dict[str, Mark] = {}
        present, marks = self._suspected() if self._suspects_turn else ({}, {})
        if not present:
            present, marks = self._collected(may_set)
            removed = self._collected_removals(may_remove)
        if not (present or removed):
            present, marks = self._suspected()
        if not (present or removed) and (not self._owed or self.due):
            return None  # nothing to say, or what there is to say is held back
        for name in self._salts.keys() & present.keys():
            present[name] = other(present[name], self._salts[name])
        self._owed = self.loading = False
        self.last_nonce = nonce()
        data = self._encode(present, removed)
        self.flight = Flight(self.last_nonce, now, present, tuple(removed), marks | removed, data)
        return self.flight

    def _suspected(self) -> tuple[dict[str, Entry], dict[str, Mark]]:
        """The next part of a refused response that is still wanted."""
        while self._suspects:
            part = self._suspects.pop()
            wanted = {name: self._wanted(name) for name in part if name not in self.due}
            present = {n: item for n, item in wanted.items() if item is not None and self._differs(n, item)}
            if present:
                return present, {n: part[n] for n in present}
        return {}, {}

    def _collected(self, may_set: MaySet) -> tuple[dict[str, Entry], dict[str, Mark]]:
        """What is due and allowed. The first load is one response: Envoy serves after the first, with what that holds."""
        present: dict[str, Entry] = {}
        marks: dict[str, Mark] = {}
        unlimited = self.loading or not self._delta
        space, done = BATCH_BYTES, []
        for name, mark in self.due.items():
            item = self._wanted(name)
            if item is None:  # refused since it became due
                self.due_removal[name] = mark
            elif self._differs(name, item):
                if not may_set(name, mark):
                    continue
                present[name], marks[name] = item, mark
                space -= len(item.body)
            done.append(name)
            if not unlimited and (len(present) >= BATCH or space <= 0):
                break
        for name in done:
            del self.due[name]
        return present, marks

    def _collected_removals(self, may_remove: MayRemove) -> dict[str, Mark]:
        removed: dict[str, Mark] = {}
        done = []
        for name, mark in self.due_removal.items():
            have = self.known.get(name)
            if have is None or have is ABSENT or self._wanted(name) is not None:
                done.append(name)
                gone = name not in self._snapshot.tables[self.type_url]
                self._owed = self._owed or (gone and self._full_state and not self._certain)
            elif not self._delta and not self._full_state:
                # State of the world cannot say that such a resource is gone ("Deleting Resources").
                self._know(name, None)
                done.append(name)
            elif have is FORGOTTEN or may_remove(name, mark):
                removed[name] = mark
                done.append(name)
        for name in done:
            del self.due_removal[name]
        return removed

    def _encode(self, present: dict[str, Entry], removed: Collection[str]) -> bytes:
        if self._delta:
            version = self._snapshot.version(self.type_url)
            items = [part for item in present.values() for part in (item.prefix, item.body)]
            return wire.delta_response(self.type_url, version, self.last_nonce, items, removed)
        digest = self._digest
        for name, item in present.items():
            digest ^= item.digest ^ (self.known[name].digest if name in self.known else 0)
        for name in removed:
            digest ^= self.known[name].digest
        state = {**self.known, **present} if self._full_state else present
        items = []
        for name, item in state.items():
            if name not in removed:
                items += (wire.state_prefix(self.type_url, len(item.body)), item.body)
        return wire.state_response(self.type_url, f"{digest:016x}", self.last_nonce, items)

    # The client's answer

    def acknowledge(self) -> Answer:
        flight = self._landed()
        self._certain = True
        accepted = self._take(flight, flight.present)
        self._take_removals(flight)
        return Answer(flight, accepted)

    def refuse(self, text: str) -> Answer:
        """The client refused the response in flight; it goes on with what it had."""
        flight = self._landed()
        for name in self.due.keys() & flight.marks.keys():
            self.due[name] = self.due[name].after(flight.marks[name])
        if not flight.present:  # there is nothing that it could mean
            self._take_removals(flight)
            return Answer(flight)
        blamed = refusal.named(self.type_url, flight.present, text)
        accepted: tuple[Entry, ...] = ()
        if blamed:
            accepted = self._take(flight, [n for n in flight.present if n not in blamed])
            self._take_removals(flight)
            parts: list[Sequence[str]] = [(n,) for n in blamed]
        else:
            for name in flight.removed:
                self.due_removal.setdefault(name, flight.marks[name])
            parts = refusal.halves(tuple(flight.present))
            self._salt(flight)
        if len(parts) > 1:
            self._suspects += ({n: flight.marks[n] for n in part} for part in reversed(parts))
            return Answer(flight, accepted)
        culprit = flight.present[parts[0][0]]
        self._refused_here[culprit.name] = culprit.version
        self._forget_gone(self._refused_here)
        return Answer(flight, accepted, (culprit,))

    def _salt(self, flight: Flight) -> None:
        """Envoy stops at the culprit of refused scopes. Its main thread keeps those before it, its workers never get
        them, and when they are sent again it takes them for unchanged, so that they are not served although it
        acknowledges them (tried with 1.40). Other bytes of the same meaning get through.
        """
        if self.type_url == SCOPED_ROUTE and len(flight.present) > 1:
            for name in flight.present:
                self._salts[name] = self._salts.get(name, 0) + 1
            self._forget_gone(self._salts)

    def _forget_gone(self, names: dict[str, Any]) -> None:
        table = self._snapshot.tables[self.type_url]
        if len(names) > len(table) + _REMEMBERED:
            for name in [name for name in names if name not in table]:
                del names[name]

    def distrust(self) -> None:
        """The client comes from another stream, on which a response with these scopes may have been refused."""
        if self.type_url == SCOPED_ROUTE:
            self._salts = dict.fromkeys(self.due, 0)

    def retry(self, name: str) -> None:
        """What made the client refuse this may have passed."""
        self._refused_here.pop(name, None)

    def abandon(self) -> Flight:
        """The client does not answer: go on as if it had, without taking it for an approval."""
        flight = self._landed()
        self._abandoned[flight.nonce] = flight, {name: self.known.get(name) for name in flight.marks}
        if len(self._abandoned) > _ABANDONED:
            del self._abandoned[next(iter(self._abandoned))]
        self._take(flight, flight.present)
        self._take_removals(flight)
        return flight

    def late_refusal(self, nonce: str) -> tuple[str, ...]:
        """The client refuses what was given up: it still has what it had. Names that are to be sent again."""
        if nonce not in self._abandoned:
            return ()
        flight, before = self._abandoned.pop(nonce)
        self._salt(flight)
        for name, had in before.items():
            if self.subscription.covers(name) and not (self.flight and name in self.flight.marks):
                self._know(name, had)
        return tuple(before)

    def _landed(self) -> Flight:
        flight, self.flight = self.flight, None
        if flight is None:
            raise ValueError("nothing is in flight")
        return flight

    def _take(self, flight: Flight, names: Iterable[str]) -> tuple[Entry, ...]:
        taken = tuple(flight.present[n] for n in names)
        for item in taken:
            self._refused_here.pop(item.name, None)
            self._salts.pop(item.name, None)
            if item.name in self._again:
                self._again.discard(item.name)
            elif self.subscription.covers(item.name):
                self._know(item.name, item)
        return taken

    def _take_removals(self, flight: Flight) -> None:
        for name in flight.removed:
            if name in self._again:
                self._again.discard(name)
            else:
                self._know(name, ABSENT if self._delta and name in self.subscription.names else None)

    # What the client has

    def _wanted(self, name: str) -> Entry | None:
        """What the client should have: what it has if the current version was refused, None for nothing."""
        current = self._snapshot.tables[self.type_url].get(name)
        refused = (self.type_url, name) in self._snapshot.refused
        if current is None or not (refused or self._refused_here.get(name) == current.version):
            return current
        have = self.known.get(name)
        if _real(have):
            return have
        last_good = self._snapshot.refused.get((self.type_url, name))
        return None if last_good and self._refused_here.get(name) == last_good.version else last_good

    def _differs(self, name: str, item: Entry) -> bool:
        have = self.known.get(name)
        return have is None or have.version != item.version

    def _tell_again(self, name: str) -> None:
        if self.flight and name in self.flight.marks:
            self._again.add(name)
        self._know(name, FORGOTTEN if self._delta else None)

    def _forget_uncovered(self, names: Iterable[str], *, everything: bool) -> None:
        for name in tuple(self.known) if everything else names:
            if not self.subscription.covers(name):
                self._know(name, None)
                self.due.pop(name, None)
                self.due_removal.pop(name, None)

    def _know(self, name: str, item: Entry | None) -> None:
        old = self.known.pop(name, None)
        if old is not None:
            self._digest ^= old.digest
        if item is not None:
            self._digest ^= item.digest
            self.known[name] = item


def _real(item: Entry | None) -> bool:
    return not (item is None or item is FORGOTTEN or item is ABSENT)


def _any(marks: Mapping[str, Mark], sequence: int) -> bool:
    return any(mark.first <= sequence for mark in marks.values())
