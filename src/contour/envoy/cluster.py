"""Clusters (httpproxy.md §4.4, §4.5; operations.md §7.12)."""

from __future__ import annotations

from contour.dag import graph
from contour.envoy import endpoints, names, pb, tls
from contour.envoy.options import Options

_HTTP2 = ("h2", "h2c")
_TLS = ("h2", "tls")
_UPSTREAM_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_LB_POLICIES = {
    "": pb.Cluster.ROUND_ROBIN,
    "RoundRobin": pb.Cluster.ROUND_ROBIN,  # of a degenerated RequestHash (§2.19)
    "WeightedLeastRequest": pb.Cluster.LEAST_REQUEST,
    "Random": pb.Cluster.RANDOM,
    "Cookie": pb.Cluster.RING_HASH,
    "RequestHash": pb.Cluster.RING_HASH,
}
_DNS_FAMILIES = {
    "auto": pb.Cluster.AUTO,
    "v4": pb.Cluster.V4_ONLY,
    "v6": pb.Cluster.V6_ONLY,
    "all": pb.Cluster.ALL,
}

# Panic mode is off: with no healthy endpoint left a request fails rather than going to a sick one.
_COMMON_LB = pb.Cluster.CommonLbConfig(healthy_panic_threshold=pb.Percent())

_SECOND = 1_000_000_000
_DNS_CONNECT_TIMEOUT = 2 * _SECOND
_CHECK_TIMEOUT = 2 * _SECOND
_CHECK_INTERVAL = 10 * _SECOND
_CHECK_UNHEALTHY = 3
_CHECK_HEALTHY = 2
_CHECK_HOST = "contour-envoy-healthcheck"


def cluster(c: graph.Cluster, options: Options, source: pb.ConfigSource, client_secret: str = "") -> pb.Cluster:
    """A cluster of a Service; `source` is where its endpoints come from (`config_source`), and the certificate that
    Envoy shows it, if it is to show one.
    """
    port = c.service
    message = pb.Cluster(
        name=names.cluster(c),
        alt_stat_name=names.alt_stat_name(port),
        connect_timeout=pb.duration(options.connect_timeout),
        common_lb_config=_COMMON_LB,
        lb_policy=_LB_POLICIES[c.lb_policy],
        dns_lookup_family=_DNS_FAMILIES[c.dns_lookup_family],
    )
    if port.external_name:
        message.type = pb.Cluster.LOGICAL_DNS if c.dns_lookup_family == "all" else pb.Cluster.STRICT_DNS
        message.load_assignment.CopyFrom(
            endpoints.external(names.assignment(port), port, c.health_check.port if c.health_check else 0)
        )
    else:
        message.type = pb.Cluster.EDS
        message.eds_cluster_config.CopyFrom(
            pb.Cluster.EdsClusterConfig(eds_config=source, service_name=names.assignment(port))
        )
    if c.health_check is not None:
        message.health_checks.append(_health_check(c.health_check, http2=c.protocol in _HTTP2))
        message.ignore_health_on_host_removal = True
    if c.circuit_breakers != graph.CircuitBreakers():
        message.circuit_breakers.CopyFrom(_circuit_breakers(c.circuit_breakers))
    if c.protocol in _TLS:
        message.transport_socket.CopyFrom(tls.upstream(c, options, _client_certificate(client_secret, source)))
    max_requests = options.upstream_max_requests_per_connection if c.http else 0
    if c.idle_timeout is not None or c.protocol in _HTTP2 or max_requests:
        message.typed_extension_protocol_options[_UPSTREAM_OPTIONS].CopyFrom(
            pb.pack(_http_options(c.idle_timeout, http2=c.protocol in _HTTP2, max_requests=max_requests))
        )
    if options.upstream_buffer_limit and c.http:
        message.per_connection_buffer_limit_bytes.value = options.upstream_buffer_limit
    if c.slow_start is not None:
        _set_slow_start(message, c.slow_start)
    return message


def dns_cluster(c: graph.DnsCluster, name: str, options: Options) -> pb.Cluster:
    """The server of a remote key set."""
    message = pb.Cluster(
        name=name,
        type=pb.Cluster.LOGICAL_DNS if c.dns_lookup_family == "all" else pb.Cluster.STRICT_DNS,
        connect_timeout=pb.duration(_DNS_CONNECT_TIMEOUT),
        common_lb_config=_COMMON_LB,
        dns_lookup_family=_DNS_FAMILIES[c.dns_lookup_family],
        load_assignment=endpoints.named(name, c.host, c.port),
    )
    if c.scheme == "https":
        message.transport_socket.CopyFrom(tls.upstream_of_key_set(c, options))
    return message


def extension_cluster(
    c: graph.ExtensionCluster, options: Options, source: pb.ConfigSource, client_secret: str = ""
) -> pb.Cluster:
    """The cluster of an ExtensionService."""
    name = names.extension(c.ref)
    message = pb.Cluster(
        name=name,
        alt_stat_name=name.replace("/", "_"),
        connect_timeout=pb.duration(options.connect_timeout),
        common_lb_config=_COMMON_LB,
        lb_policy=_LB_POLICIES[c.lb_policy],
        type=pb.Cluster.EDS,
        eds_cluster_config=pb.Cluster.EdsClusterConfig(eds_config=source, service_name=name),
    )
    if c.circuit_breakers != graph.CircuitBreakers():
        message.circuit_breakers.CopyFrom(_circuit_breakers(c.circuit_breakers))
    if c.protocol == "h2":
        message.transport_socket.CopyFrom(tls.upstream_extension(c, _client_certificate(client_secret, source)))
    message.typed_extension_protocol_options[_UPSTREAM_OPTIONS].CopyFrom(
        pb.pack(_http_options(c.idle_timeout, http2=c.protocol in _HTTP2))
    )
    return message


def weigh_services(message: pb.Cluster, c: graph.ExtensionCluster) -> None:
    """Make the weights of an ExtensionService's Services count: the reference sends them, but neither tells Envoy to
    look at them nor sets the Services apart, so that there each endpoint gets the same.
    """
    if len(c.targets) > 1 and any(target.weight for target in c.targets):
        message.common_lb_config.locality_weighted_lb_config.SetInParent()


def _client_certificate(secret: str, source: pb.ConfigSource) -> pb.SdsSecretConfig | None:
    return pb.SdsSecretConfig(name=secret, sds_config=source) if secret else None


def _health_check(check: graph.HealthCheck, *, http2: bool) -> pb.HealthCheck:
    message = pb.HealthCheck(
        timeout=pb.duration(check.timeout or _CHECK_TIMEOUT),
        interval=pb.duration(check.interval or _CHECK_INTERVAL),
        unhealthy_threshold=pb.UInt32Value(value=check.unhealthy_threshold or _CHECK_UNHEALTHY),
        healthy_threshold=pb.UInt32Value(value=check.healthy_threshold or _CHECK_HEALTHY),
    )
    if check.tcp:
        message.tcp_health_check.SetInParent()
        return message
    message.http_health_check.CopyFrom(
        pb.HealthCheck.HttpHealthCheck(
            path=check.path,
            host=check.host or _CHECK_HOST,
            codec_client_type=pb.CodecClientType.HTTP2 if http2 else pb.CodecClientType.HTTP1,
            expected_statuses=[pb.Int64Range(start=start, end=end) for start, end in check.expected_statuses],
        )
    )
    return message


def _circuit_breakers(limits: graph.CircuitBreakers) -> pb.CircuitBreakers:
    """Both lists are there whenever any limit is set; they also switch the statistics of what remains on."""
    threshold = pb.CircuitBreakers.Thresholds(track_remaining=True)
    for field in ("max_connections", "max_pending_requests", "max_requests", "max_retries"):
        if limit := getattr(limits, field):
            getattr(threshold, field).value = limit
    per_host = pb.CircuitBreakers.Thresholds(track_remaining=True)
    if limits.per_host_max_connections:
        per_host.max_connections.value = limits.per_host_max_connections
    return pb.CircuitBreakers(thresholds=[threshold], per_host_thresholds=[per_host])


def _http_options(idle_timeout: graph.Timeout, *, http2: bool, max_requests: int = 0) -> pb.UpstreamHttpOptions:
    message = pb.UpstreamHttpOptions()
    if http2:
        message.explicit_http_config.http2_protocol_options.SetInParent()
    else:
        message.explicit_http_config.http_protocol_options.SetInParent()
    if idle_timeout is not None:
        message.common_http_protocol_options.idle_timeout.CopyFrom(pb.duration(idle_timeout))
    if max_requests:
        message.common_http_protocol_options.max_requests_per_connection.value = max_requests
    return message


def _set_slow_start(message: pb.Cluster, start: graph.SlowStart) -> None:
    config = pb.Cluster.SlowStartConfig(
        slow_start_window=pb.duration(start.window),
        aggression=pb.RuntimeDouble(default_value=start.aggression, runtime_key="contour.slowstart.aggression"),
        min_weight_percent=pb.Percent(value=start.min_weight_percent),
    )
    if message.lb_policy == pb.Cluster.LEAST_REQUEST:
        message.least_request_lb_config.slow_start_config.CopyFrom(config)
    else:
        message.round_robin_lb_config.slow_start_config.CopyFrom(config)
