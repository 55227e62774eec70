"""A `contour` command as a child process: started, listened to, ended."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import ClassVar, Self

_PROGRAM = "from contour.cli import main; main()"


class ProgramError(Exception):
    """The program ended or said nothing in time; the text holds what it said."""


class Program:
    """One command. `lines` is what it has printed, on both streams.

    `before` is Python that the process runs first: it may shorten what nobody waits for in a test.
    """

    READY: ClassVar[re.Pattern[str]]  # what it prints when it serves
    WRAPPER: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *arguments: str, before: str = "") -> None:
        self.arguments = arguments
        self._program = f"{before}\n{_PROGRAM}"
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def start(self, timeout: float = 30) -> Self:
        """Start and wait until it serves."""
        self.launch()
        self.wait_for(self.READY, timeout)
        return self

    def launch(self) -> None:
        """Start without waiting. In a process group of its own, so that Ctrl-C reaches only who started it."""
        self._process = subprocess.Popen(
            [*self.WRAPPER, sys.executable, "-c", self._program, *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def process(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ProgramError(f"contour {self.arguments[0]} was not started")
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
                    ended = f"contour {self.arguments[0]} ended"
                    what = ended if self._ended else f"not said in {timeout} s: {pattern}"
                    raise ProgramError("\n".join([what, *self.lines]))
                self._news.wait(left)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 15) -> int:
        """End it with a signal, if it has not ended; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout)

    def kill(self) -> None:
        self.process.kill()
        self.wait()

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

    def heard(self, line: str) -> None:
        """Called with each line, before those who wait for it go on."""

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            with process.stdout as output:
                for line in output:
                    self._take(line.rstrip("\n"))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, line: str) -> None:
        self.heard(line)
        with self._news:
            self.lines.append(line)
            self._news.notify_all()
