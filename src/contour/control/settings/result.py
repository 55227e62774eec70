"""A complete `spec` -> what the parts of the program are told. What Envoy would refuse is refused here."""

from __future__ import annotations

from typing import get_args

import msgspec

from contour.api import configuration as api
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.scalars import parse_duration, parse_timeout
from contour.control.settings import accesslog, tracing
from contour.control.settings import tlsparameters as tls
from contour.control.settings.error import SettingsError
from contour.dag import options as graph
from contour.dag.graph import CircuitBreakers, Timeout
from contour.envoy import options as envoy

_DEFAULT_CONNECT_TIMEOUT = envoy.Options().connect_timeout
_MAX_PATH = 256
_TLS_VERSIONS = frozenset(tls.VERSIONS)


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """Where this process itself listens; without TLS files, in the clear."""

    address: str
    port: int
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def graph_options(spec: api.Spec) -> graph.Options:
    """`spec` is complete: the defaults are in it."""
    ingress, proxies = spec.ingress or api.Ingress(), spec.httpproxy or api.HTTPProxies()
    cluster, policy = _part(spec).cluster or api.Cluster(), spec.policy or api.Policy()
    limits = cluster.circuit_breakers or api.CircuitBreakers()
    return graph.Options(
        ingress_class_names=ingress.class_names,
        root_namespaces=proxies.root_namespaces,
        disable_permit_insecure=proxies.disable_permit_insecure,
        dns_lookup_family=cluster.dns_lookup_family,
        enable_external_name=spec.enable_external_name_service,
        fallback_certificate=_ref(proxies.fallback_certificate),
        client_certificate=_ref(_part(spec).client_certificate),
        circuit_breakers=CircuitBreakers(*msgspec.structs.astuple(limits)),
        request_headers=_headers(policy.request_headers),
        response_headers=_headers(policy.response_headers),
        headers_apply_to_ingress=policy.apply_to_ingress,
        authorization=spec.global_external_authorization,
        rate_limit_service=_rate_limit_service(spec.rate_limit_service),
        gateway=_ref(spec.gateway.gateway_ref) if spec.gateway else None,
    )


def envoy_options(spec: api.Spec) -> envoy.Options:
    """`spec` is complete: the defaults are in it."""
    part = _part(spec)
    listener, network = part.listener or api.Listener(), part.network or api.Network()
    http, https = part.http or api.EnvoyListener(), part.https or api.EnvoyListener()
    health, metrics = part.health or api.Endpoint(), part.metrics or api.Metrics()
    cluster, timeouts = part.cluster or api.Cluster(), part.timeouts or api.Timeouts()
    parameters, sockets = listener.tls or api.TLS(), listener.socket_options or api.SocketOptions()
    fingerprint = parameters.fingerprint or api.Fingerprint()
    clients = _tls(parameters)
    return envoy.Options(
        http_address=http.address,
        http_port=http.port,
        http_access_log=http.access_log,
        https_address=https.address,
        https_port=https.port,
        https_access_log=https.access_log,
        stats_address=metrics.address,
        stats_port=metrics.port,
        stats_tls=_metrics_tls(metrics.tls),
        health=None if _together(health, metrics) else (health.address, health.port),
        enforced_health=(
            (part.om_enforced_health.address, part.om_enforced_health.port) if part.om_enforced_health else None
        ),
        admin_port=network.admin_port,
        use_proxy_protocol=listener.use_proxy_protocol,
        exact_balance=listener.connection_balancer == "exact",
        buffer_limit=listener.buffer_limit_bytes or 0,
        max_accepts_per_socket_event=listener.max_connections_to_accept_per_socket_event or 0,
        max_connections_per_listener=listener.max_connections_per_listener or 0,
        tos=sockets.tos,
        traffic_class=sockets.traffic_class,
        min_tls=clients.min_tls,
        max_tls=clients.max_tls,
        cipher_suites=clients.cipher_suites,
        ecdh_curves=clients.ecdh_curves,
        ja3=fingerprint.ja3,
        ja4=fingerprint.ja4,
        http_versions=frozenset(_HTTP_VERSIONS[version] for version in part.default_http_versions),
        http2_max_concurrent_streams=listener.http_max_concurrent_streams or 0,
        max_requests_per_connection=listener.max_requests_per_connection or 0,
        max_requests_per_io_cycle=listener.max_requests_per_io_cycle or 0,
        xff_trusted_hops=network.num_trusted_hops,
        strip_trailing_host_dot=network.strip_trailing_host_dot,
        allow_chunked_length=not listener.disable_allow_chunked_length,
        merge_slashes=not listener.disable_merge_slashes,
        server_header=_server_header(listener.server_header_transformation),
        compression=_compression(listener.compression),
        access_log=_access_log(part.logging or api.Logging()),
        tracing=_tracing(spec.tracing) if spec.tracing else None,
        request_timeout=_timeout("request timeout", timeouts.request_timeout),
        connection_idle_timeout=_timeout("connection idle timeout", timeouts.connection_idle_timeout),
        stream_idle_timeout=_timeout("stream idle timeout", timeouts.stream_idle_timeout),
        max_connection_duration=_timeout("max connection duration", timeouts.max_connection_duration),
        delayed_close_timeout=_timeout("delayed close timeout", timeouts.delayed_close_timeout),
        drain_timeout=_timeout("connection shutdown grace period", timeouts.connection_shutdown_grace_period),
        connect_timeout=_connect_timeout(timeouts.connect_timeout),
        upstream_tls=_tls(cluster.upstream_tls or api.TLS()),
        upstream_max_requests_per_connection=cluster.max_requests_per_connection or 0,
        upstream_buffer_limit=cluster.buffer_limit_bytes or 0,
        runtime_settings=tuple(sorted(part.runtime_settings.items())),
    )


def endpoint(found: api.Endpoint | api.Metrics | None) -> Endpoint:
    found = found or api.Endpoint()
    files = (found.tls if isinstance(found, api.Metrics) else None) or api.MetricsTLS()
    return Endpoint(found.address, found.port, files.ca_file, files.cert_file, files.key_file)


def xds_endpoint(found: api.XDSServer | None) -> Endpoint:
    found = found or api.XDSServer()
    files = found.tls or api.XDSServerTLS()
    return Endpoint(found.address, found.port, files.ca_file, files.cert_file, files.key_file)


_HTTP_VERSIONS: dict[str, envoy.HTTPVersion] = {"HTTP/1.1": "1.1", "HTTP/2": "2"}


def _part(spec: api.Spec) -> api.Envoy:
    return spec.envoy or api.Envoy()


def _ref(name: api.NamespacedName | None) -> Ref | None:
    return Ref(name.namespace, name.name) if name else None


def _together(health: api.Endpoint, metrics: api.Metrics) -> bool:
    return metrics.tls is None and (health.address, health.port) == (metrics.address, metrics.port)


def _headers(headers: api.Headers | None) -> graph.HeaderDefaults:
    if headers is None:
        return graph.HeaderDefaults()
    return graph.HeaderDefaults(tuple(sorted(headers.set.items())), tuple(dict.fromkeys(headers.remove)))


def _rate_limit_service(service: api.RateLimitService | None) -> graph.RateLimitService | None:
    if service is None:
        return None
    name = service.extension_service
    return graph.RateLimitService(
        extension=Ref(name.namespace, name.name),
        domain=service.domain or "contour",  # operations.md §14.1, quirk 8: Envoy refuses an empty one
        fail_open=service.fail_open,
        x_ratelimit_headers=service.enable_x_rate_limit_headers,
        resource_exhausted_code=service.enable_resource_exhausted_code,
        default_policy=service.default_global_rate_limit_policy,
    )


def _tls(parameters: api.TLS) -> envoy.TLSParameters:
    """What is no version counts as the default, as in the reference."""
    minimum, maximum = parameters.minimum_protocol_version, parameters.maximum_protocol_version
    return envoy.TLSParameters(
        min_tls=minimum if minimum in _TLS_VERSIONS else tls.VERSIONS[0],
        max_tls=maximum if maximum in _TLS_VERSIONS else tls.VERSIONS[-1],
        cipher_suites=tls.distinct(parameters.cipher_suites) or envoy.DEFAULT_CIPHER_SUITES,
        ecdh_curves=tls.distinct(parameters.ecdh_curves),
    )


def _metrics_tls(files: api.MetricsTLS | None) -> envoy.MetricsTLS | None:
    return envoy.MetricsTLS(files.cert_file, files.key_file, files.ca_file) if files else None


def _server_header(text: str) -> envoy.ServerHeader:
    """Never refused: what is unknown is the default (operations.md §2.4.4)."""
    for known in get_args(envoy.ServerHeader):
        if text == known:
            return known  # type: ignore[no-any-return]
    return "overwrite"


def _compression(found: api.Compression | None) -> envoy.Compression:
    for known in get_args(envoy.Compression):
        if found is not None and found.algorithm == known:
            return known  # type: ignore[no-any-return]
    return "gzip"


def _access_log(logging: api.Logging) -> envoy.AccessLog:
    level: envoy.AccessLogLevel = "info"  # and so is what is unknown
    for known in get_args(envoy.AccessLogLevel):
        if logging.access_log_level == known:
            level = known
    if logging.access_log_format == "json":
        return envoy.AccessLog(fields=accesslog.fields_of(logging.access_log_json_fields), level=level)
    return envoy.AccessLog(text=logging.access_log_format_string, level=level)


def _tracing(found: api.Tracing) -> envoy.Tracing:
    name = found.extension_service or api.NamespacedName()
    return envoy.Tracing(
        extension=Ref(name.namespace, name.name),
        service_name=found.service_name or "contour",
        pod_detail=found.include_pod_detail is not False,
        overall_sampling=tracing.percent(found.overall_sampling),
        client_sampling=tracing.percent(found.client_sampling),
        random_sampling=tracing.percent(found.random_sampling),
        max_path_tag_length=_MAX_PATH if found.max_path_tag_length is None else found.max_path_tag_length,
        custom_tags=tuple(
            envoy.CustomTag(tag.tag_name, tag.literal, tag.request_header_name) for tag in found.custom_tags
        ),
    )


def _timeout(what: str, text: str | None) -> Timeout:
    value = parse_timeout(text or "")
    if isinstance(value, Invalid):
        raise SettingsError(f"failed to parse {what}: {value.text}")
    return value


def _connect_timeout(text: str | None) -> int:
    value = parse_duration(text) if text else 0
    if isinstance(value, Invalid):
        raise SettingsError(f"failed to parse connect timeout: {value.text}")
    return value or _DEFAULT_CONNECT_TIMEOUT
