"""`contour run`: a watched folder in, an Envoy of its own serving out. The wiring of that mode, nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from contour.api.meta import Ref
from contour.control import ports
from contour.control.directory import run_directory
from contour.control.display import Display, display
from contour.control.garbage import survivors_frozen
from contour.control.loop import Loop
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings, extension_missing
from contour.control.stopping import signals, until
from contour.control.supervisor import Supervisor, find_envoy
from contour.control.table import Hosts
from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.envoy.options import Options as EnvoyOptions
from contour.manifests.folder import Folder
from contour.manifests.watch import check, watch
from contour.reactive import ChangeSet
from contour.xds.server import Server

LOOPBACK = "127.0.0.1"

_READY_POLL = 0.01
# Flags that are called otherwise than what they set.
_FLAGS = {"envoy_http_access_log": "http_access_log", "envoy_https_access_log": "https_access_log"}
# While a thread parses a large file, each system call of another one waits this long for the interpreter: with
# Python's 5 ms a small file, which takes some 20 such calls until it is live, would wait for the large one after all.
_SWITCH_INTERVAL = 0.0005


class Options(msgspec.Struct, frozen=True):
    """`given`: names of the flags that the user gave; the others get the defaults of this mode."""

    folder: Path
    settings: Settings
    envoy: str | None = None
    given: frozenset[str] = frozenset()


async def run(options: Options) -> None:
    """Serve until a signal. Raises FolderError, PortError, EnvoyNotFoundError, EnvoyFailedError."""
    check(options.folder)
    binary = find_envoy(options.envoy)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with signals() as stop, run_directory() as directory, survivors_frozen():
        settings = _settings(options, directory)
        envoy = settings.envoy
        ports.check(
            [
                ports.Wanted(envoy.http_address, envoy.http_port, "--envoy-service-http-port"),
                ports.Wanted(envoy.https_address, envoy.https_port, "--envoy-service-https-port"),
                ports.Wanted(envoy.stats_address, envoy.stats_port, "--stats-port"),
            ]
        )
        await _Run(options.folder, settings, directory, binary).run(stop)


class _Run:
    def __init__(self, folder: Path, settings: Settings, directory: Path, binary: str) -> None:
        self._folder = folder
        self._settings = settings
        self._directory = directory
        self._socket = f"unix:{directory}/xds.sock"
        self._state = Folder()
        self._pipeline = Pipeline(settings)
        self._hosts = Hosts(self._pipeline)
        self._missing: frozenset[Ref] = frozenset()
        self._display: Display = display(self._hosts)
        self._loop = Loop(self._pipeline, committed=self._committed, report=self._display.note)
        self._starts = asyncio.Event()
        self._supervisor = Supervisor(
            _command(binary, directory), directory / "envoy.log", report=self._display.note, started=self._starts.set
        )

    async def run(self, stop: asyncio.Event) -> None:
        server = Server(self._loop.hub_of)
        server.listen(self._socket, None)
        try:
            await server.start()
            (self._directory / "envoy.json").write_text(json.dumps(_bootstrap(self._directory)))
            await until(stop.wait(), self._source(), self._loop.run(), self._supervisor.run(), self._readiness())
        finally:
            await server.stop()
            self._display.close()

    async def _source(self) -> None:
        async for batch in watch(self._folder, self._state):
            self._loop.submit((change.key, change.value) for change in batch.changes)
            if batch.notice:
                self._display.note(batch.notice)
            self._display.problems(self._state.problems())

    def _committed(self, changes: ChangeSet) -> None:
        self._display.show(*self._hosts.update(changes))
        missing = self._pipeline.missing_extensions()
        for ref in sorted(missing - self._missing):
            self._display.note(extension_missing(ref))
        self._missing = missing

    async def _readiness(self) -> None:
        """Tell where Envoy serves, each time that it does."""
        envoy = self._settings.envoy
        while True:
            await self._starts.wait()
            self._starts.clear()
            while not await _ready(self._directory / "admin.sock"):  # noqa: ASYNC110  # Envoy tells nobody
                await asyncio.sleep(_READY_POLL)
            self._supervisor.served = True
            http = _url("http", envoy.http_address, envoy.http_port)
            https = _url("https", envoy.https_address, envoy.https_port)
            stats = _url("http", envoy.stats_address, envoy.stats_port)
            self._display.note(f"serving {self._folder} on {http} and {https}; statistics on {stats}/stats")
            self._display.note(f"configuration, in the classic shape: contour cli lds --contour {self._socket}")
            self._display.note(f"logs, until this ends: {self._directory}")


def _settings(options: Options, directory: Path) -> Settings:
    """The defaults of this mode: nothing that a second run beside this one would want too, unless it is given."""
    envoy, usual = options.settings.envoy, EnvoyOptions()
    defaults: dict[str, Any] = {
        "http_access_log": str(directory / "access-http.log"),
        "https_access_log": str(directory / "access-https.log"),
        "stats_address": LOOPBACK,
        "stats_port": ports.free,
        "admin_port": 0,
    }
    given = {_FLAGS.get(name, name) for name in options.given}
    changes = {
        name: value(LOOPBACK) if callable(value) else value
        for name, value in defaults.items()
        if name not in given and getattr(envoy, name) == getattr(usual, name)
    }
    if envoy.health is not None:  # readiness is told elsewhere: there, too
        address, port = envoy.health
        changes["health"] = (
            address if "stats_address" in given else LOOPBACK,
            port if "stats_port" in given else ports.free(LOOPBACK),
        )
    graph = msgspec.structs.replace(options.settings.graph, loopback_endpoints=True)
    return msgspec.structs.replace(options.settings, envoy=msgspec.structs.replace(envoy, **changes), graph=graph)


def _bootstrap(directory: Path) -> Mapping[str, Any]:
    return bootstrap(
        BootstrapSettings(admin_address=str(directory / "admin.sock"), xds_socket=str(directory / "xds.sock"))
    )


def _command(binary: str, directory: Path) -> list[str]:
    """Without hot restart two Envoys on one machine share nothing, so that no base id can collide."""
    return [
        binary, "-c", str(directory / "envoy.json"), "-l", "warning", "--disable-hot-restart",
        "--service-cluster", "projectcontour", "--service-node", f"contour-run-{os.getpid()}",
    ]  # fmt: skip


async def _ready(socket: Path) -> bool:
    """Whether Envoy has all of its first configuration and serves."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"GET /ready HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    except OSError:
        return False
    finally:
        writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def _url(scheme: str, address: str, port: int) -> str:
    """As a user would type it."""
    host = "localhost" if address in ("0.0.0.0", "::", LOOPBACK, "::1") else address
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
