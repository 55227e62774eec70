"""`contour serve` as a child process: started where the caller is (a network of a test), listened to, ended."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.testing.envoy import Envoy, free_port

_PROGRAM = (sys.executable, "-c", "from contour.cli import main; main()")
_SERVES = re.compile(r'msg="serving xDS"')


class ServeError(Exception):
    """`contour serve` ended or said nothing in time; the text holds what it said."""


class Serving:
    """One replica, on ports of its own, without TLS unless flags say otherwise. `lines` is its log."""

    def __init__(self, kubeconfig: Path, *flags: str, xds_port: int = 0) -> None:
        self.xds_port, self.http_port = xds_port or free_port(), free_port()
        secure = any(flag.startswith("--contour-cafile") for flag in flags)
        self.arguments = [
            "serve", f"--kubeconfig={kubeconfig}", f"--xds-port={self.xds_port}", f"--http-port={self.http_port}",
            f"--health-port={self.http_port}", "--http-address=127.0.0.1", "--health-address=127.0.0.1",
            *([] if secure else ["--insecure"]), *flags,
        ]  # fmt: skip
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def start(self, timeout: float = 30) -> Self:
        """Start and wait until Envoys are served."""
        self.launch()
        self.wait_for(_SERVES, timeout)
        return self

    def launch(self) -> None:
        """Start without waiting; killed when the thread that calls this ends."""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *_PROGRAM, *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def process(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ServeError("contour serve was not started")
        return self._process

    def wait_for(self, pattern: str | re.Pattern[str], timeout: float = 10, *, since: int = 0) -> str:
        """The first line, from number `since` on, in which the pattern is found."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in self.lines[since:]:
                    if re.search(pattern, line):
                        return line
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    what = "contour serve ended" if self._ended else f"not said in {timeout} s: {pattern}"
                    raise ServeError("\n".join([what, *self.lines]))
                self._news.wait(left)

    def metrics(self) -> dict[str, float]:
        """Series by their text, such as `contour_dag_cache_object{kind="Secret"}`."""
        series = (line.rpartition(" ") for line in self.page("/metrics").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in series}

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def envoy(self, *others: Serving, **settings: Any) -> Envoy:
        """An Envoy that this replica is to serve, or one of the others; `settings` of its bootstrap."""
        config = dict(bootstrap(BootstrapSettings(xds_port=self.xds_port, **settings)))
        del config["admin"]
        (locality,) = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
        for other in others:
            (endpoint,) = bootstrap(BootstrapSettings(xds_port=other.xds_port, **settings))["static_resources"][
                "clusters"
            ][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
            locality["lb_endpoints"].append(endpoint)
        return Envoy(config, arguments=("--service-cluster", "test", "--service-node", f"test-{self.xds_port}"))

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def stop(self, number: int = signal.SIGTERM, timeout: float = 15) -> int:
        """End it with a signal, if it has not ended; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 15) -> int:
        """Its exit status when it has ended by itself; it is killed if it does not."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join()
        return status

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            if self._process is not None:
                self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            with process.stdout as output:
                for line in output:
                    with self._news:
                        self.lines.append(line.rstrip("\n"))
                        self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
