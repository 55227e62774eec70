"""The shell of the reflectors against a server on loopback; what only a real API server can show is in tests/cluster."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Self

from aiohttp import web
from tests.kube.apiserver import Scripted, forever, refusal, scripted

from contour.kube.client import Client
from contour.kube.events import Trouble, Well
from contour.kube.kinds import BY_NAME, Kind
from contour.kube.watch import Batch, Notice, Watches

SERVICES, PROXIES = BY_NAME["Service"], BY_NAME["HTTPProxy"]


def page(*names: str, version: int = 1) -> web.Response:
    items = [{"metadata": {"name": name, "namespace": "ns", "resourceVersion": "1"}} for name in names]
    return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": items})


async def quiet(request: web.Request) -> web.StreamResponse:
    """A watch in which nothing happens."""
    response = web.StreamResponse()
    await response.prepare(request)
    await forever()
    return response


class Watching:
    def __init__(self, server: Scripted, *kinds: Kind) -> None:
        self.batches: list[Batch] = []
        self.notices: list[Notice] = []
        self.client = Client(server.configuration())
        self.watches = Watches(self.client, kinds, deliver=self.batches.append, report=self.notices.append)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.watches.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()


async def test_a_server_that_asks_for_patience_gets_it():
    busy = [1, 1]

    def script(request: web.Request):
        if "watch" in request.query:
            return quiet(request)
        if busy:
            busy.pop()
            return refusal(429, "TooManyRequests", "later", after=1)
        return page("a")

    started = time.monotonic()
    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
    assert time.monotonic() - started >= 2
    assert found.notices == []
    assert len(server.asked) >= 3


async def test_what_is_wrong_with_the_server_is_told_once_for_all_kinds():
    broken = [True]

    def script(request: web.Request):
        if broken:
            request.transport.abort()
        return quiet(request) if "watch" in request.query else page()

    async with scripted(script) as server, Watching(server, SERVICES, PROXIES) as found:
        while len(server.asked) < 6:  # noqa: ASYNC110  # both kinds have tried several times
            await asyncio.sleep(0.02)
        broken.clear()
        await asyncio.wait_for(found.watches.synced(), 10)
    assert [(notice.kind, type(notice.report)) for notice in found.notices] == [(None, Trouble), (None, Well)]


async def test_events_of_one_read_are_one_batch():
    def event(name: str) -> bytes:
        meta = {"name": name, "namespace": "ns", "resourceVersion": "9"}
        return json.dumps({"type": "ADDED", "object": {"metadata": meta}}).encode() + b"\n"

    async def telling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(event("b") + event("c") + event("d"))
        await forever()
        return response

    def script(request: web.Request):
        return telling(request) if "watch" in request.query else page("a")

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        while len(found.batches) < 2:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    first, second = found.batches
    assert ([key.name for key, _ in first.events], first.synced) == (["a"], True)
    assert ([key.name for key, _ in second.events], second.synced, second.added) == (["b", "c", "d"], False, 3)
