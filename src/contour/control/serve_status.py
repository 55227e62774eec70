"""Statuses and Events on their way to the API server: carries out what the machines of `contour.status` decide."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from contour.api.heptio import IngressRoute
from contour.api.meta import ObjectRef
from contour.control.durations import Durations
from contour.control.pipeline import Pipeline
from contour.dag.verdict import Finding
from contour.kube.client import JSON, MERGE_PATCH, Client, CredentialsError, Response, Unreachable
from contour.kube.kinds import BY_NAME
from contour.reactive import ChangeSet
from contour.status import event, patch
from contour.status.event import Announcer
from contour.status.patch import Patch
from contour.status.plan import ENVOY
from contour.status.writer import Answered, Command, Differs, Leads, Limit, Outcome, Say, Send, Tick, Wait, Writer

_UNREACHABLE_PAUSE = 1.0  # seconds in which nothing is written after a lost connection
_TIMEOUT = 10.0
_STATUS = "/status"

_OUTCOMES: dict[int, Outcome] = {403: "forbidden", 404: "gone", 409: "conflict", 400: "refused", 422: "refused"}


class Statuses:
    """Writes what differs while this replica leads. `say` gets a line for the log.

    Call `committed` after each commit, `lead` when leadership comes or goes, and `stop` at the end.
    """

    def __init__(self, client: Client, pipeline: Pipeline, limit: Limit, say: Callable[[str], None]) -> None:
        engine, store = pipeline.engine, pipeline.store
        self.patches = patch.attach(engine, store, pipeline.statuses)
        self.findings = pipeline.findings
        self.writer = Writer(limit, random.random)
        self.events = Events(client, say)
        self.refusals = 0  # of objects, seen by this replica
        self.durations: dict[tuple[str, str], Durations] = {}  # by kind, and "true" for what failed
        self._client = client
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()

    def committed(self, changes: ChangeSet) -> None:
        patches, found = changes[self.patches], changes[self.findings]
        for key, difference in patches.set.items():
            self._feed(Differs(key, difference))
        for key in patches.removed:
            self._feed(Differs(key, None))
        self._refused((key, difference.uid, difference.news) for key, difference in patches.set.items())
        self._found((key, what.uid, what.findings) for key, what in found.set.items())

    def lead(self, leads: bool) -> None:
        self._feed(Leads(leads))
        if leads:
            for key, difference in self.patches.items():
                self._feed(Differs(key, difference))
            self._found((key, what.uid, what.findings) for key, what in self.findings.items())

    async def stop(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Begin no more writes and wait for those that are under way."""
        self._feed(Leads(False))
        if self._timer is not None:
            self._timer.cancel()
        if self._writes:
            await asyncio.wait(self._writes, timeout=timeout)
        for task in self._writes:
            task.cancel()
        await self.events.stop()

    # --- writes ---------------------------------------------------------------------------------------------------

    def _feed(self, what: Differs | Leads | Answered | Tick) -> None:
        for command in self.writer.feed(what, self._loop.time()):
            self._do(command)

    def _do(self, command: Command) -> None:
        match command:
            case Send():
                _keep(self._write(command.key, command.patch), self._writes)
            case Wait():
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at(command.until, self._feed, Tick())
            case Say():
                self._say(command.text)

    async def _write(self, key: ObjectRef, difference: Patch) -> None:
        data = msgspec.json.encode(patch.body(difference, _now()))
        begun = self._loop.time()
        try:
            response = await self._patch(_path(key), data)
            if response.status == 404 and key.kind == IngressRoute.kind:
                # Its CRD of before 2020 has no status subresource (operations.md §12.9); else the object is gone.
                whole = await self._patch(_path(key).removesuffix(_STATUS), data)
                response = whole if whole.ok else response
        except (Unreachable, CredentialsError) as error:
            answered = Answered(key, "failed", str(error), _UNREACHABLE_PAUSE)
        else:
            answered = _answered(key, response)
        failed = "false" if answered.outcome == "written" else "true"
        self.durations.setdefault((key.kind, failed), Durations()).add(self._loop.time() - begun)
        if answered.outcome == "written":
            self._announce(key, difference.uid, difference.news)
        self._feed(answered)

    async def _patch(self, path: str, data: bytes) -> Response:
        return await self._client.request(
            "PATCH", path, body=data, content_type=MERGE_PATCH, timeout=_TIMEOUT, retries=0
        )

    # --- events ---------------------------------------------------------------------------------------------------

    def _refused(self, differences: Iterable[tuple[ObjectRef, str, tuple[Finding, ...]]]) -> None:
        """The leader shows in the status what an Envoy refuses; another replica, whose Envoys may be others, cannot."""
        for key, uid, news in differences:
            mine = tuple(finding for finding in news if finding.type == ENVOY)
            self.refusals += len(mine)
            if not self.writer.leads:
                self._announce(key, uid, mine)

    def _found(self, found: Iterable[tuple[ObjectRef, str, tuple[Finding, ...]]]) -> None:
        for key, uid, all_ in found:
            shown = all_ if self.writer.leads else tuple(finding for finding in all_ if finding.type == ENVOY)
            self._announce(key, uid, shown)

    def _announce(self, key: ObjectRef, uid: str, news: Iterable[Finding]) -> None:
        for finding in news:
            self.events.add(event.Event(key, uid, finding.reason, f"{finding.type}: {finding.message}"))


class Events:
    """Posts Events, one at a time. What cannot be posted is dropped: an Event is a courtesy."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        self.posted = 0
        self._client = client
        self._say = say
        self._forbidden = False
        self._host = socket.gethostname()
        self._announcer = Announcer()
        self._task: asyncio.Task[None] | None = None
        self._busy = False

    @property
    def dropped(self) -> int:
        return self._announcer.dropped

    def add(self, what: event.Event) -> None:
        self._announcer.add(what)
        if not self._busy:
            self._busy = True
            self._task = asyncio.ensure_future(self._post_all())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _post_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (what := self._announcer.take(loop.time())) is not None:
                if isinstance(what, float):
                    await asyncio.sleep(what)
                else:
                    await self._post(what)
        finally:
            self._busy = False

    async def _post(self, what: event.Event) -> None:
        data = msgspec.json.encode(event.body(what, _now(), self._host))
        try:
            response = await self._client.request(
                "POST", event.path(what), body=data, content_type=JSON, timeout=_TIMEOUT, retries=1
            )
        except (Unreachable, CredentialsError):
            self._announcer.forget(what)
            return
        if response.ok:
            self.posted += 1
        elif response.status == 403 and not self._forbidden:
            self._forbidden = True
            self._say(f"events may not be written: {response.failure}")
        elif response.status >= 500:
            self._announcer.forget(what)


def _path(key: ObjectRef) -> str:
    return f"{BY_NAME[key.kind].path_of(key.namespace, key.name)}{_STATUS}"


def _answered(key: ObjectRef, response: Response) -> Answered:
    if response.ok:
        return Answered(key, "written")
    failure = response.failure
    pause = (failure.retry_after or 0.0) if failure else 0.0
    return Answered(key, _OUTCOMES.get(response.status, "failed"), str(failure), pause)


def _now() -> str:
    """As Kubernetes writes times: to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _keep(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
