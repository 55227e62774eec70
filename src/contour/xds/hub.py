"""The meeting place of one shape: what is published reaches every connected stream at once.

`publish` runs the machine of each stream and leaves the responses in its outbox; nothing is queued besides, so a slow
client costs at most one response for each type.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from math import inf

from contour.envoy.resource import TypeUrl
from contour.xds.counters import Counters
from contour.xds.events import Accepted, Close, Command, Event, Nacked, Published, Refused, Send, Tick
from contour.xds.node import Node
from contour.xds.snapshot import Changes, Snapshot
from contour.xds.stream import Stream, Timing

OnRefused = Callable[[TypeUrl, str, str, str], None]
OnAccepted = Callable[[TypeUrl, str, str], None]


class InvalidRequestError(Exception):
    """The client's request cannot be served; the stream ends with INVALID_ARGUMENT."""


class BrokenError(Exception):
    """There is nothing to serve to a client because of an error here; its call ends with INTERNAL."""


class Hub:
    """`on_refused(type, name, version, text)` is called for each refusal, and by `publish` when a refused version comes
    back; `on_accepted(type, name, version)` when the first Envoy has acknowledged a version.
    """

    def __init__(
        self,
        *,
        on_refused: OnRefused | None = None,
        on_accepted: OnAccepted | None = None,
        timing: Timing | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.snapshot = Snapshot()
        self.counters = counters or Counters()
        self.sessions: set[Session] = set()
        self._on_refused = on_refused
        self._on_accepted = on_accepted
        self._timing = timing
        self._verdicts: list[Refused | Accepted] = []

    @property
    def ready(self) -> bool:
        """Clients are answered; true after the first publish, which has to be complete."""
        return self.snapshot.ready

    def publish(
        self,
        changes: Changes,
        health_holds: Mapping[str, float] | None = None,
        withheld: Iterable[tuple[TypeUrl, str]] = (),
        backends: Mapping[str, bool] | None = None,
    ) -> None:
        """Make these the current resources: per type, those that are new or changed, and names that are gone.

        `health_holds`: seconds that a cluster of this change set, if it is new to an Envoy, needs after its endpoints
        have arrived, because an active health check has to pass first. `withheld`: resources that Envoys go on with as
        they have them, because what they are to be now would be refused. `backends`: hosts of which a route has lost its
        last backend (False), which may be a matter of milliseconds; and those that have all again (True).
        """
        begins = not self.snapshot.ready
        touched = self.snapshot.publish(changes, health_holds, withheld)
        if touched or begins:
            event = Published(touched, backends or {})
            for session in tuple(self.sessions):
                session.feed(event)
        if self._on_refused is not None:
            for type_url, name, version, text in self.snapshot.returned():
                self._on_refused(type_url, name, version, text)

    def open(self, node: Node, *, delta: bool, default_type: TypeUrl | None = None) -> Session:
        """A stream of a client; close it when the client is gone."""
        stream = Stream(self.snapshot, delta=delta, default_type=default_type, envoy=node.is_envoy, timing=self._timing)
        session = Session(self, node, stream)
        self.sessions.add(session)
        self.counters.streams += 1
        self.counters.streams_opened += 1
        return session

    def close(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.discard(session)
            self.counters.streams -= 1
            session.close()

    def verdict(self, command: Refused | Accepted) -> None:
        """Tell the control plane; not at once, as it may publish and a stream is in the middle of an event."""
        if isinstance(command, Refused):
            self.counters.refusals[command.type_url] += 1
        if not self._verdicts:
            asyncio.get_running_loop().call_soon(self._tell)
        self._verdicts.append(command)

    def _tell(self) -> None:
        verdicts, self._verdicts = self._verdicts, []
        for verdict in verdicts:
            if isinstance(verdict, Refused):
                if self._on_refused is not None:
                    self._on_refused(verdict.type_url, verdict.name, verdict.version, verdict.text)
            elif self._on_accepted is not None:
                self._on_accepted(verdict.type_url, verdict.name, verdict.version)


class Session:
    """One connected stream: its machine, its outbox, its timer."""

    def __init__(self, hub: Hub, node: Node, stream: Stream) -> None:
        self.node = node
        self.stream = stream
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[Send | Close] = deque()
        self._filled = asyncio.Event()
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, event: Event) -> None:
        for command in self.stream.feed(event, self._loop.time()):
            self._do(command)
        self._set_timer()

    async def responses(self) -> AsyncIterator[bytes]:
        """Encoded responses as they come, until `end`; raises InvalidRequestError."""
        while True:
            while self._outbox:
                command = self._outbox.popleft()
                if isinstance(command, Close):
                    raise InvalidRequestError(command.message)
                yield command.data
            if self._ended:
                return
            self._filled.clear()
            await self._filled.wait()

    def end(self) -> None:
        """The client has no more to say."""
        self._ended = True
        self._filled.set()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _do(self, command: Command) -> None:
        counters = self._hub.counters
        match command:
            case Send(type_url, _, data, resources):
                counters.messages[type_url] += 1
                counters.resources[type_url] += resources
                counters.bytes[type_url] += len(data)
                self._outbox.append(command)
                self._filled.set()
            case Close():
                self._outbox.append(command)
                self._filled.set()
            case Nacked(type_url):
                counters.nacks[type_url] += 1
            case Refused() | Accepted():
                self._hub.verdict(command)

    def _set_timer(self) -> None:
        wake = self.stream.wake
        if self._timer is not None:
            if self._timer.when() == wake:
                return
            self._timer.cancel()
            self._timer = None
        if wake != inf:
            self._timer = self._loop.call_at(wake, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.feed(Tick())
