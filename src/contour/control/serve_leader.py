"""Which replica writes: an election of one by a Lease, or this one for good (operations.md §9)."""

from __future__ import annotations

import asyncio

from contour.api.meta import ObjectRef
from contour.control.serve_log import Logger
from contour.control.serve_options import Election as Options
from contour.control.serve_status import Statuses
from contour.kube.client import Client
from contour.kube.election import Election, identity
from contour.kube.lease import Acquired, Holder, Lost, News, Trouble, Well
from contour.status.event import Event

_RELEASE = 5.0  # seconds that giving the Lease back may take


class Leadership:
    """`options` None: no election. A leadership that is lost is no end: Envoys are served, and the replica stands again."""

    def __init__(self, client: Client, options: Options | None, statuses: Statuses, log: Logger) -> None:
        self._options = options
        self._statuses = statuses
        self._log = log.bind(context="leader-election")
        self._identity = identity()
        self._election: Election | None = None
        if options is not None:
            self._election = Election(
                client, options.namespace, options.name, identity=self._identity, timing=options.timing, tell=self._tell
            )
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled or given up."""
        if self._election is None:
            self._statuses.lead(True)
            await asyncio.Event().wait()
        else:
            self._running = asyncio.ensure_future(self._election.run())
            try:
                await asyncio.shield(self._running)
            finally:
                self._running.cancel()

    async def give_up(self) -> None:
        """Let another replica lead at once. What is being written is finished before that."""
        await self._statuses.stop()
        if self._election is not None and self._running is not None:
            self._election.stop()
            await asyncio.wait([self._running], timeout=_RELEASE)

    def _tell(self, news: News) -> None:
        match news:
            case Acquired():
                self._log.info("this replica leads", identity=self._identity)
                self._statuses.lead(True)
                self._announce()
            case Lost(reason):
                self._log.warning("this replica leads no more", reason=reason)
                self._statuses.lead(False)
            case Holder(other):
                self._log.info("another replica leads", identity=other)
            case Trouble(text):
                self._log.error(text)
            case Well():
                self._log.info("the Lease can be read and written again")

    def _announce(self) -> None:
        if self._options is not None:
            key = ObjectRef("Lease", self._options.namespace, self._options.name)
            text = f"{self._identity} became leader"
            self._statuses.events.add(Event(key, "", "LeaderElection", text, "Normal"))
