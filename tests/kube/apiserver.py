"""A server on loopback that answers as a test says; what it is asked is kept."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from contour.kube.kubeconfig import Configuration, User

Answer = web.StreamResponse | Awaitable[web.StreamResponse]


class Scripted:
    """`script(request)` answers; `asked` has the requests, `bodies` what they carried."""

    def __init__(self, script: Callable[[web.Request], Answer]) -> None:
        self._script = script
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    def configuration(self, user: User | None = None, **fields: Any) -> Configuration:
        return Configuration(origin="test", server=self.url, user=user or User(), **fields)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        answer = self._script(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer


@asynccontextmanager
async def scripted(
    script: Callable[[web.Request], Answer], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    server = Scripted(script)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def refusal(code: int, reason: str, message: str, after: int | None = None) -> web.Response:
    """A Status as Kubernetes answers it."""
    status: dict[str, Any] = {"kind": "Status", "code": code, "reason": reason, "message": message}
    headers = {} if after is None else {"Retry-After": str(after)}
    return web.Response(status=code, text=json.dumps(status), headers=headers, content_type="application/json")


def answers(*given: web.Response) -> Callable[[web.Request], web.Response]:
    """One after the other, the last one again and again."""
    left = list(given)

    def script(_: web.Request) -> web.Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        # A response object is good for one answer only.
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    return script


async def forever() -> None:
    await asyncio.Event().wait()
