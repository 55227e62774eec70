"""Which status is written when: a machine that is told what differs, who leads and how writes went.

In: `Differs`, `Leads`, `Answered`, `Tick`. Out: `Send`, `Wait`, `Say`. At most one write of an object is under way; what
differs meanwhile replaces what was to be written next. The newest and the oldest difference take turns, so that an edit
does not wait behind ten thousand first statuses.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable
from math import inf
from typing import Literal

import msgspec

from contour.api.meta import ObjectRef
from contour.status.patch import Patch

# written: done. conflict: the object has a newer version, which the watch brings. gone: there is no such object.
# refused: it will not do, however often. forbidden: no right to write. failed: may do later.
Outcome = Literal["written", "conflict", "gone", "refused", "forbidden", "failed"]

# The rights may be granted while we run; asked again this seldom, and a few at a time.
FORBIDDEN_PAUSE = 60.0
_FIRST_RETRY, _LAST_RETRY = 0.25, 30.0
# The same status again soon after it was written: somebody else writes another one, or the server drops a part of it.
_FIRST_REPEAT, _LAST_REPEAT = 1.0, 300.0
_RETRY_SPREAD = 0.5


class Limit(msgspec.Struct, frozen=True, gc=False):
    """Writes a second, how many of them at once after a pause, and how many under way at a time.

    `settle`: seconds in which a difference may still change before it is written. In them Envoys take what the same
    change means for them: API server and Envoy would compete for the processor, and 5 ms of 13 were lost so.
    `pause`: the same for a new leader, which may have just started and has Envoys to serve.
    """

    rate: float = 400.0
    burst: int = 100
    parallel: int = 16
    settle: float = 0.01
    pause: float = 0.5


class Differs(msgspec.Struct, frozen=True, gc=False):
    """What has to be written of an object now; None: nothing, or the object is gone."""

    key: ObjectRef
    patch: Patch | None


class Leads(msgspec.Struct, frozen=True, gc=False):
    """Whether this replica writes. After True everything that differs has to be told again."""

    leads: bool


class Answered(msgspec.Struct, frozen=True, gc=False):
    """How a `Send` ended. `pause`: seconds in which the server wants no write at all."""

    key: ObjectRef
    outcome: Outcome
    text: str = ""
    pause: float = 0


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The time of a `Wait` has come."""


class Send(msgspec.Struct, frozen=True, gc=False):
    key: ObjectRef
    patch: Patch


class Wait(msgspec.Struct, frozen=True, gc=False):
    """A `Tick` is wanted at this time; a later one replaces an earlier one."""

    until: float


class Say(msgspec.Struct, frozen=True, gc=False):
    """For the log."""

    text: str


Event = Differs | Leads | Answered | Tick
Command = Send | Wait | Say


class Writes:
    """Counts by kind, for the metrics (operations.md §8.1)."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()


class _Past(msgspec.Struct):
    """The last write of an object: what, when, and how often in a row."""

    digest: int
    at: float
    repeats: int = 0


class _Sent(msgspec.Struct):
    """A write that is under way. `wanted`: it is still to be tried again if it fails."""

    patch: Patch
    wanted: bool = True


class Writer:
    """`random`: a number between 0 and 1, for retries that do not all come at once."""

    def __init__(self, limit: Limit, random: Callable[[], float]) -> None:
        self.writes = Writes()
        self.leads = False
        self._limit = limit
        self._random = random
        self._next: OrderedDict[ObjectRef, Patch] = OrderedDict()
        self._sent: dict[ObjectRef, _Sent] = {}
        self._later: dict[ObjectRef, tuple[float, Patch]] = {}
        self._alarms: list[tuple[float, ObjectRef]] = []  # of `_later`; one that is out of date is skipped
        self._tries: dict[ObjectRef, int] = {}
        self._past: OrderedDict[ObjectRef, _Past] = OrderedDict()  # the latest last
        self._barred: dict[tuple[str, str], float] = {}  # kind and namespace whose statuses may not be written
        self._failing = False  # since the last write that went through
        self._begins = 0.0
        self._paused_until = 0.0
        self._tokens = float(limit.burst)
        self._filled_at = 0.0
        self._newest = True  # whose turn it is

    @property
    def waiting(self) -> int:
        """Objects whose status is not as it should be."""
        return len(self._next) + len(self._later) + len(self._sent)

    @property
    def under_way(self) -> int:
        return len(self._sent)

    def feed(self, event: Event, now: float) -> list[Command]:
        commands: list[Command] = []
        match event:
            case Differs():
                self._differs(event, now)
            case Leads():
                self._lead(event.leads, now)
            case Answered():
                commands += self._answered(event, now)
            case Tick():
                pass
        commands += self._send(now)
        return commands

    def _lead(self, leads: bool, now: float) -> None:
        self.leads = leads
        self._begins = now + self._limit.pause
        for state in (self._next, self._later, self._tries, self._past, self._barred):
            state.clear()
        self._alarms.clear()
        for sent in self._sent.values():
            sent.wanted = False

    def _differs(self, event: Differs, now: float) -> None:
        if not self.leads:
            return
        key, patch = event.key, event.patch
        due, _ = self._later.pop(key, (inf, None))
        waits = self._next.pop(key, None) is not None
        if patch is None:
            self._tries.pop(key, None)
            if key in self._sent:
                self._sent[key].wanted = False
            return
        past = self._past.get(key)
        again = past.at + min(_FIRST_REPEAT * 2**past.repeats, _LAST_REPEAT) if past else 0.0
        if past is not None and past.digest == _digest(patch) and again > now:
            self._postpone(key, patch, again)
        elif waits:
            self._next[key] = patch
        else:
            self._postpone(key, patch, min(due, max(now + self._limit.settle, self._begins)))

    def _answered(self, event: Answered, now: float) -> list[Command]:
        key, outcome = event.key, event.outcome
        sent = self._sent.pop(key)
        self.writes.outcomes[key.kind, outcome] += 1
        if event.pause:
            self._paused_until = max(self._paused_until, now + event.pause)
        if not self.leads:
            return []
        match outcome:
            case "written":
                return self._written(key, sent.patch, now)
            case "conflict" | "gone":
                return []  # the watch brings what the object is now, and with it another patch or none
            case "refused":
                return [Say(f"{_status(key)} is not accepted: {event.text}")]
            case "forbidden":
                return self._bar(key, sent, event.text, now)
            case "failed":
                return self._retry(key, sent, event.text, now)

    def _written(self, key: ObjectRef, patch: Patch, now: float) -> list[Command]:
        self._tries.pop(key, None)
        self._failing = False
        digest, past = _digest(patch), self._past.pop(key, None)
        repeats = past.repeats + 1 if past is not None and past.digest == digest else 0
        self._past[key] = _Past(digest, now, repeats)
        while next(iter(self._past.values())).at + 2 * _LAST_REPEAT < now:
            self._past.popitem(last=False)
        group = (key.kind, key.namespace)
        if group in self._barred:
            del self._barred[group]
            return [Say(f"statuses of {key.kind} objects in namespace {key.namespace} may be written again")]
        return []

    def _retry(self, key: ObjectRef, sent: _Sent, text: str, now: float) -> list[Command]:
        tries = self._tries.get(key, 0) + 1
        if sent.wanted:
            self._tries[key] = tries
        if self._is_due_again(key, sent):
            delay = min(_FIRST_RETRY * 2 ** (tries - 1), _LAST_RETRY)
            self._postpone(key, sent.patch, now + delay * (1 + _RETRY_SPREAD * self._random()))
        first, self._failing = tries == 1 and not self._failing, True
        return [Say(f"{_status(key)} is not written yet: {text}")] if first else []

    def _is_due_again(self, key: ObjectRef, sent: _Sent) -> bool:
        """Neither has it become superfluous, nor is something newer to be written of this object."""
        return sent.wanted and key not in self._next and key not in self._later

    def _bar(self, key: ObjectRef, sent: _Sent, text: str, now: float) -> list[Command]:
        if self._is_due_again(key, sent):
            self._next[key] = sent.patch
        group = (key.kind, key.namespace)
        first = group not in self._barred
        self._barred[group] = now + FORBIDDEN_PAUSE
        if not first:
            return []
        return [
            Say(
                f"statuses of {key.kind} objects in namespace {key.namespace} may not be written, the rights are asked "
                f"for again every {FORBIDDEN_PAUSE:.0f} s: {text}"
            )
        ]

    def _postpone(self, key: ObjectRef, patch: Patch, until: float) -> None:
        self._later[key] = (until, patch)
        heapq.heappush(self._alarms, (until, key))

    def _send(self, now: float) -> list[Command]:
        self._wake(now)
        self._fill(now)
        commands: list[Command] = []
        while self._next and len(self._sent) < self._limit.parallel and self._tokens >= 1 and now >= self._paused_until:
            key = next(reversed(self._next)) if self._newest else next(iter(self._next))
            if key in self._sent:
                # Of those under way there are few: look behind them, or wait for their answers.
                free = next((other for other in self._next if other not in self._sent), None)
                if free is None:
                    break
                key = free
            patch = self._next.pop(key)
            barred = self._barred.get((key.kind, key.namespace), 0.0)
            if barred > now:
                self._postpone(key, patch, barred)
                continue
            self._newest = not self._newest
            self._tokens -= 1
            self._sent[key] = _Sent(patch)
            self.writes.attempts[key.kind] += 1
            commands.append(Send(key, patch))
        until = self._until(now)
        if until is not None:
            commands.append(Wait(until))
        return commands

    def _wake(self, now: float) -> None:
        """What was to be written later is due."""
        while self._alarms and self._alarms[0][0] <= now:
            until, key = heapq.heappop(self._alarms)
            known = self._later.get(key)
            if known is not None and known[0] == until:
                del self._later[key]
                self._next[key] = known[1]

    def _fill(self, now: float) -> None:
        self._tokens = min(self._limit.burst, self._tokens + (now - self._filled_at) * self._limit.rate)
        self._filled_at = now

    def _until(self, now: float) -> float | None:
        """When something can be sent that cannot now, but for answers."""
        times = [self._alarms[0][0]] if self._alarms else []
        if self._next and len(self._sent) < self._limit.parallel:
            if now < self._paused_until:
                times.append(self._paused_until)
            elif self._tokens < 1:
                times.append(now + (1 - self._tokens) / self._limit.rate)
        return min(times) if times else None


def _digest(patch: Patch) -> int:
    return hash(msgspec.json.encode(patch.status))


def _status(key: ObjectRef) -> str:
    return f"the status of {key.kind} {key.namespace}/{key.name}"
