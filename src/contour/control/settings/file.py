"""The configuration file: its keys, their types, and what holds where a key is absent (operations.md §2.2, §2.4).

`None` stands for an absent key where absence is not the zero value. What the process does without any of these
keys is decided in `contour.control.settings.overlay`.
"""

from __future__ import annotations

import msgspec

from contour.api.core import Int32, Int64, UInt32
from contour.api.projectcontour import AuthorizationPolicy, GlobalRateLimitPolicy, HTTPAuthorizationSettings

DEFAULT_JSON_FIELDS = (
    "@timestamp", "authority", "bytes_received", "bytes_sent", "downstream_local_address",
    "downstream_remote_address", "duration", "method", "path", "protocol", "request_id", "requested_server_name",
    "response_code", "response_flags", "uber_trace_id", "upstream_cluster", "upstream_host", "upstream_local_address",
    "upstream_service_time", "user_agent", "x_forwarded_for", "grpc_status", "grpc_status_number",
)  # fmt: skip


class NamespacedName(msgspec.Struct, frozen=True, rename="kebab"):
    name: str = ""
    namespace: str = ""


class Server(msgspec.Struct, frozen=True):
    """Reserved: must be empty."""


class Gateway(msgspec.Struct, frozen=True, rename="camel"):
    gateway_ref: NamespacedName = NamespacedName()


class Fingerprint(msgspec.Struct, frozen=True, rename="kebab"):
    ja3: bool = False
    ja4: bool = False


class ProtocolParameters(msgspec.Struct, frozen=True, rename="kebab"):
    minimum_protocol_version: str = ""
    maximum_protocol_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()


class TLS(ProtocolParameters, frozen=True, rename="kebab"):
    fallback_certificate: NamespacedName = NamespacedName()
    envoy_client_certificate: NamespacedName = NamespacedName()
    fingerprint: Fingerprint | None = None


class Timeouts(msgspec.Struct, frozen=True, rename="kebab"):
    request_timeout: str = ""
    connection_idle_timeout: str = "60s"
    stream_idle_timeout: str = ""
    max_connection_duration: str = ""
    delayed_close_timeout: str = ""
    connection_shutdown_grace_period: str = ""
    connect_timeout: str = "2s"


class Headers(msgspec.Struct, frozen=True, rename="kebab"):
    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, rename="kebab"):
    request_headers: Headers = Headers()
    response_headers: Headers = Headers()
    apply_to_ingress: bool = msgspec.field(default=False, name="applyToIngress")


class CircuitBreakers(msgspec.Struct, frozen=True, rename="kebab"):
    max_connections: UInt32 = 0
    max_pending_requests: UInt32 = 0
    max_requests: UInt32 = 0
    max_retries: UInt32 = 0
    per_host_max_connections: UInt32 = 0


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    dns_lookup_family: str = "auto"
    max_requests_per_connection: UInt32 | None = None
    per_connection_buffer_limit_bytes: UInt32 | None = None
    circuit_breakers: CircuitBreakers | None = None
    upstream_tls: ProtocolParameters = ProtocolParameters()


class Network(msgspec.Struct, frozen=True, rename="kebab"):
    num_trusted_hops: UInt32 = 0
    admin_port: Int64 = 9001
    strip_trailing_host_dot: bool = False


class SocketOptions(msgspec.Struct, frozen=True, rename="kebab"):
    tos: Int32 = 0
    traffic_class: Int32 = 0


class Listener(msgspec.Struct, frozen=True, rename="kebab"):
    connection_balancer: str = ""
    max_requests_per_connection: UInt32 | None = None
    per_connection_buffer_limit_bytes: UInt32 | None = None
    socket_options: SocketOptions = SocketOptions()
    max_requests_per_io_cycle: UInt32 | None = None
    http2_max_concurrent_streams: UInt32 | None = None
    max_connections_per_listener: UInt32 | None = None
    max_connections_to_accept_per_socket_event: UInt32 | None = None


class Compression(msgspec.Struct, frozen=True, rename="kebab"):
    algorithm: str = ""


class MetricsServer(msgspec.Struct, frozen=True, rename="kebab"):
    address: str = ""
    port: Int64 = 0
    server_certificate_path: str = ""
    server_key_path: str = ""
    ca_certificate_path: str = ""


class Metrics(msgspec.Struct, frozen=True, rename="kebab"):
    contour: MetricsServer = MetricsServer()
    envoy: MetricsServer = MetricsServer()


class HealthListener(msgspec.Struct, frozen=True, rename="kebab"):
    address: str = ""
    port: Int64 = 0


class RequestBody(msgspec.Struct, frozen=True, rename="camel"):
    max_request_bytes: UInt32 = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


class GlobalExternalAuthorization(msgspec.Struct, frozen=True, rename="camel"):
    extension_service: str = ""
    service_type: str = ""
    http_settings: HTTPAuthorizationSettings | None = None
    auth_policy: AuthorizationPolicy | None = None
    response_timeout: str = ""
    fail_open: bool = False
    with_request_body: RequestBody | None = None


class RateLimitService(msgspec.Struct, frozen=True, rename="camel"):
    extension_service: str = ""
    domain: str = ""
    fail_open: bool = False
    enable_x_rate_limit_headers: bool = msgspec.field(default=False, name="enableXRateLimitHeaders")
    enable_resource_exhausted_code: bool = False
    default_global_rate_limit_policy: GlobalRateLimitPolicy | None = None


class CustomTag(msgspec.Struct, frozen=True, rename="camel"):
    tag_name: str = ""
    literal: str = ""
    request_header_name: str = ""


class Tracing(msgspec.Struct, frozen=True, rename="camel"):
    include_pod_detail: bool | None = None
    service_name: str | None = None
    overall_sampling: str | None = None
    client_sampling: str | None = None
    random_sampling: str | None = None
    max_path_tag_length: UInt32 | None = None
    custom_tags: tuple[CustomTag, ...] = ()
    extension_service: str = ""


class File(msgspec.Struct, frozen=True, rename="camel"):
    # About the process, not about what Envoy is told (§2.4.1).
    debug: bool = False
    incluster: bool = False
    kubeconfig: str = ""  # "": that of the user's home
    kubernetes_client_qps: float = msgspec.field(default=0.0, name="kubernetesClientQPS")
    kubernetes_client_burst: Int64 = 0
    server: Server = Server()
    feature_flags: tuple[str, ...] = ()

    # Objects (§2.4.3).
    gateway: Gateway | None = None
    ingress_status_address: str = msgspec.field(default="", name="ingress-status-address")
    disable_permit_insecure: bool = False
    enable_external_name_service: bool = False
    envoy_service_name: str = msgspec.field(default="", name="envoy-service-name")
    envoy_service_namespace: str = msgspec.field(default="", name="envoy-service-namespace")

    # Access logs (§2.4.7).
    accesslog_format: str = msgspec.field(default="envoy", name="accesslog-format")
    accesslog_format_string: str = msgspec.field(default="", name="accesslog-format-string")
    json_fields: tuple[str, ...] = msgspec.field(default=DEFAULT_JSON_FIELDS, name="json-fields")
    accesslog_level: str = msgspec.field(default="info", name="accesslog-level")

    # Listeners and HTTP (§2.4.4, §2.4.5).
    tls: TLS = TLS()
    disable_allow_chunked_length: bool = False
    disable_merge_slashes: bool = False
    server_header_transformation: str = "overwrite"
    compression: Compression = Compression()
    timeouts: Timeouts = Timeouts()
    default_http_versions: tuple[str, ...] = msgspec.field(default=(), name="default-http-versions")
    network: Network = Network()
    listener: Listener = Listener()
    om_enforced_health_listener: HealthListener | None = None
    metrics: Metrics = Metrics()
    runtime_settings: dict[str, str] = msgspec.field(default_factory=dict, name="runtime-settings")

    # Clusters, policies and services (§2.4.6, §2.4.8 - §2.4.11).
    cluster: Cluster = Cluster()
    policy: Policy = Policy()
    rate_limit_service: RateLimitService = RateLimitService()
    global_ext_auth: GlobalExternalAuthorization = GlobalExternalAuthorization()
    tracing: Tracing | None = None
