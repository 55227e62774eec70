"""The supervisor with programs that end as Envoy may; tests/run has it with a real Envoy."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contour.control import supervisor as supervising
from contour.control.supervisor import EnvoyFailedError, EnvoyNotFoundError, Supervisor, find_envoy


async def to_be(condition: Callable[[], bool]) -> None:
    """Another process tells nothing: look until it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(") ")[2][0] != "Z"


class Supervised:
    """A supervisor over a shell script, and what it reported."""

    def __init__(self, tmp_path: Path, script: str) -> None:
        self.reports: list[str] = []
        self.starts = 0
        self._news = asyncio.Event()
        self.supervisor = Supervisor(
            ["/bin/sh", "-c", script], tmp_path / "log", report=self._report, started=self._started
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _report(self, text: str) -> None:
        self.reports.append(text)
        self._news.set()

    def _started(self) -> None:
        self.starts += 1
        self._news.set()


async def test_an_end_before_it_served_is_final_and_has_the_reason(tmp_path: Path) -> None:
    script = "echo '[2026-01-01][1][info][main] starting'; echo '[2026-01-01][1][critical][main] [a.cc:1] no such port'"
    seen = Supervised(tmp_path, f"{script}; echo '[2026-01-01][1][info][main] exiting'; exit 3")
    with pytest.raises(EnvoyFailedError, match=r"^Envoy ended with exit status 3: no such port$"):
        await seen.supervisor.run()


async def test_later_it_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    seen = Supervised(tmp_path, "exit 0")
    seen.supervisor.served = True
    task = asyncio.create_task(seen.supervisor.run())
    await seen.until(lambda: len(seen.reports) == 4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [report.rpartition(" in ")[2] for report in seen.reports] == ["0.05 s", "0.1 s", "0.2 s", "0.4 s"]
    assert seen.reports[0] == "Envoy ended with exit status 0; starting it again in 0.05 s"


async def test_a_signal_is_named_and_never_final(tmp_path: Path) -> None:
    seen = Supervised(tmp_path, "kill -SEGV $$")
    task = asyncio.create_task(seen.supervisor.run())
    await seen.until(lambda: seen.starts == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen.reports[0].startswith("Envoy was ended by SIGSEGV")


async def test_cancelled_it_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "_STOP_TIMEOUT", 0.1)
    for trap in ("", "trap '' TERM; "):  # one that ends when told, one that has to be killed
        seen = Supervised(tmp_path, f"{trap}echo up; while :; do sleep 0.01; done")
        task = asyncio.create_task(seen.supervisor.run())
        await seen.until(lambda seen=seen: seen.starts == 1)
        assert seen.supervisor.process
        pid = seen.supervisor.process.pid
        await to_be(lambda: "up" in (tmp_path / "log").read_text())
        (tmp_path / "log").write_text("")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_it_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, pathlib
from contour.control.supervisor import Supervisor
asyncio.run(Supervisor(["/bin/sh", "-c", "echo $$; exec sleep 60"], pathlib.Path("{tmp_path}/log"), report=print).run())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    log = tmp_path / "log"
    await to_be(lambda: log.exists() and bool(log.read_text().strip()))
    pid = int(log.read_text())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await to_be(lambda: not alive(pid))


def test_the_binary(tmp_path: Path) -> None:
    assert os.access(find_envoy(None), os.X_OK)
    own = tmp_path / "envoy"
    own.write_text("")
    assert find_envoy(str(own)) == str(own)
    with pytest.raises(EnvoyNotFoundError, match="--envoy: there is no file /none"):
        find_envoy("/none")
