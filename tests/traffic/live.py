"""A whole program but for its sources: objects in, a real Envoy on delta ADS out, edits while it serves."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.dag.world import Mapping
from tests.envoy.site import ANY_PORT, LOCAL, QUIET

from contour.api.decode import decode
from contour.api.meta import ObjectRef
from contour.control.loop import Loop
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy import bootstrap
from contour.envoy.options import Options
from contour.testing.clients import Address
from contour.testing.envoy import Envoy
from contour.xds.server import Server


class Live:
    """Serves from a Unix socket in a thread of its own; `envoy` is LIVE with `objects` once it is entered."""

    def __init__(self, *objects: Mapping) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="live-")
        self._objects = objects
        self._event_loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._event_loop.run_forever, daemon=True)
        self.refusals: list[str] = []
        settings = Settings(graph=GraphOptions(loopback_endpoints=True), envoy=Options(**LOCAL, **ANY_PORT, **QUIET))
        self.pipeline = Pipeline(settings)
        path = Path(self._directory.name)
        self._socket = str(path / "xds.sock")
        config = bootstrap.bootstrap(
            bootstrap.Settings(xds_socket=self._socket, admin_address=str(path / "admin.sock"))
        )
        flags = ("--service-node", "test", "--service-cluster", "test", "--drain-time-s", "60")
        self.envoy = Envoy(config, directory=path, arguments=flags)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._serve())
        self.apply(*self._objects)
        self.envoy.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.envoy.stop()
        self._run(self._stop())
        self._event_loop.call_soon_threadsafe(self._event_loop.stop)
        self._thread.join()
        self._event_loop.close()
        self._directory.cleanup()

    def apply(self, *objects: Mapping) -> None:
        decoded = [decode(one) for one in objects]
        events = [(ObjectRef(one.kind, *one.ref), one) for one in decoded]
        self._event_loop.call_soon_threadsafe(self._loop.submit, events)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self._event_loop.call_soon_threadsafe(self._loop.submit, [(ObjectRef(kind, namespace, name), None)])

    @property
    def http(self) -> Address:
        return self.envoy.address("ingress_http")

    @property
    def https(self) -> Address:
        return self.envoy.address("ingress_https")

    def listener_updates(self) -> int:
        counters = self.envoy.stats("listener_manager.listener_(added|modified|in_place_updated|removed)")
        return sum(counters.values())

    async def _serve(self) -> None:
        self._loop = Loop(self.pipeline, report=self.refusals.append)
        self._server = Server(self._loop.hub_of)
        self._server.listen(f"unix:{self._socket}", None)
        await self._server.start()
        self._task = asyncio.create_task(self._loop.run())

    async def _stop(self) -> None:
        await self._server.stop()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _run(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._event_loop).result(20)  # type: ignore[arg-type]


def until(condition: Callable[[], bool], timeout: float = 15) -> float:
    """Poll the data path until it answers so; the seconds it took. Envoy tells nobody when it has changed."""
    start = time.monotonic()
    while not _holds(condition):
        assert time.monotonic() < start + timeout, "not within the time limit"
        time.sleep(0.005)
    return time.monotonic() - start


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (OSError, KeyError):
        return False
