"""One server of the cluster as a child process: ended by force, held up, started again on the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from contour.testing.cluster.network import Network

_POLL = 0.02  # neither etcd nor the API server tells anybody when it is ready


class ServerError(Exception):
    """A server ended or did not get ready; the text holds the end of its log."""


class Server:
    """`ready` is asked, inside the network, until it says yes; it may raise OSError."""

    def __init__(
        self, name: str, command: list[str], *, network: Network, log: Path, ready: Callable[[], bool]
    ) -> None:
        self.name = name
        self._command = command
        self._network = network
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def launch(self) -> None:
        """Start without waiting. It is killed when the thread that calls this ends: nothing outlives a killed test."""
        with self._log.open("ab") as log, self._network.entered():
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip

    def wait_ready(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        with self._network.entered():
            while not self._asked():
                status = self._running().poll()
                if status is not None:
                    raise ServerError(f"{self.name} ended with {status}: {self.log()[-3000:]}")
                if time.monotonic() > deadline:
                    raise ServerError(f"{self.name} is not ready after {timeout} s: {self.log()[-3000:]}")
                time.sleep(_POLL)

    def start(self, timeout: float = 60) -> None:
        """Start, or start again, and wait until it is ready."""
        self.launch()
        self.wait_ready(timeout)

    def kill(self) -> None:
        """Kill -9; returns when it has ended."""
        self._running().kill()
        self._running().wait()

    def pause(self) -> None:
        """It answers nothing from now on, and its connections stay open."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # Its other threads go on until the one that got the signal has run, which takes a while on a busy machine.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def stop(self, timeout: float = 10) -> None:
        """End it in order, by force if it does not."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _asked(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process
