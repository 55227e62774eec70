"""A configuration file and flags as the `spec` of a ContourConfiguration: one structure for both sources (§2.1)."""

from __future__ import annotations

from contour.api import configuration as api
from contour.api.projectcontour import (
    AuthorizationServer,
    AuthorizationServerBufferSettings,
    ExtensionServiceReference,
)
from contour.api.scalars import namespaced_ref
from contour.control.settings import file as given
from contour.control.settings.flags import Flags, comma_list

_HTTP_VERSIONS = {"http/1.1": "HTTP/1.1", "http/2": "HTTP/2"}
_FILE_NAMESPACE = "default"  # of an extension service without a namespace


def spec(file: given.File, flags: Flags, contour_namespace: str) -> api.Spec:
    """What was said, by the flag where there is one, else by the file."""
    return api.Spec(
        xds_server=api.XDSServer(
            address=flags.xds_address or "127.0.0.1",
            port=flags.xds_port or 0,
            tls=api.XDSServerTLS(
                flags.contour_cafile or "",
                flags.contour_cert_file or "",
                flags.contour_key_file or "",
                insecure=bool(flags.insecure),
            ),
        ),
        ingress=api.Ingress(
            class_names=tuple(flags.ingress_class_name.split(",")) if flags.ingress_class_name else (),
            status_address=_given(flags.ingress_status_address, file.ingress_status_address),
        ),
        debug=api.Endpoint(flags.debug_http_address or "", flags.debug_http_port or 0),
        health=api.Endpoint(flags.health_address or "", flags.health_port or 0),
        envoy=_envoy(file, flags, contour_namespace),
        gateway=api.Gateway(_name(file.gateway.gateway_ref)) if file.gateway else None,
        httpproxy=api.HTTPProxies(
            disable_permit_insecure=file.disable_permit_insecure,
            root_namespaces=comma_list(flags.root_namespaces),
            fallback_certificate=_optional_name(file.tls.fallback_certificate),
        ),
        enable_external_name_service=file.enable_external_name_service,
        global_external_authorization=_authorization(file.global_ext_auth),
        rate_limit_service=_rate_limit_service(file.rate_limit_service),
        policy=api.Policy(
            request_headers=api.Headers(file.policy.request_headers.set, file.policy.request_headers.remove),
            response_headers=api.Headers(file.policy.response_headers.set, file.policy.response_headers.remove),
            apply_to_ingress=file.policy.apply_to_ingress,
        ),
        metrics=_metrics(file.metrics.contour, flags.http_address, flags.http_port),
        tracing=_tracing(file.tracing) if file.tracing else None,
        feature_flags=file.feature_flags,
    )


def _envoy(file: given.File, flags: Flags, contour_namespace: str) -> api.Envoy:
    return api.Envoy(
        listener=_listener(file, flags),
        service=api.NamespacedName(
            name=_given(flags.envoy_service_name, file.envoy_service_name),
            namespace=_given(flags.envoy_service_namespace, file.envoy_service_namespace or contour_namespace),
        ),
        http=api.EnvoyListener(
            flags.envoy_service_http_address or "",
            flags.envoy_service_http_port or 0,
            flags.envoy_http_access_log or "",
        ),
        https=api.EnvoyListener(
            flags.envoy_service_https_address or "",
            flags.envoy_service_https_port or 0,
            flags.envoy_https_access_log or "",
        ),
        # Readiness is where the flags say; statistics are where the file says, which wins over the flags here.
        health=api.Endpoint(flags.stats_address or "", flags.stats_port or 0),
        metrics=_metrics(file.metrics.envoy, flags.stats_address, flags.stats_port),
        om_enforced_health=(
            api.Endpoint(file.om_enforced_health_listener.address, file.om_enforced_health_listener.port)
            if file.om_enforced_health_listener
            else None
        ),
        client_certificate=_optional_name(file.tls.envoy_client_certificate),
        logging=api.Logging(
            access_log_format=flags.accesslog_format or file.accesslog_format,
            access_log_format_string=file.accesslog_format_string,
            access_log_json_fields=file.json_fields,
            access_log_level=file.accesslog_level,
        ),
        default_http_versions=tuple(_HTTP_VERSIONS[version.lower()] for version in file.default_http_versions),
        timeouts=api.Timeouts(
            request_timeout=file.timeouts.request_timeout or None,
            connection_idle_timeout=file.timeouts.connection_idle_timeout or None,
            stream_idle_timeout=file.timeouts.stream_idle_timeout or None,
            max_connection_duration=file.timeouts.max_connection_duration or None,
            delayed_close_timeout=file.timeouts.delayed_close_timeout or None,
            connection_shutdown_grace_period=file.timeouts.connection_shutdown_grace_period or None,
            connect_timeout=file.timeouts.connect_timeout or None,
        ),
        cluster=_cluster(file.cluster),
        network=api.Network(
            file.network.num_trusted_hops,
            file.network.admin_port,
            strip_trailing_host_dot=file.network.strip_trailing_host_dot,
        ),
        runtime_settings=file.runtime_settings,
    )


def _listener(file: given.File, flags: Flags) -> api.Listener:
    listener = file.listener
    return api.Listener(
        use_proxy_protocol=bool(flags.use_proxy_protocol),
        disable_allow_chunked_length=file.disable_allow_chunked_length,
        disable_merge_slashes=file.disable_merge_slashes,
        server_header_transformation=file.server_header_transformation,
        compression=api.Compression(file.compression.algorithm) if file.compression.algorithm else None,
        connection_balancer=listener.connection_balancer,
        max_requests_per_connection=listener.max_requests_per_connection,
        buffer_limit_bytes=listener.per_connection_buffer_limit_bytes,
        tls=api.TLS(
            file.tls.minimum_protocol_version,
            file.tls.maximum_protocol_version,
            file.tls.cipher_suites,
            file.tls.ecdh_curves,
            api.Fingerprint(file.tls.fingerprint.ja3, file.tls.fingerprint.ja4) if file.tls.fingerprint else None,
        ),
        socket_options=api.SocketOptions(listener.socket_options.tos, listener.socket_options.traffic_class),
        max_requests_per_io_cycle=listener.max_requests_per_io_cycle,
        http_max_concurrent_streams=listener.http2_max_concurrent_streams,
        max_connections_per_listener=listener.max_connections_per_listener,
        max_connections_to_accept_per_socket_event=listener.max_connections_to_accept_per_socket_event,
    )


def _cluster(cluster: given.Cluster) -> api.Cluster:
    limits, tls = cluster.circuit_breakers, cluster.upstream_tls
    return api.Cluster(
        dns_lookup_family=cluster.dns_lookup_family,
        max_requests_per_connection=cluster.max_requests_per_connection,
        buffer_limit_bytes=cluster.per_connection_buffer_limit_bytes,
        circuit_breakers=api.CircuitBreakers(
            limits.max_connections,
            limits.max_pending_requests,
            limits.max_requests,
            limits.max_retries,
            limits.per_host_max_connections,
        )
        if limits
        else None,
        upstream_tls=api.TLS(
            tls.minimum_protocol_version, tls.maximum_protocol_version, tls.cipher_suites, tls.ecdh_curves
        ),
    )


def _metrics(server: given.MetricsServer, address: str | None, port: int | None) -> api.Metrics:
    tls = api.MetricsTLS(server.ca_certificate_path, server.server_certificate_path, server.server_key_path)
    return api.Metrics(
        server.address or address or "", server.port or port or 0, tls if server.server_certificate_path else None
    )


def _authorization(auth: given.GlobalExternalAuthorization) -> AuthorizationServer | None:
    if not auth.extension_service:
        return None
    extension = namespaced_ref(auth.extension_service, _FILE_NAMESPACE)
    body = auth.with_request_body
    return AuthorizationServer(
        extension_ref=ExtensionServiceReference(namespace=extension.namespace, name=extension.name),
        service_type=auth.service_type,
        http_settings=auth.http_settings,
        auth_policy=auth.auth_policy,
        response_timeout=auth.response_timeout,
        fail_open=auth.fail_open,
        with_request_body=AuthorizationServerBufferSettings(
            body.max_request_bytes,
            allow_partial_message=body.allow_partial_message,
            pack_as_bytes=body.pack_as_bytes,
        )
        if body
        else None,
    )


def _rate_limit_service(service: given.RateLimitService) -> api.RateLimitService | None:
    if not service.extension_service:
        return None
    return api.RateLimitService(
        extension_service=_extension(service.extension_service),
        domain=service.domain,
        fail_open=service.fail_open,
        enable_x_rate_limit_headers=service.enable_x_rate_limit_headers,
        enable_resource_exhausted_code=service.enable_resource_exhausted_code,
        default_global_rate_limit_policy=service.default_global_rate_limit_policy,
    )


def _tracing(tracing: given.Tracing) -> api.Tracing:
    return api.Tracing(
        include_pod_detail=tracing.include_pod_detail,
        service_name=tracing.service_name,
        overall_sampling=tracing.overall_sampling,
        client_sampling=tracing.client_sampling,
        random_sampling=tracing.random_sampling,
        max_path_tag_length=tracing.max_path_tag_length,
        custom_tags=tuple(
            api.CustomTag(tag.tag_name, tag.literal, tag.request_header_name) for tag in tracing.custom_tags
        ),
        extension_service=_extension(tracing.extension_service),
    )


def _given(flag: str | None, key: str) -> str:
    """A flag without text takes back what the file says: the default holds."""
    return key if flag is None else flag


def _extension(text: str) -> api.NamespacedName:
    ref = namespaced_ref(text, _FILE_NAMESPACE)
    return api.NamespacedName(ref.name, ref.namespace)


def _name(name: given.NamespacedName) -> api.NamespacedName:
    return api.NamespacedName(name.name, name.namespace)


def _optional_name(name: given.NamespacedName) -> api.NamespacedName | None:
    return _name(name) if name.name.strip() else None
