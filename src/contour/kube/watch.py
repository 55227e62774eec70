"""Reflectors at work: one for each kind and namespace, until cancelled."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from contour.api.meta import Object, ObjectRef
from contour.kube.client import Client, CredentialsError, Unreachable
from contour.kube.events import (
    Answered,
    Chunk,
    Command,
    Ended,
    Input,
    List,
    Lost,
    Opened,
    Pause,
    Refused,
    Report,
    Start,
    Trouble,
    Watch,
    Well,
    Woken,
)
from contour.kube.kinds import Kind, places
from contour.kube.reflector import Reflector

# An object and its new value, None for gone.
Event = tuple[ObjectRef, Object | None]

_LIST_TIMEOUT = 60.0  # seconds for one page; the API server's own limit


class Batch(NamedTuple):
    """What one read of a connection brought, one value for each object. `synced`: now the whole kind is known."""

    kind: Kind
    events: list[Event]
    added: int
    updated: int
    deleted: int
    synced: bool


class Notice(NamedTuple):
    """For the user; `kind` is None when it is about the server. `namespace` is "" for all."""

    kind: Kind | None
    namespace: str
    report: Report


class Watches:
    """Mirrors kinds. `deliver` gets batches as they come, `report` what the user should know, each thing once."""

    def __init__(
        self,
        client: Client,
        kinds: Sequence[Kind],
        namespaces: Sequence[str] = (),
        *,
        deliver: Callable[[Batch], None],
        report: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._deliver = deliver
        self._report = report
        self.reflectors = [
            Reflector(kind, namespace, random.random) for kind in kinds for namespace in places(kind, namespaces)
        ]
        # By kind: places that are not complete yet.
        self._open: dict[str, int] = {}
        for reflector in self.reflectors:
            self._open[reflector.kind.name] = self._open.get(reflector.kind.name, 0) + 1
        self._complete = asyncio.Event()
        self._cut_off: set[Reflector] = set()

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Kinds that are not known as a whole yet."""
        return tuple(kind for kind, places in self._open.items() if places)

    async def synced(self) -> None:
        """Until every kind has been delivered as a whole."""
        await self._complete.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(self._run(reflector))

    async def _run(self, reflector: Reflector) -> None:
        command = self._feed(reflector, Start())
        while True:
            match command:
                case List():
                    command = self._feed(reflector, await self._list(command))
                case Watch():
                    command = await self._watch(reflector, command)
                case Pause():
                    await asyncio.sleep(command.seconds)
                    command = self._feed(reflector, Woken())
                case None:
                    raise RuntimeError(f"the watch of {reflector.kind.name} does not know how to go on")

    async def _list(self, command: List) -> Input:
        try:
            # Whether and when to try again is the reflector's business.
            response = await self._client.request(
                "GET", command.path, params=command.params, timeout=_LIST_TIMEOUT, retries=0
            )
        except (Unreachable, CredentialsError) as error:
            return Lost(str(error))
        return Answered(response.body) if response.failure is None else Refused(response.failure)

    async def _watch(self, reflector: Reflector, command: Watch) -> Command | None:
        try:
            async with self._client.stream(command.path, params=command.params, silence=command.silence) as stream:
                if stream.failure is not None:
                    return self._feed(reflector, Refused(stream.failure))
                following = self._feed(reflector, Opened())
                async for chunk in stream:
                    following = self._feed(reflector, Chunk(chunk))
                    if following is not None:
                        return following
        except (Unreachable, CredentialsError) as error:
            return self._feed(reflector, Lost(str(error)))
        return self._feed(reflector, Ended())

    def _feed(self, reflector: Reflector, event: Input) -> Command | None:
        step = reflector.feed(event, time.monotonic())
        whole = False
        if step.synced:
            self._open[reflector.kind.name] -= 1
            whole = not self._open[reflector.kind.name]
        if step.changes or whole:
            events = list(step.changes.items())
            self._deliver(Batch(reflector.kind, events, step.added, step.updated, step.deleted, whole))
        if whole and not self.waiting_for:
            self._complete.set()
        for report in step.reports:
            self._tell(reflector, report)
        return step.next

    def _tell(self, reflector: Reflector, report: Report) -> None:
        """What is wrong with the server is wrong for every kind, and told for the first."""
        if isinstance(report, Trouble) and report.whole:
            if not self._cut_off:
                self._report(Notice(None, "", report))
            self._cut_off.add(reflector)
            return
        if reflector in self._cut_off:
            self._cut_off.discard(reflector)
            if not self._cut_off:
                self._report(Notice(None, "", Well()))
            if isinstance(report, Well):
                return
        self._report(Notice(reflector.kind, reflector.namespace, report))
