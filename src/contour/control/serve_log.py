"""The log of a server: one line on stderr for each thing, as logfmt or JSON (operations.md §1.1)."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from contour.control.visible import visible

Format = Literal["text", "json"]
Logger = structlog.typing.FilteringBoundLogger

_ORDER = ["time", "level", "msg", "context"]


def logger(form: Format, *, debug: bool) -> Logger:
    """A logger whose lines have `time`, `level`, `msg` and what is bound to it or given."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True, bool_as_flag=False)
    )
    made: Logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger("debug" if debug else "info"),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.EventRenamer("msg"),
            _visible,
            renderer,
        ],
        cache_logger_on_first_use=True,
    )
    return made


def adopt(log: Logger) -> None:
    """What libraries have to say becomes lines of this log; they would print it as it comes, with tracebacks."""
    logging.basicConfig(handlers=[_Adopted(log)], level=logging.WARNING, force=True)


class _Adopted(logging.Handler):
    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{text}: {type(error).__name__}: {error}"
            self._log.debug("".join(traceback.format_exception(error)), context=record.name)
        line = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        line(" ".join(text.split()), context=record.name)


def _visible(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever stands in an object or an answer can be logged and commands no terminal."""
    for key, value in line.items():
        if isinstance(value, str):
            line[key] = visible(value)
    return line
