"""What Envoy would refuse of settings that are well-formed: a whole listener, or every cluster (§2.5 says nothing of it).

Checked when settings are read, with the key's name, rather than found out in a refusal of everything. Limits are
those of Envoy's API and of its own checks (1.40).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from contour.api.scalars import quote
from contour.control.settings.error import SettingsError
from contour.dag.graph import ExtensionFacts
from contour.dag.options import HeaderDefaults
from contour.dag.options import Options as GraphOptions
from contour.envoy.options import Options

_MAX_PORT = 65535
_MAX_STREAMS = 2**31 - 1
_MAX_SECONDS = (2**63 - 1) // 1_000_000_000 - 1  # of a duration, which Envoy counts in nanoseconds
_SECOND = 1_000_000_000
_MAX_HEADER = 16384  # bytes
_UNPRINTABLE = frozenset("\0\r\n")


def check(options: Options, graph: GraphOptions) -> None:
    """Raises SettingsError."""
    for problem in (
        *_endpoints(options),
        *_durations(options),
        *_limits(options),
        *_tracing(options),
        *_headers("request-headers", graph.request_headers),
        *_headers("response-headers", graph.response_headers),
    ):
        raise SettingsError(problem)


def _endpoints(options: Options) -> Iterator[str]:
    taken: dict[tuple[str, int], str] = {}
    for name, address, port in _listeners(options):
        if not _is_address(address):
            yield f"invalid {name} address {quote(address)}, must be an IP address"
        if not 1 <= port <= _MAX_PORT:
            yield f"invalid {name} port {port}, must be in the range 1-{_MAX_PORT}"
        other = taken.setdefault((address, port), name)
        if other != name:
            yield f"invalid {name} address and port: {address}:{port} is that of the {other}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone, which Envoy does not know


def _listeners(options: Options) -> Iterator[tuple[str, str, int]]:
    yield "HTTP listener", options.http_address, options.http_port
    yield "HTTPS listener", options.https_address, options.https_port
    yield "metrics listener", options.stats_address, options.stats_port
    if options.health is not None:
        yield "health listener", *options.health
    if options.enforced_health is not None:
        yield "omEnforcedHealthListener", *options.enforced_health
    if options.admin_port > 0:  # else there is no such listener
        yield "network.admin-port", "127.0.0.1", options.admin_port


def _durations(options: Options) -> Iterator[str]:
    for name, duration in (
        ("request-timeout", options.request_timeout),
        ("connection-idle-timeout", options.connection_idle_timeout),
        ("stream-idle-timeout", options.stream_idle_timeout),
        ("max-connection-duration", options.max_connection_duration),
        ("delayed-close-timeout", options.delayed_close_timeout),
        ("connection-shutdown-grace-period", options.drain_timeout),
        ("connect-timeout", options.connect_timeout),
    ):
        if duration is not None and not 0 <= duration <= _MAX_SECONDS * _SECOND:
            yield f"invalid timeouts.{name}, must be from 0 to {_MAX_SECONDS} seconds"


def _limits(options: Options) -> Iterator[str]:
    if options.http2_max_concurrent_streams > _MAX_STREAMS:
        yield (
            f"invalid max HTTP/2 concurrent streams value {options.http2_max_concurrent_streams} set on listener, "
            f"maximum value is {_MAX_STREAMS}"
        )


def _tracing(options: Options) -> Iterator[str]:
    if options.tracing is not None:
        from contour.envoy import rules, tracing  # noqa: PLC0415 (much is imported for it, and few ask for it)

        written = msgspec.structs.replace(options.tracing, pod_detail=False)  # whose tags are not in the file
        for violation in rules.violations(tracing.message(written, ExtensionFacts())):
            yield f"invalid tracing: {violation.path}: {violation.text}"


def _headers(key: str, headers: HeaderDefaults) -> Iterator[str]:
    """They are part of every route: none would be served."""
    for name, value in headers.set:
        if not _UNPRINTABLE.isdisjoint(value) or len(value.encode()) > _MAX_HEADER:
            yield (
                f"invalid value of header {quote(name)} in policy.{key}.set, "
                f"must be one line of at most {_MAX_HEADER} bytes"
            )
    for name in headers.remove:
        if name.lower() == "host":
            yield f"invalid header name {quote(name)} in policy.{key}.remove, it cannot be removed"
