"""The bootstrap of an Envoy, and the SDS files beside it, as JSON values (operations.md §3).

Plain dicts, because that is what is written: no generated code is imported for a command that runs in an init container.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

import msgspec

Json = dict[str, Any]
ShapeName = Literal["scoped", "classic"]

XDS_CLUSTER = "contour"
NODE_METADATA: Json = {"contour": {"shape": "scoped"}}  # by this the server knows which shape to send (envoy.md §2)

ADMIN_SOCKET = "/admin/admin.sock"
CERTIFICATE_FILE = "sds/xds-tls-certificate.json"
VALIDATION_FILE = "sds/xds-validation-context.json"

_TYPE = "type.googleapis.com/envoy."
_TLS = _TYPE + "extensions.transport_sockets.tls.v3."
_SOCKET_MODE = 0o644
_DEFAULT_ADMIN_PORT = 9001  # says only how the statistics of the admin cluster are called
_CERTIFICATE_NAME = "contour_xds_tls_certificate"
_VALIDATION_NAME = "contour_xds_tls_validation_context"
_DNS_FAMILIES = {"v4": "V4_ONLY", "v6": "V6_ONLY", "all": "ALL"}

# Envoy reads at most a window of a first load before it has applied it; 256 MiB holds 100,000 hosts (envoy.md §3).
_WINDOW = 256 * 1024 * 1024

# In this order (operations.md §3.3).
_SIGNATURE_ALGORITHMS = (
    "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha384",
    "rsa_pkcs1_sha384",
    "ecdsa_secp521r1_sha512",
    "rsa_pss_rsae_sha512",
    "rsa_pkcs1_sha512",
    "rsa_pkcs1_sha1",
)


class Settings(msgspec.Struct, frozen=True, gc=False):
    """What the flags of `contour bootstrap` say (operations.md §1.4), with their defaults.

    `xds_socket`: a Unix socket instead of address and port, for an Envoy on the same machine. The three TLS files are
    all there or none. With `resources_dir` Envoy reads them through SDS files and so follows their rotation.
    """

    shape: ShapeName = "scoped"
    admin_address: str = ADMIN_SOCKET
    admin_port: int = 0
    dns_lookup_family: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: str = "projectcontour"
    max_downstream_connections: int = 0
    max_heap_bytes: int = 0
    resources_dir: str = ""
    xds_address: str = "127.0.0.1"
    xds_port: int = 8001
    xds_socket: str = ""


def bootstrap(settings: Settings) -> Json:
    """The bootstrap as protobuf JSON with the original field names; fields of value zero are left out."""
    xds = _config_source(settings)
    config: Json = {
        "static_resources": {"clusters": [_xds_cluster(settings), _admin_cluster(settings)]},
        "dynamic_resources": {"lds_config": xds, "cds_config": xds},
        "layered_runtime": {
            "layers": [
                {"name": "dynamic", "rtds_layer": {"name": "dynamic", "rtds_config": xds}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "default_regex_engine": {
            "name": "envoy.regex_engines.google_re2",
            "typed_config": {"@type": _TYPE + "extensions.regex_engines.v3.GoogleRE2"},
        },
        "admin": {
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": _TYPE + "extensions.access_loggers.file.v3.FileAccessLog",
                        "path": "/dev/null",
                    },
                }
            ],
            "address": _pipe(settings.admin_address),
        },
    }
    if settings.shape == "scoped":
        config |= _scoped()
        config["dynamic_resources"]["ads_config"] = {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "grpc_services": [_reconnecting(_grpc_service())],
            "set_node_on_first_message_only": True,  # the node is 61 KB with its list of extensions (envoy.md §3)
        }
    if overload := _overload_manager(settings):
        config["overload_manager"] = overload
    return config


def sds_files(settings: Settings) -> dict[str, Json]:
    """Files below `resources_dir`, by relative path, in the order in which they are written."""
    if not (settings.resources_dir and settings.ca_file):
        return {}
    certificate = {
        "certificate_chain": {"filename": settings.cert_file},
        "private_key": {"filename": settings.key_file},
    }
    return {
        CERTIFICATE_FILE: _sds_file(_CERTIFICATE_NAME, tls_certificate=certificate),
        VALIDATION_FILE: _sds_file(_VALIDATION_NAME, validation_context=_validation(settings)),
    }


# --- where configuration comes from --------------------------------------------------------------------------------


def _config_source(settings: Settings) -> Json:
    if settings.shape == "scoped":
        return {"ads": {}, "resource_api_version": "V3"}
    return {
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [_grpc_service()],
        },
        "resource_api_version": "V3",
    }


def _grpc_service() -> Json:
    return {"envoy_grpc": {"cluster_name": XDS_CLUSTER, "authority": XDS_CLUSTER}}


def _reconnecting(service: Json) -> Json:
    """Back soon when a replica of the server goes: by itself Envoy waits up to half a second, and up to 30 s later on.

    Each wait is anything up to the interval, so that many Envoys do not come back at once.
    """
    service["envoy_grpc"]["retry_policy"] = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
    return service


_DURATIONS = r"(cluster|sds)\..*\.update_duration"


def _scoped() -> Json:
    """What makes an Envoy of 10,000 hosts smaller and its changes quicker, without a statistic less that says something.

    Without deferred statistics it takes 60 % more memory (envoy.md §1); workers make a cluster when a request first
    needs it (40 MB); of subsets and zones, which nothing here configures, nothing is counted (30 MB); how long an update
    of one set of endpoints or one certificate took is no histogram for each of them (5.5 KB, 23 lines of a scrape).
    Flushed every 5 s for no sink, statistics hold up the main thread, and with it every change, for up to half a
    second; a scrape flushes them too.
    """
    unused = [{"contains": ".lb_subsets_"}, {"contains": ".lb_zone_"}, {"safe_regex": {"regex": _DURATIONS}}]
    return {
        "node": {"metadata": NODE_METADATA},
        "cluster_manager": {"enable_deferred_cluster_creation": True},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "stats_config": {"stats_matcher": {"exclusion_list": {"patterns": unused}}},
        "stats_flush_on_admin": True,
    }


# --- clusters ------------------------------------------------------------------------------------------------------


def _xds_cluster(settings: Settings) -> Json:
    http2 = {}
    if settings.shape == "scoped":
        http2 = {"initial_stream_window_size": _WINDOW, "initial_connection_window_size": _WINDOW}
    limits = {
        "max_connections": 100000,
        "max_pending_requests": 100000,
        "max_requests": 60000000,
        "max_retries": 50,
        "track_remaining": True,
    }
    cluster: Json = {
        "name": XDS_CLUSTER,
        "alt_stat_name": f"{settings.namespace}_{XDS_CLUSTER}_{settings.xds_port}",
        "type": "STATIC" if settings.xds_socket or _is_ip(settings.xds_address) else "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": _load_assignment(XDS_CLUSTER, _xds_address(settings)),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": http2},
            }
        },
        "circuit_breakers": {"thresholds": [{"priority": "HIGH", **limits}, limits]},
    }
    if not settings.xds_socket:
        cluster["upstream_connection_options"] = {
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 5}
        }
    if family := _DNS_FAMILIES.get(settings.dns_lookup_family):
        cluster["dns_lookup_family"] = family
    if settings.ca_file:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _TLS + "UpstreamTlsContext", "common_tls_context": _tls_context(settings)},
        }
    return cluster


def _admin_cluster(settings: Settings) -> Json:
    name = "envoy-admin"
    return {
        "name": name,
        "alt_stat_name": f"{settings.namespace}_{name}_{settings.admin_port or _DEFAULT_ADMIN_PORT}",
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": _load_assignment(name, _pipe(settings.admin_address)),
    }


def _load_assignment(name: str, address: Json) -> Json:
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def _xds_address(settings: Settings) -> Json:
    if settings.xds_socket:
        return {"pipe": {"path": settings.xds_socket}}
    address: Json = {"address": settings.xds_address, "port_value": settings.xds_port}
    if settings.xds_address == "::":
        address["ipv4_compat"] = True
    return {"socket_address": address}


def _pipe(path: str) -> Json:
    return {"pipe": {"path": path, "mode": _SOCKET_MODE}}


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


# --- TLS to the xDS server (operations.md §3.3) ---------------------------------------------------------------------


def _tls_context(settings: Settings) -> Json:
    versions = {"tls_maximum_protocol_version": "TLSv1_3"}
    if settings.resources_dir:
        return {
            "tls_params": versions | {"signature_algorithms": list(_SIGNATURE_ALGORITHMS)},
            "tls_certificate_sds_secret_configs": [
                _sds_config(_CERTIFICATE_NAME, f"{settings.resources_dir}/{CERTIFICATE_FILE}")
            ],
            "validation_context_sds_secret_config": _sds_config(
                _VALIDATION_NAME, f"{settings.resources_dir}/{VALIDATION_FILE}"
            ),
        }
    return {
        "tls_params": versions,
        "tls_certificates": [
            {
                "certificate_chain": {"filename": settings.cert_file},
                "private_key": {"filename": settings.key_file},
            }
        ],
        "validation_context": _validation(settings),
    }


def _validation(settings: Settings) -> Json:
    return {
        "trusted_ca": {"filename": settings.ca_file},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "contour"}}],
    }


def _sds_config(name: str, path: str) -> Json:
    return {"name": name, "sds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"}}


def _sds_file(name: str, **secret: Json) -> Json:
    return {"resources": [{"@type": _TLS + "Secret", "name": name, **secret}]}


# --- overload (operations.md §3.4) ----------------------------------------------------------------------------------


def _overload_manager(settings: Settings) -> Json | None:
    monitors: list[Json] = []
    actions: list[Json] = []
    if settings.max_heap_bytes:
        name = "envoy.resource_monitors.fixed_heap"
        heap = {"max_heap_size_bytes": str(settings.max_heap_bytes)}  # 64-bit numbers are strings in protobuf JSON
        monitors.append(_monitor(name, "fixed_heap.v3.FixedHeapConfig", heap))
        for action, threshold in (("shrink_heap", 0.95), ("stop_accepting_requests", 0.98)):
            actions.append(
                {
                    "name": f"envoy.overload_actions.{action}",
                    "triggers": [{"name": name, "threshold": {"value": threshold}}],
                }
            )
    if settings.max_downstream_connections:
        name = "envoy.resource_monitors.global_downstream_max_connections"
        limit = {"max_active_downstream_connections": str(settings.max_downstream_connections)}
        monitors.append(_monitor(name, "downstream_connections.v3.DownstreamConnectionsConfig", limit))
    if not monitors:
        return None
    manager: Json = {"refresh_interval": "0.250s", "resource_monitors": monitors}
    return manager | ({"actions": actions} if actions else {})


def _monitor(name: str, message: str, values: Json) -> Json:
    return {"name": name, "typed_config": {"@type": f"{_TYPE}extensions.resource_monitors.{message}", **values}}
