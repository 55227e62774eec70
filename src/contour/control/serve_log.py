"""The log of a server: one line on stderr for each thing, as logfmt or JSON (operations.md §1.1)."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from contour.control.visible import visible
from contour.xds.events import DeltaRequest, StateRequest
from contour.xds.node import Node

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


class Streams:
    """What clients of xDS do, for who looks for an error (operations.md §4.5)."""

    def __init__(self, log: Logger) -> None:
        self._log = log.bind(context="xds")

    def opened(self, stream: int, type_url: str) -> None:
        self._log.debug("stream opened", stream_id=stream, type_url=type_url)

    def closed(self, stream: int, node: Node) -> None:
        self._log.debug("stream closed", stream_id=stream, node_id=node.id)

    def asked(self, stream: int, node: Node, what: DeltaRequest | StateRequest) -> None:
        named = (
            {"version_info": what.version, "resource_names": list(what.names)}
            if isinstance(what, StateRequest)
            else {"subscribe": list(what.subscribe), "unsubscribe": list(what.unsubscribe)}
        )
        self._log.debug(
            "handling v3 xDS resource request",
            stream_id=stream, node_id=node.id, node_version=node.version, type_url=what.type_url,
            response_nonce=what.nonce, error=what.error, **named,
        )  # fmt: skip


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
