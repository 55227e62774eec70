"""A gateway before the API server that does to requests what a test says: refuse, delay, cut short, hold back."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from tests.cluster.relay import FAREWELL

# What becomes of a request; None: it goes to the server.
Rule = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

_PASSED = ("Authorization", "Accept", "Content-Type", "User-Agent")
_RETURNED = ("Content-Type", "Retry-After", "Warning")


class Gateway:
    """Speaks HTTP to its clients and HTTPS to the server; a thread of its own, in the network of who makes it.

    `rule` sees each request first.
    """

    def __init__(self, server: str, authority: Path) -> None:
        self.rule: Rule | None = None
        self.port = 0
        self._server = server
        self._context = ssl.create_default_context(cafile=str(authority))
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def cut(self) -> None:
        """End all connections, in the middle of whatever they carry."""
        self._loop.call_soon_threadsafe(self._cut)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What the server says over answers that have begun is held back until the block ends; others flow."""
        flows, self._flows = self._flows, asyncio.Event()
        self._flows.set()
        self._loop.call_soon_threadsafe(flows.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(flows.set)

    async def fetch(self, request: web.Request) -> bytes:
        """The server's whole answer to a request."""
        async with self._ask(request, await request.read()) as answer:
            return await answer.read()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()
        asyncio.set_event_loop(None)

    async def _serve(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context), timeout=aiohttp.ClientTimeout(total=None)
        )
        application = web.Application(client_max_size=1 << 24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._started.set()
        await self._stop.wait()
        self._cut()
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(FAREWELL)

    def _cut(self) -> None:
        assert self._runner.server
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        rule = self.rule
        answer = await rule(request) if rule else None
        return await self._forward(request) if answer is None else answer

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body, flows = await request.read(), self._flows
        try:
            async with self._ask(request, body) as answer:
                response = web.StreamResponse(
                    status=answer.status, headers=[(name, answer.headers[name]) for name in _RETURNED if name in answer.headers]
                )  # fmt: skip
                await response.prepare(request)
                try:
                    async for chunk in answer.content.iter_any():
                        await flows.wait()
                        await response.write(chunk)
                finally:
                    # Left in the middle: a farewell in TLS would wait for a server that may be dead.
                    if answer.connection is not None and answer.connection.transport is not None:
                        answer.connection.transport.abort()
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError):
            abort(request)
            return web.Response()

    def _ask(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        return self._session.request(
            request.method, f"{self._server}{request.raw_path}", headers=headers, data=body or None
        )


def abort(request: web.Request) -> None:
    """End the request's connection as a server does that is not there any more."""
    if request.transport is not None:
        request.transport.abort()


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch") == "true"
