"""Who leads, by a Lease that all replicas try to hold; a machine without clock, socket or dice.

    feed(event, now, stamp) -> Step(what to do next, what is new)

    candidate  reads the Lease; takes it when nobody holds it, or when its holder has not renewed it for as long as the
               Lease says, by the candidate's own clock: other machines' clocks, and jumps of this one, have no say
    leader     renews it; has lost it when another holds it, or when no renewal has succeeded for `renew` seconds, which
               is sooner than anybody else may take it
    either     Stop gives it back (an empty holder), so that the next one need not wait

One request or pause is under way at a time; each write is refused with a conflict if another came first. The rules are
those of client-go's leaderelection, so that replicas of both kinds could compete; but a candidate wakes when the Lease
ends rather than up to 4.4 s later, and whoever has lost goes on as a candidate.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

_JITTER = 0.2  # of a pause


class TimingError(ValueError):
    """Durations that cannot work together."""


class Timing(msgspec.Struct, frozen=True, gc=False):
    """Seconds (operations.md §9.1)."""

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def check(self) -> None:
        """Raises TimingError, with the names of the flags."""
        if self.lease < 1:
            raise TimingError("--leader-election-lease-duration has to be at least 1s")
        if self.lease <= self.renew:
            raise TimingError(
                "--leader-election-lease-duration has to be greater than --leader-election-renew-deadline"
            )
        if self.retry <= 0:
            raise TimingError("--leader-election-retry-period has to be greater than 0s")
        if self.renew <= self.retry * (1 + _JITTER):
            raise TimingError(
                "--leader-election-renew-deadline has to be greater than 1.2 times --leader-election-retry-period"
            )


class Record(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The `spec` of a Lease. Its times are for people: nothing here reads them."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


# --- what is fed --------------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Begin."""


class Found(msgspec.Struct, frozen=True):
    """The Lease as it is; None: there is none."""

    record: Record | None


class Written(msgspec.Struct, frozen=True):
    """The write that was asked for is done."""


class Conflict(msgspec.Struct, frozen=True):
    """It was not: the Lease has changed, is there already, or is not there any more."""


class Failed(msgspec.Struct, frozen=True):
    """No answer, or a refusal. A write may have been done all the same."""

    reason: str


class Woken(msgspec.Struct, frozen=True):
    """The pause is over."""


class Stop(msgspec.Struct, frozen=True):
    """Give up what is held. During a pause it takes effect at once, else with the answer to what is under way."""


Input = Start | Found | Written | Conflict | Failed | Woken | Stop


# --- what comes back ----------------------------------------------------------------------------------------------


class Read(msgspec.Struct, frozen=True):
    timeout: float


class Create(msgspec.Struct, frozen=True):
    record: Record
    timeout: float


class Update(msgspec.Struct, frozen=True):
    """Write over the version that was read or written last."""

    record: Record
    timeout: float


class Pause(msgspec.Struct, frozen=True):
    seconds: float


class Done(msgspec.Struct, frozen=True):
    """After Stop: there is nothing more to do."""


Command = Read | Create | Update | Pause | Done


class Acquired(msgspec.Struct, frozen=True):
    """We lead."""


class Lost(msgspec.Struct, frozen=True):
    """We do not lead any more."""

    reason: str


class Holder(msgspec.Struct, frozen=True):
    """Somebody else leads; told once for each."""

    identity: str


class Trouble(msgspec.Struct, frozen=True):
    """The Lease cannot be read or written; told once, until `Well` follows."""

    text: str


class Well(msgspec.Struct, frozen=True):
    """The trouble is over."""


News = Acquired | Lost | Holder | Trouble | Well


class Step(msgspec.Struct):
    next: Command | None = None
    news: list[News] = []


# --- the machine --------------------------------------------------------------------------------------------------


class Election:
    """One replica's part. `stamp` is the time of day as Kubernetes writes it, for the record alone."""

    def __init__(self, identity: str, timing: Timing, chance: Callable[[], float]) -> None:
        timing.check()
        self.identity = identity
        self.leading = False
        self._timing = timing
        self._chance = chance
        self._record: Record | None = None  # as it was seen last
        self._seen = 0.0  # when it was seen to be different from before
        self._renewed = 0.0  # when the last successful write of ours was sent
        self._sent: tuple[Record, float] | None = None  # a write that is under way
        self._stopping = False
        self._stopped = False
        self._pausing = False
        self._holder = ""
        self._trouble = ""
        self._unwritable = False  # the trouble came of a write

    def feed(self, event: Input, now: float, stamp: str) -> Step:
        step = Step()
        if isinstance(event, Stop):
            self._stopping = True
            if self._pausing:
                self._end(step, now, stamp)
            return step
        self._pausing = False
        self._take_in(step, event, now)
        if self.leading and now >= self.until:
            self._lose(step, f"the Lease was not renewed for {self._timing.renew:g} s")
        if self._stopping:
            self._end(step, now, stamp)
        else:
            step.next = self._go_on(event, now, stamp)
        self._pausing = isinstance(step.next, Pause)
        return step

    @property
    def until(self) -> float:
        """Until when a leader leads if nothing more is heard."""
        return self._renewed + self._timing.renew

    # --- what is known --------------------------------------------------------------------------------------------

    def _take_in(self, step: Step, event: Input, now: float) -> None:
        sent, self._sent = self._sent, None
        match event:
            case Written() if sent is not None:
                self._record, self._renewed = sent
                self._seen = now
                self._recover(step)
                if self._record.holder_identity == self.identity and not self.leading:
                    self.leading, self._holder = True, ""
                    step.news.append(Acquired())
            case Found():
                if event.record != self._record:
                    self._record, self._seen = event.record, now
                # That it can be read is no help as long as it has to be written and cannot be.
                if not (self._unwritable and self._free(now)):
                    self._recover(step)
                self._look_at_holder(step)
            case Failed() if not self._trouble:
                self._trouble, self._unwritable = event.reason, sent is not None
                step.news.append(Trouble(event.reason))

    def _look_at_holder(self, step: Step) -> None:
        holder = (self._record.holder_identity if self._record else None) or ""
        if holder in {"", self.identity}:
            return
        if self.leading:
            self._lose(step, f"{holder} holds the Lease")
        if holder != self._holder:
            self._holder = holder
            step.news.append(Holder(holder))

    def _recover(self, step: Step) -> None:
        if self._trouble:
            self._trouble, self._unwritable = "", False
            step.news.append(Well())

    def _lose(self, step: Step, reason: str) -> None:
        self.leading = False
        step.news.append(Lost(reason))

    # --- what to do -----------------------------------------------------------------------------------------------

    def _go_on(self, event: Input, now: float, stamp: str) -> Command:
        match event:
            case Found():
                if self._free(now):
                    return self._write(self._claim(stamp), now)
                return self._pause(now)
            case Woken() if self.leading:
                return self._write(self._claim(stamp), now)
            case Start() | Woken() | Conflict():
                return Read(self._timeout(now))
        return self._pause(now)  # written, or failed

    def _free(self, now: float) -> bool:
        record = self._record
        if record is None or not record.holder_identity or record.holder_identity == self.identity:
            return True
        return now >= self._seen + (record.lease_duration_seconds or 0)

    def _claim(self, stamp: str) -> Record:
        before = self._record or Record()
        ours = before.holder_identity == self.identity
        return Record(
            holder_identity=self.identity,
            lease_duration_seconds=int(self._timing.lease),
            acquire_time=before.acquire_time if ours else stamp,
            renew_time=stamp,
            # The first holder of a new Lease has changed nothing.
            lease_transitions=(before.lease_transitions or 0) + (0 if ours or self._record is None else 1),
        )

    def _write(self, record: Record, now: float) -> Command:
        self._sent = record, now
        return (Create if self._record is None else Update)(record, self._timeout(now))

    def _timeout(self, now: float) -> float:
        """A leader has to know in time that it is none any more."""
        return max(0.1, self.until - now) if self.leading else self._timing.renew

    def _pause(self, now: float) -> Pause:
        seconds = self._timing.retry * (1 + _JITTER * self._chance())
        if self.leading:
            seconds = min(seconds, max(0.0, self.until - now))
        elif self._record is not None and self._record.holder_identity and not self._trouble:
            # No later than the Lease ends, but not all candidates at once.
            end = self._seen + (self._record.lease_duration_seconds or 0) - now
            seconds = min(seconds, max(0.0, end) + _JITTER * self._chance())
        return Pause(seconds)

    def _end(self, step: Step, now: float, stamp: str) -> None:
        """Give the Lease back if it is ours; another one's is left alone."""
        ours = self.leading
        if ours:
            self._lose(step, "stopped")
        if not ours or self._stopped or self._record is None:
            step.next = Done()
            return
        self._stopped = True
        released = msgspec.structs.replace(
            self._record, holder_identity="", lease_duration_seconds=1, renew_time=stamp, acquire_time=stamp
        )
        self._sent = released, now
        step.next = Update(released, self._timing.retry)
