"""The parts that stand around the controller: API server, Envoy, pods, probers, and the controller as a child."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from bench.cluster import workload
from bench.cluster.prober import Prober
from bench.cluster.processes import Window, session_cpu, session_mb
from bench.cluster.wire import Wire
from contour.envoy.bootstrap import Settings, bootstrap
from contour.testing.cluster import Cluster
from contour.testing.envoy import Envoy

XDS_PORT = 8001
HTTP_PORT = 8080  # where Envoy listens unless the controller is told otherwise

OURS = (
    f"{shlex.quote(str(Path(sys.executable).parent / 'contour'))} serve --kubeconfig {{kubeconfig}} --insecure "
    "--xds-address 127.0.0.1 --xds-port {xds_port}"
)

_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # ends when the bench does, however that ends

Shape = Literal["scoped", "classic"]


class Controller:
    """The program that is measured, in a session of its own. Its log goes to a file."""

    def __init__(self, command: str, kubeconfig: Path, directory: Path) -> None:
        self.command = command.format(kubeconfig=kubeconfig, xds_port=XDS_PORT)
        self.log = directory / "controller.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, "the controller was not started"
        return self._process

    def launch(self) -> float:
        """Start without waiting; when that was."""
        # A program that is installed has its bytecode; the first start leaves it for the others.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_WITH_US, *shlex.split(self.command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        return time.monotonic()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self._process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()

    def cpu(self) -> float:
        return session_cpu(self.process.pid)

    def memory(self) -> int:
        return session_mb(self.process.pid)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Rig:
    """Use as a context manager: the calling thread is in the cluster's network for as long."""

    def __init__(self, hosts: int, command: str, shape: Shape, crds: Path | None, directory: Path) -> None:
        self.hosts = hosts
        self.directory = directory
        self._command = command
        self._shape = shape
        self._crds = crds
        self._marks = 1
        self._numbers = hosts - 1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cluster = stack.enter_context(Cluster(crds=self._crds is None, fairness=False))
            stack.enter_context(self.cluster.network.entered())
            with self.cluster.api() as api:
                api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "projectcontour"}})
                if self._crds:
                    api.apply(self._crds.read_text(encoding="utf-8"))
            self._backend = subprocess.Popen(
                [*_WITH_US, sys.executable, "-m", "bench.cluster.backend"],
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert self._backend.stdout
            stack.callback(self._backend.stdout.close)
            stack.callback(self._backend.wait)
            stack.callback(self._backend.terminate)
            self._backend.stdout.readline()
            self.prober, self.loader = Prober(HTTP_PORT), Prober(HTTP_PORT)
            stack.callback(self.prober.stop)
            stack.callback(self.loader.stop)
            self.wire = stack.enter_context(Wire(self.cluster.kubeconfig))
            for path, body in workload.namespaces():
                self.wire.post(path, body)
            self.controller = Controller(self._command, self.cluster.kubeconfig, self.directory)
            stack.callback(self.controller.stop)
            self.envoy = self.new_envoy()
            stack.callback(self._stop_envoy)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _stop_envoy(self) -> None:
        self.envoy.stop()  # the one that is there then

    def new_envoy(self) -> Envoy:
        """An Envoy that knows nothing yet; not started."""
        settings = Settings(shape=self._shape, admin_address=f"{self.directory}/admin.sock", xds_port=XDS_PORT)
        arguments = ("--service-cluster", "bench", "--service-node", "bench")
        return Envoy(bootstrap(settings), directory=self.directory, concurrency=2, arguments=arguments)

    def window(self) -> Window:
        named = {
            "controller": self.controller.process.pid,
            "envoy": self.envoy.process.pid,
            "apiserver": self.cluster.apiserver.pid,
            "etcd": self.cluster.etcd.pid,
            "prober": self.prober.pid,
            "load": self.loader.pid,
            "backend": self._backend.pid,
            "bench": os.getpid(),
        }
        return Window(named)

    def memory(self) -> dict[str, int]:
        return {"controller": self.controller.memory(), "envoy": self.envoy.memory() // 1_000_000}

    def mark(self) -> str:
        """A header value that was never used."""
        self._marks += 1
        return str(self._marks)

    def number(self, *, beside: int | None = None) -> int:
        """A host that was never there; in the namespace of the host `beside`."""
        self._numbers += 1
        if beside is not None:
            self._numbers += (beside - self._numbers) % workload.TEAMS
        return self._numbers

    def updates(self) -> int:
        """How often Envoy was told something, by its own count: taken or refused, of each subscription."""
        return sum(self.envoy.stats("update_(success|rejected)$").values())

    def sent(self) -> dict[str, int]:
        """What the controller has sent to Envoy: TCP segments with data, and bytes, of all connections."""
        text = subprocess.run(
            ["ss", "-tniH", f"sport = :{XDS_PORT}"], capture_output=True, text=True, check=True
        ).stdout
        totals: dict[str, Any] = {"data_segs_out": 0, "bytes_sent": 0}
        for word in text.split():
            name, _, value = word.partition(":")
            if name in totals:
                totals[name] += int(value)
        return totals
