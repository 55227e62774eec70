"""Keeping up with one kind: list, watch, and what goes wrong with both; a machine without clock, socket or dice.

    feed(event, now) -> Step(what changed, what the user is told, what to do next)

It has one thing under way at a time: a page of a list, a watch, or a pause. Whoever drives it does what `Step.next`
says and feeds what came of it; while a watch goes on, `next` is None.

    List   > Answered           another page, or the watch; at the end of a list what was not in it is gone
           > Refused 410        the list has expired while it was read: again from its beginning
    Watch  > Opened, Chunk …    changes; a bookmark moves the point from which the next watch goes on
           > Ended              the server's time limit: the next watch goes on where this one was
           > ERROR or Refused 410   too far behind: list again
    either > Lost, Refused      again after a pause; a list goes on with its page, a watch where it was
    Pause  > Woken

The rules are those of Kubernetes' API concepts ("Efficient detection of changes"); where servers and networks differ
from them, the reason stands at the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from contour.api.meta import ObjectRef
from contour.kube import answers, backoff, decoding
from contour.kube.answers import Failure
from contour.kube.events import (
    Answered,
    Chunk,
    Ended,
    Input,
    List,
    Lost,
    Opened,
    Pause,
    Refused,
    Report,
    Start,
    Step,
    Trouble,
    Unread,
    Watch,
    Well,
    Woken,
)
from contour.kube.kinds import Kind
from contour.kube.lines import Lines, TooLong

PAGE = 500  # objects; the API server's own default for kubectl
# A watch is ended by the server after 5 to 10 minutes, so that not all end together (client-go does the same).
_WATCH = 300.0
# Bookmarks come once a minute; a watch without a byte for longer than two of them is dead, whatever TCP says. (Or its
# kind has had no event since the server began: it sends no bookmarks before the first one.)
SILENCE = 150.0
_STEADY = 30.0  # a watch that lived for so long was in order, whatever ended it
_SHORT = 1.0  # a watch that ended sooner and told nothing is a failure, lest we ask without a pause
_ABSENT = 10.0  # between attempts at a kind that is not installed
_DENIED = 10.0  # the same when we may not
_TRIES = 3  # watches that fail in a row before a list is the better question


_Operation = Literal["list", "watch"]


class Reflector:
    """Mirrors one kind, in one namespace or ("") in all. `chance` gives numbers of [0, 1)."""

    def __init__(self, kind: Kind, namespace: str, chance: Callable[[], float], *, page: int = PAGE) -> None:
        self.kind = kind
        self.namespace = namespace
        self.synced = False
        # What was handed on: the version of each object.
        self.known: dict[ObjectRef, str] = {}
        self.version = ""  # the watch goes on from here; "" when a list has to come first
        self._chance = chance
        self._page = page
        self._path = kind.path(namespace)
        self._unread: dict[ObjectRef, str] = {}
        # The list that is being read: what was in it, and the token of its next page.
        self._seen: set[ObjectRef] = set()
        self._more = ""
        self._expired = 0  # lists in a row that expired before they were read
        self._lines = Lines()
        self._opened: float | None = None
        self._progress = False  # the watch has told something
        # In a row, of each.
        self._failures: dict[_Operation, int] = {"list": 0, "watch": 0}
        self._troubles: dict[_Operation, Trouble] = {}
        self._told: Trouble | None = None

    def feed(self, event: Input, now: float) -> Step:
        step = Step()
        match event:
            case Start():
                self._list(step)
            case Woken():
                self._go_on(step)
            case Answered():
                self._on_page(step, event.body)
            case Opened():
                self._opened, self._progress, self._lines = now, False, Lines()
                self._troubles.pop("watch", None)
            case Chunk():
                self._on_chunk(step, event.data, now)
            case Ended():
                self._on_end(step, now)
            case Refused():
                self._on_refusal(step, event.failure)
            case Lost():
                self._on_loss(step, event.reason, event.whole, now)
        step.reports += self._news()
        return step

    # --- asking ---------------------------------------------------------------------------------------------------

    def _list(self, step: Step) -> None:
        """From the beginning."""
        self.version, self._more, self._seen = "", "", set()
        self._go_on(step)

    def _go_on(self, step: Step) -> None:
        params = {"fieldSelector": self.kind.field_selector} if self.kind.field_selector else {}
        if self.version:
            params |= {
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": self.version,
                "timeoutSeconds": str(int(_WATCH * (1 + self._chance()))),
            }
            step.next = Watch(self._path, params, SILENCE)
            return
        if self._expired < 2:  # pages that expire again and again before they are read: all at once
            params["limit"] = str(self._page)
        if self._more:
            params["continue"] = self._more
        step.next = List(self._path, params)

    def _pause(self, step: Step, seconds: float) -> None:
        if seconds > 0:
            step.next = Pause(seconds)
        else:
            self._go_on(step)

    # --- lists ----------------------------------------------------------------------------------------------------

    def _on_page(self, step: Step, body: bytes) -> None:
        try:
            page = decoding.page(self.kind.type, body)
        except decoding.Unreadable as error:
            self._fail(step, "list", Trouble(str(error)))
            return
        self._troubles.pop("list", None)
        self._failures["list"] = 0
        for item in page.items:
            self._seen.add(item.key)
            self._take(step, item)
        self._more = page.more
        if not page.more:
            self._complete(step, page.version)
        self._go_on(step)

    def _complete(self, step: Step, version: str) -> None:
        for key in [key for key in (*self.known, *self._unread) if key not in self._seen]:
            self._drop(step, key)
        self.version, self._seen, self._expired = version, set(), 0
        self._sync(step)

    def _sync(self, step: Step) -> None:
        step.synced = not self.synced
        self.synced = True

    # --- watches --------------------------------------------------------------------------------------------------

    def _on_chunk(self, step: Step, data: bytes, now: float) -> None:
        try:
            for line in self._lines.feed(data):
                event = decoding.event(line)
                if event.type == "ERROR":
                    self._on_refusal(step, answers.of_event(event.raw))
                    return
                self._on_event(step, event)
                self._progress, self._failures["watch"] = True, 0
        except (decoding.Unreadable, TooLong) as error:
            self._on_loss(step, str(error), whole=False, now=now)

    def _on_event(self, step: Step, event: decoding.WatchEvent) -> None:
        if event.type in {"ADDED", "MODIFIED"}:
            item = decoding.version(self.kind.type, event.raw)
            self._take(step, item)
            version = item.version
        else:
            key, version = decoding.identity(self.kind.type, event.raw)
            if event.type == "DELETED":
                self._drop(step, key)
        self.version = version or self.version

    def _on_end(self, step: Step, now: float) -> None:
        if self._lived(now):
            self._go_on(step)
        else:
            self._fail(step, "watch", Trouble(f"watches of {self.kind.plural} end as soon as they begin"))

    def _lived(self, now: float) -> bool:
        """Whether the watch that is over was one."""
        opened, self._opened = self._opened, None
        return opened is not None and (self._progress or now - opened >= _SHORT)

    # --- objects --------------------------------------------------------------------------------------------------

    def _take(self, step: Step, item: decoding.Version) -> None:
        if item.value is None:
            if self._unread.get(item.key) != item.version:
                self._unread[item.key] = item.version
                step.reports.append(Unread(item.key, item.problem))
            return
        self._unread.pop(item.key, None)
        before = self.known.get(item.key)
        if before == item.version:  # a list again: most of it is as it was
            return
        self.known[item.key] = item.version
        step.changes[item.key] = item.value
        if before is None:
            step.added += 1
        else:
            step.updated += 1

    def _drop(self, step: Step, key: ObjectRef) -> None:
        self._unread.pop(key, None)
        if self.known.pop(key, None) is not None:
            step.changes[key] = None
            step.deleted += 1

    # --- failures -------------------------------------------------------------------------------------------------

    def _on_refusal(self, step: Step, failure: Failure) -> None:
        operation: _Operation = "watch" if self.version else "list"
        self._opened = None
        if failure.code == 410 or (failure.code == 400 and self._more):  # 400: a token of a server that was set back
            self._on_expiry(step, operation)
        elif failure.code == 404:
            self._on_absence(step)
        elif failure.code in {401, 403}:
            if self.kind.optional and not self.synced:
                self._sync(step)
            text = f"not allowed to {operation} {self._what()}: {failure}"
            self._fail(step, operation, Trouble(text), _DENIED * (1 - self._chance() / 2))
        else:
            trouble = Trouble(f"cannot {operation} {self._what()}: {failure}")
            if failure.retry_after is None:
                self._fail(step, operation, trouble)
            else:  # a server that is busy or starting: it says so, and when it will not be
                self._fail(step, operation, trouble, failure.retry_after + self._chance() / 2, patient=True)

    def _on_expiry(self, step: Step, operation: _Operation) -> None:
        """What we ask about is too long ago."""
        if operation == "list":
            self._expired += 1
        elif not self._progress:  # lists and watches by turns, as changes come faster than a list is read
            self._failures["watch"] += 1
        self.version, self._more, self._seen, self._progress = "", "", set(), False
        failures = max(self._expired - 1, self._failures["watch"] - 1)
        self._pause(step, backoff.delay(failures, self._chance()))

    def _on_absence(self, step: Step) -> None:
        """The kind is not installed, or not any more: what is known stays until a list says otherwise.

        Objects do not go without an event when their kind is removed; a server that is starting says 404, too.
        """
        if not self.kind.optional:
            self._troubles["list"] = Trouble(f"the API server does not know {self._what()}", absent=True)
        else:
            self._troubles.clear()  # of a server that did not answer, and does now
            if not self.synced:
                self._sync(step)
        self.version, self._more, self._seen = "", "", set()
        step.next = Pause(_ABSENT * (1 - self._chance() / 2))

    def _on_loss(self, step: Step, reason: str, whole: bool, now: float) -> None:
        if not self.version:
            self._fail(step, "list", Trouble(reason, whole=whole))
            return
        if self._opened is not None and now - self._opened >= _STEADY:
            self._failures["watch"] = 0
        if self._lived(now) and self._failures["watch"] == 0:
            # Connections end; as a rule the next one stands at once, and nobody has to know.
            self._failures["watch"] = 1
            self._go_on(step)
        else:
            self._fail(step, "watch", Trouble(reason, whole=whole))

    def _fail(
        self, step: Step, operation: _Operation, trouble: Trouble, after: float | None = None, *, patient: bool = False
    ) -> None:
        """Try again, `after` so many seconds if the server said when; `patient`: nobody hears of it the first times."""
        self._failures[operation] += 1
        failures = self._failures[operation]
        if not patient or failures >= _TRIES:
            self._troubles[operation] = trouble
        if operation == "watch" and failures >= _TRIES and not trouble.whole and after is None:
            # A version that the server does not know (its store was set back), a line that nobody can read.
            self.version, self._more, self._seen = "", "", set()
        self._pause(step, backoff.delay(failures, self._chance()) if after is None else after)

    def _what(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind.plural} of {self.kind.type.api_version}{where}"

    def _news(self) -> list[Report]:
        """What to tell: trouble that is new, or that there is none any more."""
        trouble = self._troubles.get("list") or self._troubles.get("watch")
        before = self._told
        if trouble == before or (trouble and before and trouble.whole and before.whole):
            return []
        self._told = trouble
        return [trouble or Well()]
