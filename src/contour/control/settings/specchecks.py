"""What a complete `spec` may say, wherever it came from (operations.md §2.5)."""

from __future__ import annotations

from contour.api import configuration as api
from contour.api.scalars import quote
from contour.control.settings import accesslog, tracing
from contour.control.settings import tlsparameters as tls
from contour.control.settings.checks import DNS_FAMILIES
from contour.control.settings.error import SettingsError

_HTTP_VERSIONS = ("HTTP/1.1", "HTTP/2")


def check(spec: api.Spec) -> None:
    """Raises SettingsError."""
    _clash("contour", spec.health, spec.metrics)
    _envoy(spec.envoy or api.Envoy())
    if spec.gateway and not (spec.gateway.gateway_ref.namespace and spec.gateway.gateway_ref.name):
        raise SettingsError("invalid gateway configuration: gateway ref namespace and name must be specified")
    if spec.tracing:
        extension = spec.tracing.extension_service
        tracing.check_samplings(
            spec.tracing.overall_sampling, spec.tracing.client_sampling, spec.tracing.random_sampling
        )
        tracing.check(extension.name if extension else "", spec.tracing.custom_tags)


def _envoy(envoy: api.Envoy) -> None:
    _clash("envoy", envoy.health, envoy.metrics)
    if enforced := envoy.om_enforced_health:
        for found, what in ((envoy.health, "health checks"), (envoy.metrics, "metrics")):
            if found and (found.address, found.port) == (enforced.address, enforced.port):
                raise SettingsError(
                    f"invalid envoy configuration: cannot use the same port for {what} "
                    "and overload-manager enforced health checks"
                )
    if logging := envoy.logging:
        if logging.access_log_format not in accesslog.FORMATS:
            raise SettingsError(f"invalid access log format {quote(logging.access_log_format)}")
        accesslog.check_fields(logging.access_log_json_fields)
        accesslog.check_text(logging.access_log_format_string)
    if bad := [version for version in envoy.default_http_versions if version not in _HTTP_VERSIONS]:
        raise SettingsError(f"invalid HTTP versions {tls.quoted(bad)}")
    if envoy.cluster and envoy.cluster.dns_lookup_family not in DNS_FAMILIES:
        raise SettingsError(f"invalid cluster dns family type {quote(envoy.cluster.dns_lookup_family)}")
    if envoy.listener and (parameters := envoy.listener.tls):
        tls.check_versions(parameters.minimum_protocol_version, parameters.maximum_protocol_version)
        tls.check_ciphers(parameters.cipher_suites)
        tls.check_curves(parameters.ecdh_curves)


def _clash(whose: str, health: api.Endpoint | None, metrics: api.Metrics | None) -> None:
    if health and metrics and metrics.tls and (health.address, health.port) == (metrics.address, metrics.port):
        raise SettingsError(
            f"invalid {whose} configuration: cannot use single port for health over HTTP and metrics over HTTPS"
        )
