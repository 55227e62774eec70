"""The `spec` of ContourConfiguration (`projectcontour.io/v1alpha1`): what one process of Contour is told.

A configuration file is translated to this too (operations.md §2.1). Zero values are Go's; None is a pointer that is
absent. The defaults are those of the overlay, in `contour.control.settings`.
"""

from __future__ import annotations

import msgspec

from contour.api.core import Int32, Int64, UInt32
from contour.api.projectcontour import AuthorizationServer, GlobalRateLimitPolicy


class NamespacedName(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""


# --- the controller's own listeners (§2.4.2) ------------------------------------------------------------------------


class XDSServerTLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False


class XDSServer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    address: str = ""
    port: Int64 = 0
    tls: XDSServerTLS | None = None


class Endpoint(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Where a debug or health page is."""

    address: str = ""
    port: Int64 = 0


class MetricsTLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class Metrics(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    address: str = ""
    port: Int64 = 0
    tls: MetricsTLS | None = None


# --- selection of objects (§2.4.3) ----------------------------------------------------------------------------------


class Ingress(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    class_names: tuple[str, ...] = ()
    status_address: str = ""


class HTTPProxies(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    disable_permit_insecure: bool = False
    root_namespaces: tuple[str, ...] = ()
    fallback_certificate: NamespacedName | None = None


class Gateway(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    gateway_ref: NamespacedName = NamespacedName()


# --- Envoy (§2.4.4 - §2.4.7) ----------------------------------------------------------------------------------------


class EnvoyListener(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """`http` and `https`."""

    address: str = ""
    port: Int64 = 0
    access_log: str = ""


class SocketOptions(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    tos: Int32 = 0
    traffic_class: Int32 = 0


class Compression(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    algorithm: str = ""


class Fingerprint(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ja3: bool = False
    ja4: bool = False


class TLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Of clients and of upstreams; the latter have no fingerprint."""

    minimum_protocol_version: str = ""
    maximum_protocol_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None


class Listener(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    use_proxy_protocol: bool = False
    disable_allow_chunked_length: bool = False
    disable_merge_slashes: bool = False
    server_header_transformation: str = ""
    compression: Compression | None = None
    connection_balancer: str = ""
    max_requests_per_connection: UInt32 | None = None
    buffer_limit_bytes: UInt32 | None = msgspec.field(default=None, name="per-connection-buffer-limit-bytes")
    tls: TLS | None = None
    socket_options: SocketOptions | None = None
    max_requests_per_io_cycle: UInt32 | None = msgspec.field(default=None, name="maxRequestsPerIOCycle")
    http_max_concurrent_streams: UInt32 | None = None
    max_connections_per_listener: UInt32 | None = None
    max_connections_to_accept_per_socket_event: UInt32 | None = None


class Logging(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    access_log_format: str = ""
    access_log_format_string: str = ""
    access_log_json_fields: tuple[str, ...] = msgspec.field(default=(), name="accessLogJSONFields")
    access_log_level: str = ""


class Timeouts(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    request_timeout: str | None = None
    connection_idle_timeout: str | None = None
    stream_idle_timeout: str | None = None
    max_connection_duration: str | None = None
    delayed_close_timeout: str | None = None
    connection_shutdown_grace_period: str | None = None
    connect_timeout: str | None = None


class CircuitBreakers(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    max_connections: UInt32 = 0
    max_pending_requests: UInt32 = 0
    max_requests: UInt32 = 0
    max_retries: UInt32 = 0
    per_host_max_connections: UInt32 = 0


class Cluster(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    dns_lookup_family: str = ""
    max_requests_per_connection: UInt32 | None = None
    buffer_limit_bytes: UInt32 | None = msgspec.field(default=None, name="per-connection-buffer-limit-bytes")
    circuit_breakers: CircuitBreakers | None = None
    upstream_tls: TLS | None = msgspec.field(default=None, name="upstreamTLS")


class Network(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    num_trusted_hops: UInt32 = 0
    admin_port: Int64 = 0
    strip_trailing_host_dot: bool = False


class Envoy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    listener: Listener | None = None
    service: NamespacedName | None = None
    http: EnvoyListener | None = None
    https: EnvoyListener | None = None
    health: Endpoint | None = None
    om_enforced_health: Endpoint | None = None
    metrics: Metrics | None = None
    client_certificate: NamespacedName | None = None
    logging: Logging | None = None
    default_http_versions: tuple[str, ...] = msgspec.field(default=(), name="defaultHTTPVersions")
    timeouts: Timeouts | None = None
    cluster: Cluster | None = None
    network: Network | None = None
    runtime_settings: dict[str, str] = {}


# --- services and policies (§2.4.8 - §2.4.11) -----------------------------------------------------------------------


class Headers(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    request_headers: Headers | None = None
    response_headers: Headers | None = None
    apply_to_ingress: bool = False


class RateLimitService(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    extension_service: NamespacedName = NamespacedName()
    domain: str = ""
    fail_open: bool = False
    enable_x_rate_limit_headers: bool = msgspec.field(default=False, name="enableXRateLimitHeaders")
    enable_resource_exhausted_code: bool = False
    default_global_rate_limit_policy: GlobalRateLimitPolicy | None = None


class CustomTag(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    tag_name: str = ""
    literal: str = ""
    request_header_name: str = ""


class Tracing(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    include_pod_detail: bool | None = None
    service_name: str | None = None
    overall_sampling: str | None = None
    client_sampling: str | None = None
    random_sampling: str | None = None
    max_path_tag_length: UInt32 | None = None
    custom_tags: tuple[CustomTag, ...] = ()
    extension_service: NamespacedName | None = None


class Spec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    xds_server: XDSServer | None = msgspec.field(default=None, name="xdsServer")
    ingress: Ingress | None = None
    debug: Endpoint | None = None
    health: Endpoint | None = None
    envoy: Envoy | None = None
    gateway: Gateway | None = None
    httpproxy: HTTPProxies | None = None
    enable_external_name_service: bool = False
    global_external_authorization: AuthorizationServer | None = msgspec.field(default=None, name="globalExtAuth")
    rate_limit_service: RateLimitService | None = None
    policy: Policy | None = None
    metrics: Metrics | None = None
    tracing: Tracing | None = None
    feature_flags: tuple[str, ...] = ()
