"""What a file may say, beyond types: checked in the reference's order, the first problem is told (operations.md §2.5)."""

from __future__ import annotations

from collections.abc import Iterable

from contour.api.scalars import HEADER_NAME_ERRORS, quote, valid_header_name
from contour.control.settings import accesslog, timeouts, tracing
from contour.control.settings import tlsparameters as tls
from contour.control.settings.error import SettingsError
from contour.control.settings.file import (
    Cluster,
    File,
    Gateway,
    Headers,
    Listener,
    MetricsServer,
    NamespacedName,
    ProtocolParameters,
)

DNS_FAMILIES = ("auto", "v4", "v6", "all")
COMPRESSIONS = ("gzip", "brotli", "zstd", "disabled")
HTTP_VERSIONS = ("http/1.1", "http/2")
_OCTET = 255


def check(file: File) -> None:
    """Raises SettingsError."""
    if file.cluster.dns_lookup_family not in DNS_FAMILIES:
        raise SettingsError(f"invalid cluster DNS lookup family {quote(file.cluster.dns_lookup_family)}")
    _gateway(file.gateway)
    accesslog.check(file.accesslog_format, file.json_fields, file.accesslog_level, file.accesslog_format_string)
    if file.compression.algorithm not in ("", *COMPRESSIONS):
        raise SettingsError(f"invalid compression type: {quote(file.compression.algorithm)}")
    _reference("invalid TLS fallback certificate", file.tls.fallback_certificate)
    _reference("invalid TLS client certificate", file.tls.envoy_client_certificate)
    try:
        _protocol(file.tls)
    except SettingsError as error:
        raise SettingsError(f"invalid TLS Protocol Parameters: {error}") from None
    timeouts.check(file.timeouts)
    _headers(file.policy.request_headers)
    _headers(file.policy.response_headers)
    for version in file.default_http_versions:
        if version.lower() not in HTTP_VERSIONS:
            raise SettingsError(f"invalid HTTP version {quote(version.lower())}")
    _metrics("metrics.contour", file.metrics.contour)
    _metrics("metrics.envoy", file.metrics.envoy)
    if file.tracing is not None:
        tracing.check(file.tracing.extension_service, file.tracing.custom_tags)
    _cluster(file.cluster)
    _listener(file.listener)


def _gateway(gateway: Gateway | None) -> None:
    if gateway is not None and not (gateway.gateway_ref.namespace and gateway.gateway_ref.name):
        raise SettingsError("invalid Gateway parameters specified: gateway ref namespace and name must be provided")


def _reference(what: str, name: NamespacedName) -> None:
    if name.namespace.strip() and not name.name.strip():
        raise SettingsError(f"{what}: name must be defined")
    if name.name.strip() and not name.namespace.strip():
        raise SettingsError(f"{what}: namespace must be defined")


def _protocol(parameters: ProtocolParameters) -> None:
    try:
        tls.check_ciphers(parameters.cipher_suites)
    except SettingsError as error:
        raise SettingsError(f"invalid TLS cipher suites: {error}") from None
    try:
        tls.check_curves(parameters.ecdh_curves)
    except SettingsError as error:
        raise SettingsError(f"invalid ECDH curves: {error}") from None
    tls.check_versions(parameters.minimum_protocol_version, parameters.maximum_protocol_version)


def _headers(headers: Headers) -> None:
    for name in (*sorted(headers.set), *headers.remove):
        if not valid_header_name(name):
            raise SettingsError(f"invalid header name {quote(name)}: {HEADER_NAME_ERRORS}")


def _metrics(where: str, server: MetricsServer) -> None:
    if bool(server.server_certificate_path) != bool(server.server_key_path):
        raise SettingsError(
            f"{where}: you must supply at least server-certificate-path and server-key-path or none of them"
        )
    if server.ca_certificate_path and not server.server_certificate_path:
        raise SettingsError(
            f"{where}: you must supply also server-certificate-path and server-key-path if setting ca-certificate-path"
        )


def _cluster(cluster: Cluster) -> None:
    _at_least_one(
        "cluster",
        (
            ("max connections per request", cluster.max_requests_per_connection),
            ("per connections buffer limit bytes", cluster.per_connection_buffer_limit_bytes),
        ),
    )
    _protocol(cluster.upstream_tls)


def _listener(listener: Listener) -> None:
    if listener.connection_balancer not in ("", "exact"):
        raise SettingsError(
            f"invalid listener connection balancer value {quote(listener.connection_balancer)}, "
            "only 'exact' connection balancing is supported for now"
        )
    _at_least_one(
        "listener",
        (
            ("max connections per request", listener.max_requests_per_connection),
            ("per connections buffer limit bytes", listener.per_connection_buffer_limit_bytes),
            ("max connections per IO cycle", listener.max_requests_per_io_cycle),
            ("max HTTP/2 concurrent streams", listener.http2_max_concurrent_streams),
            ("max connections per listener", listener.max_connections_per_listener),
        ),
    )
    if listener.max_connections_to_accept_per_socket_event == 0:
        raise SettingsError("max-connections-to-accept-per-socket-event must be greater than 0")
    options = listener.socket_options
    for what, value in (("IPv4 TOS", options.tos), ("IPv6 TrafficClass", options.traffic_class)):
        if not 0 <= value <= _OCTET:
            raise SettingsError(f"invalid listener {what} value {value}, must be in the range 0-255")


def _at_least_one(where: str, limits: Iterable[tuple[str, int | None]]) -> None:
    for what, value in limits:
        if value == 0:
            raise SettingsError(f"invalid {what} value {value} set on {where}, minimum value is 1")
