"""The end of a mode: signals set an event, and work runs until then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterator
from typing import Any


@contextlib.contextmanager
def signals() -> Iterator[asyncio.Event]:
    """Set by SIGINT, SIGTERM and the end of the terminal; the second one ends the process at once.

    Not so the end of the terminal, which the kernel and the shell may both tell.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set() and number != signal.SIGHUP:
            os._exit(1)
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            if stop.is_set():  # what is left to do may take a while
                signal.signal(number, lambda again, _: None if again == signal.SIGHUP else os._exit(1))


async def until(end: Coroutine[Any, Any, Any], *work: Coroutine[Any, Any, None]) -> None:
    """Run all of this until `end` returns; whatever fails or returns ends it too."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in (end, *work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
