"""A client of ours that mirrors kinds of the test cluster, and what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from tests.cluster.relay import FAREWELL

from contour.api.meta import Object, ObjectRef
from contour.kube.client import Client
from contour.kube.config import load
from contour.kube.kinds import Kind
from contour.kube.watch import Batch, Notice, Watches


class Mirror:
    def __init__(self, client: Client, kinds: Sequence[Kind], namespaces: Sequence[str]) -> None:
        self.objects: dict[ObjectRef, Object] = {}
        self.batches: list[Batch] = []
        self.notices: list[Notice] = []
        self._changed = asyncio.Event()
        self.watches = Watches(client, kinds, namespaces, deliver=self._take, report=self._hear)

    async def until(self, holds: Callable[[], object], seconds: float = 20) -> None:
        """Checked after each batch and each notice."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def names(self, kind: str = "Service") -> set[str]:
        return {f"{key.namespace}/{key.name}" for key in self.objects if key.kind == kind}

    def versions(self, kind: str = "Service") -> dict[str, str]:
        return {
            f"{key.namespace}/{key.name}": value.metadata.resource_version
            for key, value in self.objects.items()
            if key.kind == kind
        }

    def _take(self, batch: Batch) -> None:
        self.batches.append(batch)
        for key, value in batch.events:
            if value is None:
                self.objects.pop(key, None)
            else:
                self.objects[key] = value
        self._changed.set()

    def _hear(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._changed.set()


@asynccontextmanager
async def mirror(
    kubeconfig: Path, kinds: Sequence[Kind], namespaces: Sequence[str] = (), *, port: int | None = None
) -> AsyncIterator[Mirror]:
    """`port`: that of a relay before the server."""
    configuration = load(kubeconfig)
    if port is not None:
        configuration = msgspec.structs.replace(configuration, server=f"https://127.0.0.1:{port}")
    async with Client(configuration) as client:
        made = Mirror(client, kinds, namespaces)
        task = asyncio.create_task(made.watches.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(FAREWELL)
