"""Signals: the first ends in order, the second at once, however far the end has come."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, signal
from contour.control.stopping import signals

async def main():
    with signals() as stop:
        os.kill(os.getpid(), {first})
        await stop.wait()
        {inside}
    os.kill(os.getpid(), {second})

asyncio.run(main())
"""


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("inside", [True, False])
def test_the_second_signal_is_exit_status_1(first: signal.Signals, inside: bool) -> None:
    again = f"os.kill(os.getpid(), {int(signal.SIGTERM)}); await asyncio.sleep(30)"
    program = PROGRAM.format(first=int(first), inside=again if inside else "pass", second=int(signal.SIGTERM))
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 1


def test_the_terminal_ends_but_once() -> None:
    hang_up = int(signal.SIGHUP)
    program = PROGRAM.format(first=hang_up, inside=f"os.kill(os.getpid(), {hang_up})", second=hang_up)
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
