"""The flags of `serve` that shape configuration, as they were given (operations.md §1.3)."""

from __future__ import annotations

import msgspec


class Flags(msgspec.Struct, frozen=True, gc=False):
    """`None`: not given. Lists are comma lists as typed."""

    accesslog_format: str | None = None
    envoy_http_access_log: str | None = None
    envoy_https_access_log: str | None = None
    envoy_service_http_address: str | None = None
    envoy_service_http_port: int | None = None
    envoy_service_https_address: str | None = None
    envoy_service_https_port: int | None = None
    envoy_service_name: str | None = None
    envoy_service_namespace: str | None = None
    ingress_class_name: str | None = None
    ingress_status_address: str | None = None
    root_namespaces: str | None = None
    stats_address: str | None = None
    stats_port: int | None = None
    use_proxy_protocol: bool | None = None
    watch_namespaces: str | None = None
    # About the process itself.
    contour_cafile: str | None = None
    contour_cert_file: str | None = None
    contour_key_file: str | None = None
    debug_http_address: str | None = None
    debug_http_port: int | None = None
    health_address: str | None = None
    health_port: int | None = None
    http_address: str | None = None
    http_port: int | None = None
    insecure: bool | None = None
    xds_address: str | None = None
    xds_port: int | None = None


NO_FLAGS = Flags()


def comma_list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
