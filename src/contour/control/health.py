"""The listeners for metrics and health (operations.md §8.3): `/metrics`, `/health`, `/healthz`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from contour.control.settings import Endpoint

_MAX_HEADER = 2048
_GRACE = 5.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LOG = logging.getLogger("contour.pages")
# What is no request is answered with 400: whoever reaches the port shall not write the log.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

# Raises nothing: the reason why Kubernetes cannot be asked, or None.
Check = Callable[[], Awaitable[str | None]]


class Pages:
    """`check` is asked for each health request, `exposition` for each scrape, in a thread of its own."""

    def __init__(self, check: Check, exposition: Callable[[], bytes]) -> None:
        self._check = check
        self._exposition = exposition
        self._runners: list[web.AppRunner] = []

    async def start(self, health: Endpoint, metrics: Endpoint) -> None:
        """Listen; both on one listener if address and port are the same. Raises OSError (of `ssl` too)."""
        both = (health.address, health.port) == (metrics.address, metrics.port)
        await self._listen(metrics, metrics=True, health=both)
        if not both:
            await self._listen(health, metrics=False, health=True)

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, at: Endpoint, *, metrics: bool, health: bool) -> None:
        app = web.Application()
        if metrics:
            app.router.add_get("/metrics", self._metrics)
        if health:
            app.router.add_get("/health", self._health)
            app.router.add_get("/healthz", self._health)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOG,
            handle_signals=False,
            shutdown_timeout=_GRACE,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, at.address, at.port, ssl_context=_tls(at), reuse_port=False).start()

    async def _health(self, _: web.Request) -> web.Response:
        error = await self._check()
        if error is not None:
            return web.Response(status=503, text=f"Failed Kubernetes Check: {error}\n")
        return web.Response(text="OK\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        data = await asyncio.to_thread(self._exposition)
        return web.Response(body=data, headers={"Content-Type": _METRICS_TYPE})


def _tls(at: Endpoint) -> ssl.SSLContext | None:
    """TLS 1.3, and clients with a certificate if there is an authority; each handshake sees the files as they are."""
    if not at.cert_file:
        return None

    def load() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(at.cert_file, at.key_file)
        if at.ca_file:
            context.load_verify_locations(at.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def on_handshake(connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext) -> int | None:
        try:
            connection.context = load()
        except OSError:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None

    context = load()
    context.sni_callback = on_handshake
    return context
