"""The timeouts of the file (operations.md §2.4.5)."""

from __future__ import annotations

from contour.api.invalid import Invalid
from contour.api.scalars import parse_duration, quote
from contour.control.settings.error import SettingsError
from contour.control.settings.file import Timeouts

_WITHOUT_END = ("infinity", "infinite")


def check(timeouts: Timeouts) -> None:
    """Raises SettingsError, in the reference's words and order."""
    for what, text in (
        ("invalid request timeout", timeouts.request_timeout),
        ("connection idle timeout", timeouts.connection_idle_timeout),
        ("stream idle timeout", timeouts.stream_idle_timeout),
        ("max connection duration", timeouts.max_connection_duration),
        ("delayed close timeout", timeouts.delayed_close_timeout),
        ("connection shutdown grace period", timeouts.connection_shutdown_grace_period),
    ):
        if text not in _WITHOUT_END:
            _check(what, text)
    _check("connect timeout", timeouts.connect_timeout)


def _check(what: str, text: str) -> None:
    duration = parse_duration(text) if text else 0
    if isinstance(duration, Invalid):
        raise SettingsError(f"{what} {quote(text)}: {duration.text}")
