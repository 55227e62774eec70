"""Takes part in an election until told to stop, and gives the Lease back then."""

from __future__ import annotations

import asyncio
import random
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from contour.kube import lease
from contour.kube.answers import Response
from contour.kube.client import Client, CredentialsError, Unreachable
from contour.kube.lease import (
    Conflict,
    Create,
    Done,
    Failed,
    Found,
    Input,
    News,
    Pause,
    Read,
    Record,
    Start,
    Step,
    Stop,
    Timing,
    Update,
    Woken,
    Written,
)

# A clock that nobody sets and that goes on while the machine is suspended, where there is one.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class _Lease(msgspec.Struct, frozen=True):
    spec: Record = Record()


def identity() -> str:
    """`<hostname>_<uuid>`: a process of its own, also after a restart."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class Election:
    """One replica's candidacy for the Lease `namespace`/`name`; raises TimingError.

    `tell` gets what is new, in the order in which it happens: `Acquired`, `Lost`, `Holder`, `Trouble`, `Well`.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        *,
        identity: str,
        timing: Timing | None = None,
        tell: Callable[[News], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._machine = lease.Election(identity, timing or Timing(), random.random)
        self._name = f"Lease {namespace}/{name}"
        self._tell = tell
        # The whole object as it was read or written last: what others keep in it stays.
        self._object: dict[str, Any] = {}
        self._blank = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
        }
        self._stop = asyncio.Event()

    @property
    def leading(self) -> bool:
        """Also right when this process was stopped for a while and has not noticed yet."""
        return self._machine.leading and _now() < self._machine.until

    def stop(self) -> None:
        """Ask `run` to give the Lease back and to return."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`. When cancelled, nothing is given back: the Lease ends by itself."""
        step = self._feed(Start())
        while not isinstance(step.next, Done):
            match step.next:
                case Pause(seconds):
                    step = self._feed(await self._pause(seconds))
                case Read() | Create() | Update():
                    answer = await self._exchange(step.next)
                    if self._stop.is_set():
                        self._feed(Stop())
                    step = self._feed(answer)
                case _:
                    raise RuntimeError("the election does not know how to go on")

    async def _pause(self, seconds: float) -> Input:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return Stop() if self._stop.is_set() else Woken()

    async def _exchange(self, command: Read | Create | Update) -> Input:
        try:
            # The limit holds for the answer as a whole, credentials and server's Retry-After included.
            async with asyncio.timeout(command.timeout):
                return await self._send(command)
        except TimeoutError:
            return Failed(f"{self._name}: the API server did not answer for {command.timeout:.1f} s")
        except (Unreachable, CredentialsError) as error:
            return Failed(f"{self._name}: {error}")

    async def _send(self, command: Read | Create | Update) -> Input:
        match command:
            case Read():
                response = await self._client.request("GET", self._path)
                if response.status == 404:
                    return Found(None)
                return self._keep(response) if response.ok else Failed(f"{self._name}: {response.failure}")
            case Create():
                body = msgspec.json.encode({**self._blank, "spec": command.record})
                response = await self._client.request("POST", self._collection, body=body)
                conflicts = {409}
            case Update():
                body = msgspec.json.encode({**self._object, "spec": command.record})
                response = await self._client.request("PUT", self._path, body=body)
                conflicts = {404, 409}
        if response.ok:
            kept = self._keep(response)
            return kept if isinstance(kept, Failed) else Written()
        return Conflict() if response.status in conflicts else Failed(f"{self._name}: {response.failure}")

    def _keep(self, response: Response) -> Input:
        try:
            found = msgspec.json.decode(response.body, type=_Lease)
            self._object = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Failed(f"{self._name}: not a Lease: {error}")
        return Found(found.spec)

    def _feed(self, event: Input) -> Step:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        step = self._machine.feed(event, _now(), stamp)
        for news in step.news:
            self._tell(news)
        return step


def _now() -> float:
    return time.clock_gettime(_CLOCK)
