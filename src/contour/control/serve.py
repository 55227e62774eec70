"""`contour serve`: a Kubernetes cluster in, its Envoys out, status back. The wiring of that mode, nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import msgspec

from contour.api.meta import Object, ObjectRef, Ref
from contour.control import ports
from contour.control.garbage import survivors_frozen
from contour.control.health import Pages
from contour.control.loop import Loop
from contour.control.metrics import Metrics
from contour.control.pipeline import Pipeline
from contour.control.serve_leader import Leadership
from contour.control.serve_log import Logger, Streams
from contour.control.serve_options import Options
from contour.control.serve_status import Statuses
from contour.control.settings import Endpoint, Settings, extension_missing
from contour.control.stopping import signals, until
from contour.kube import config
from contour.kube.client import Client, CredentialsError, Unreachable
from contour.kube.events import Trouble, Unread, Well
from contour.kube.kinds import wanted
from contour.kube.kubeconfig import ConfigurationError
from contour.kube.watch import Batch, Notice, Watches
from contour.reactive import ChangeSet
from contour.status import unsupported
from contour.status.writer import Limit
from contour.xds.credentials import CredentialsError as FilesError
from contour.xds.credentials import Files, mutual_tls, read
from contour.xds.server import Server

_CHECK_TIMEOUT = 5.0
_FLAGS = "--contour-cert-file, --contour-key-file, --contour-cafile"
_INSTALL = ": install the CRDs, as in examples/contour/01-crds.yaml"
_NO_LIMIT = 1e6  # writes a second: nobody gets so far, whatever was asked for
# A scrape formats in a thread: what Envoys are told waits for the interpreter no longer than this.
_SWITCH_INTERVAL = 0.0005


class ServeError(Exception):
    """It cannot begin, or go on; the text is for the log."""


async def serve(options: Options, log: Logger) -> None:
    """Serve until a signal. Raises ServeError."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    settings = options.settings
    try:
        with signals() as stop, survivors_frozen():
            credentials = _credentials(settings, log)
            client = _client(settings)
            try:
                await _Serve(options, client, credentials, log).run(stop)
            finally:
                await client.close()
    except (ConfigurationError, CredentialsError, FilesError, ports.PortError) as error:
        raise ServeError(str(error)) from error


class _Serve:
    def __init__(
        self, options: Options, client: Client, credentials: grpc.ServerCredentials | None, log: Logger
    ) -> None:
        self._options = options
        self._settings = options.settings
        self._client = client
        self._credentials = credentials
        self._log = log
        self._pipeline = Pipeline(self._settings)
        self._unsupported = unsupported.attach(self._pipeline.engine, self._pipeline.store)
        self._statuses = Statuses(client, self._pipeline, _limit(self._settings), _warn(log, "status"))
        self._loop = Loop(self._pipeline, committed=self._committed, refused=self._refused, report=_warn(log, "build"))
        name = options.election.name if options.election else "disabled"
        self._metrics = Metrics(self._loop, self._statuses, client, name)
        self._pages = Pages(self._check, self._metrics.exposition)
        self._server = Server(self._loop.hub_of, Streams(log) if self._settings.debug else None)
        self._leadership = Leadership(client, options.election, self._statuses, log)
        self._built = asyncio.Event()
        self._missing: frozenset[Ref] = frozenset()
        self._first: dict[ObjectRef, Object] | None = {}  # until everything has been read
        self._watches = Watches(
            client,
            wanted(options.disabled),
            self._settings.watch_namespaces,
            deliver=self._deliver,
            report=self._notice,
        )

    async def run(self, stop: asyncio.Event) -> None:
        xds, health, metrics = self._settings.xds, self._settings.health, self._settings.metrics
        listens = [
            ports.Wanted(xds.address, xds.port, "--xds-port"),
            ports.Wanted(metrics.address, metrics.port, "--http-port (or metrics.contour.port)"),
            ports.Wanted(health.address, health.port, "--health-port"),
        ]
        ports.check(listens[:2] if listens[1][:2] == listens[2][:2] else listens)
        _check_metrics_files(metrics)
        try:
            try:
                await self._pages.start(health, metrics)
            except OSError as error:
                raise ServeError(f"cannot serve metrics and health: {error}") from error
            await until(self._end(stop), self._watch(), self._loop.run(), self._serve_xds(), self._lead())
        finally:
            await self._statuses.stop()
            await self._server.stop()
            await self._pages.stop()
            self._log.info("stopped")

    # --- what the API server says -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Credentials that are wrong from the beginning are a mistake; later they may come again."""
        await self._client.authenticate()
        await self._watches.run()

    def _deliver(self, batch: Batch) -> None:
        """Nothing is built before everything has been read: half a cluster is no configuration.

        That may take as long as nobody installs a CRD or grants a right, while the rest changes.
        """
        self._metrics.count(batch)
        if self._first is None:
            self._loop.submit(batch.events)
            return
        for key, value in batch.events:
            if value is None:
                self._first.pop(key, None)
            else:
                self._first[key] = value
        if not self._watches.waiting_for:
            self._log.info("everything has been read", objects=len(self._first), context="kubernetes")
            first, self._first = self._first, None
            for namespace in sorted(
                set(self._settings.watch_namespaces) - {key.namespace for key, value in first.items() if value}
            ):
                self._log.warning(f"--watch-namespaces: nothing is in namespace {namespace}: does it exist?")
            self._loop.submit(first.items())

    def _notice(self, notice: Notice) -> None:
        tell = self._log.bind(context="kubernetes")
        where = {"namespace": notice.namespace} if notice.namespace else {}
        what = f"{notice.kind.plural}: " if notice.kind else ""
        match notice.report:
            case Trouble(text, absent):
                ours = notice.kind is not None and "projectcontour" in notice.kind.type.api_version
                tell.error(f"{what}{text}{_INSTALL if absent and ours else ''}", **where)
            case Well():
                tell.info(f"{what}read again", **where)
            case Unread(key, text):
                tell.error(f"{key.kind} {key.namespace}/{key.name} is left as it was: {text}")

    # --- what comes of it -------------------------------------------------------------------------------------------

    def _committed(self, changes: ChangeSet) -> None:
        self._built.set()
        missing = self._pipeline.missing_extensions()
        for ref in sorted(missing - self._missing):
            self._log.error(extension_missing(ref), context="configuration")
        self._missing = missing
        for key, texts in changes[self._unsupported].set.items():
            for text in texts:
                self._log.error(f"{key.kind} {key.namespace}/{key.name}: {text}", context="kubernetes")
        self._statuses.committed(changes)

    def _refused(self, key: ObjectRef, text: str) -> None:
        self._log.error(f"Envoy refuses {key.kind} {key.namespace}/{key.name}: {text}", context="xds")

    async def _serve_xds(self) -> None:
        """The port opens when there is something to tell: it is what readiness is asked of (operations.md §4.6)."""
        await self._built.wait()
        at = self._settings.xds
        host = f"[{at.address}]" if ":" in at.address else at.address
        try:
            port = self._server.listen(f"{host}:{at.port}", self._credentials)
        except RuntimeError as error:
            raise ServeError(f"cannot listen on {host}:{at.port} (--xds-address, --xds-port): {error}") from error
        await self._server.start()
        self._log.info("serving xDS", address=f"{host}:{port}", tls=self._credentials is not None)
        await asyncio.Event().wait()

    async def _lead(self) -> None:
        """Who has nothing to write yet does not stand."""
        await self._built.wait()
        await self._leadership.run()

    async def _end(self, stop: asyncio.Event) -> None:
        """Envoys are served until the Lease is free for another replica."""
        await stop.wait()
        self._log.info("stopping")
        await self._leadership.give_up()

    async def _check(self) -> str | None:
        try:
            response = await self._client.request("GET", "/version", timeout=_CHECK_TIMEOUT, retries=0)
        except (Unreachable, CredentialsError) as error:
            return str(error)
        return str(response.failure) if response.failure else None


def _client(settings: Settings) -> Client:
    client = settings.client
    path = Path(client.kubeconfig) if client.kubeconfig else None
    return Client(config.load(path, in_cluster=client.incluster))


def _limit(settings: Settings) -> Limit:
    """`--kubernetes-client-qps` and `-burst` are about writes, and nearly all of those are statuses."""
    limit, client = Limit(), settings.client
    if client.qps > 0:
        rate = min(client.qps, _NO_LIMIT)
        limit = msgspec.structs.replace(limit, rate=rate, burst=max(1, client.burst or int(rate)))
    elif client.burst > 0:
        limit = msgspec.structs.replace(limit, burst=client.burst)
    return limit


def _credentials(settings: Settings, log: Logger) -> grpc.ServerCredentials | None:
    if settings.xds_insecure:
        log.warning("xDS is served without TLS: whoever reaches the port reads all private keys", context="xds")
        return None
    at = settings.xds
    loop = asyncio.get_running_loop()

    def on_error(error: FilesError) -> None:
        """From a thread of gRPC."""
        loop.call_soon_threadsafe(_warn(log, "xds"), f"the last good certificates stay in use: {error}")

    try:
        return mutual_tls(Files(Path(at.cert_file), Path(at.key_file), Path(at.ca_file)), on_error)
    except FilesError as error:
        raise ServeError(f"xDS is served with TLS ({_FLAGS}; or with --insecure, without): {error}") from error


def _check_metrics_files(at: Endpoint) -> None:
    if not at.cert_file:
        return
    try:
        read(Files(Path(at.cert_file), Path(at.key_file), Path(at.ca_file) if at.ca_file else None))
    except FilesError as error:
        raise ServeError(f"metrics are served with TLS (metrics.contour): {error}") from error


def _warn(log: Logger, context: str) -> Callable[[str], None]:
    def warn(text: str) -> None:
        log.warning(text, context=context)

    return warn
