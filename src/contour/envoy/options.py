"""Settings that decide what Envoy is told; built by `contour.control.settings` from flags and the configuration file."""

from __future__ import annotations

from typing import Literal

import msgspec

from contour.api.meta import Ref
from contour.dag.graph import Timeout

Compression = Literal["gzip", "brotli", "zstd", "disabled"]
AccessLogLevel = Literal["info", "error", "critical", "disabled"]
HTTPVersion = Literal["1.1", "2"]
ServerHeader = Literal["overwrite", "append_if_absent", "pass_through"]

_SECOND = 1_000_000_000

DEFAULT_CIPHER_SUITES = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


class TLSParameters(msgspec.Struct, frozen=True, gc=False):
    """Of connections to upstreams. Nothing to say at all is None in its place."""

    min_tls: str = "1.2"
    max_tls: str = "1.3"
    cipher_suites: tuple[str, ...] = DEFAULT_CIPHER_SUITES
    ecdh_curves: tuple[str, ...] = ()


class AccessLog(msgspec.Struct, frozen=True, gc=False):
    """What a line says and which requests get one (operations.md §7.6).

    `text`: the format, "" for Envoy's own. `fields`: name and format of each field of a JSON line, instead of text.
    """

    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    level: AccessLogLevel = "info"


class CustomTag(msgspec.Struct, frozen=True, gc=False):
    """Exactly one of `literal` and `request_header`."""

    name: str
    literal: str = ""
    request_header: str = ""


class Tracing(msgspec.Struct, frozen=True, gc=False):
    """To an OpenTelemetry collector (operations.md §2.4.11, §7.7); samplings in percent."""

    extension: Ref
    service_name: str = "contour"
    pod_detail: bool = True
    overall_sampling: float = 100.0
    client_sampling: float = 100.0
    random_sampling: float = 100.0
    max_path_tag_length: int = 256
    custom_tags: tuple[CustomTag, ...] = ()


class MetricsTLS(msgspec.Struct, frozen=True, gc=False):
    """Paths of files where Envoy runs. With a CA bundle, clients must show a certificate of it."""

    certificate: str
    key: str
    ca: str = ""


class Options(msgspec.Struct, frozen=True, gc=False):
    """Defaults are those of `contour serve` without flags or file (operations.md §1.3, §2.4).

    A limit of 0 is no limit of ours: Envoy's own default holds. `max_requests_per_io_cycle` and
    `max_connections_per_listener` travel in the runtime layer.
    """

    http_address: str = "0.0.0.0"
    http_port: int = 8080
    http_access_log: str = "/dev/stdout"
    https_address: str = "0.0.0.0"
    https_port: int = 8443
    https_access_log: str = "/dev/stdout"
    # Listeners of Envoy's own pages; address and port of each.
    stats_address: str = "0.0.0.0"
    stats_port: int = 8002
    stats_tls: MetricsTLS | None = None
    health: tuple[str, int] | None = None  # None: readiness is told where statistics are
    enforced_health: tuple[str, int] | None = None  # its connections count for the overload manager
    admin_port: int = 9001  # 0 or less: no admin listener
    # Connections.
    use_proxy_protocol: bool = False
    exact_balance: bool = False
    buffer_limit: int = 0  # bytes, for each connection
    max_accepts_per_socket_event: int = 0
    max_connections_per_listener: int = 0
    tos: int = 0  # of IPv4
    traffic_class: int = 0  # of IPv6
    # TLS of clients.
    min_tls: str = "1.2"
    max_tls: str = "1.3"
    cipher_suites: tuple[str, ...] = DEFAULT_CIPHER_SUITES
    ecdh_curves: tuple[str, ...] = ()
    ja3: bool = False
    ja4: bool = False
    # HTTP.
    http_versions: frozenset[HTTPVersion] = frozenset(("1.1", "2"))
    http2_max_concurrent_streams: int = 0
    max_requests_per_connection: int = 0
    max_requests_per_io_cycle: int = 0
    xff_trusted_hops: int = 0
    strip_trailing_host_dot: bool = False
    allow_chunked_length: bool = True
    merge_slashes: bool = True
    server_header: ServerHeader = "overwrite"
    compression: Compression = "gzip"
    access_log: AccessLog = AccessLog()
    tracing: Tracing | None = None
    # Timeouts of clients' connections and requests.
    request_timeout: Timeout = None
    connection_idle_timeout: Timeout = 60 * _SECOND
    stream_idle_timeout: Timeout = None
    max_connection_duration: Timeout = None
    delayed_close_timeout: Timeout = None
    drain_timeout: Timeout = None
    # Clusters.
    connect_timeout: int = 2 * _SECOND
    upstream_tls: TLSParameters | None = TLSParameters()
    upstream_max_requests_per_connection: int = 0
    upstream_buffer_limit: int = 0
    runtime_settings: tuple[tuple[str, str], ...] = ()  # sorted by key
