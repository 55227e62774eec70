"""`contour run` as a child process: started, listened to, ended."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from contour.testing.clients import Address
from contour.testing.envoy import free_port

_SERVES = re.compile(r"^serving .* on http://\S+:(\d+) and https://\S+:(\d+); statistics on http://\S+:(\d+)")
_LOGS = re.compile(r"^logs, until this ends: (\S+)")


class RunError(Exception):
    """`contour run` ended or said nothing in time; the text holds what it said."""


class Running:
    """Serves `folder` at free ports unless flags say otherwise. `show` gets each line of output when it comes."""

    def __init__(self, folder: Path, *flags: str, show: Callable[[str], None] = lambda _: None) -> None:
        ports = [
            f"--envoy-service-{scheme}-port={free_port()}"
            for scheme in ("http", "https")
            if not any(flag.startswith(f"--envoy-service-{scheme}-port") for flag in flags)
        ]
        self.arguments = ["run", str(folder), *ports, *flags]
        self.lines: list[str] = []
        self.http: Address = ("127.0.0.1", 0)
        self.https: Address = ("127.0.0.1", 0)
        self.stats: Address = ("127.0.0.1", 0)
        self.directory = Path()
        self._show = show
        self._news = threading.Condition()
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def start(self, timeout: float = 20) -> Self:
        """Start and wait until Envoy serves."""
        self.launch()
        self.wait_for(_LOGS, timeout)
        return self

    def launch(self) -> None:
        """Start without waiting. In a process group of its own, so that Ctrl-C reaches only who started it."""
        program = [sys.executable, "-c", "from contour.cli import main; main()"]
        self._process = subprocess.Popen(
            [*program, *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def process(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RunError("contour run was not started")
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
                    what = "contour run ended" if self._ended else f"not said in {timeout} s: {pattern}"
                    raise RunError("\n".join([what, *self.lines]))
                self._news.wait(left)

    def envoys(self) -> list[int]:
        """Process ids of the Envoy that it has."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        """End it with a signal, if it has not ended; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 10) -> int:
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
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            with process.stdout as output:
                for line in output:
                    self._take(line.rstrip("\n"))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, line: str) -> None:
        if found := _SERVES.match(line):
            self.http, self.https, self.stats = (("127.0.0.1", int(port)) for port in found.groups())
        elif found := _LOGS.match(line):
            self.directory = Path(found[1])
        self._show(line)
        with self._news:
            self.lines.append(line)
            self._news.notify_all()
