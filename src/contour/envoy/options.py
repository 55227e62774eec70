"""Settings that decide what Envoy is told; built by `contour.control.settings` from flags and the configuration file."""

from __future__ import annotations

import msgspec

from contour.dag.graph import Timeout

_SECOND = 1_000_000_000

DEFAULT_CIPHER_SUITES = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)


class Options(msgspec.Struct, frozen=True, gc=False):
    """Defaults are those of `contour serve` without flags or file (operations.md §1.3, §2.4)."""

    http_address: str = "0.0.0.0"
    http_port: int = 8080
    http_access_log: str = "/dev/stdout"
    https_address: str = "0.0.0.0"
    https_port: int = 8443
    https_access_log: str = "/dev/stdout"
    stats_address: str = "0.0.0.0"
    stats_port: int = 8002
    admin_port: int = 9001  # 0: no admin listener
    use_proxy_protocol: bool = False
    min_tls: str = "1.2"
    max_tls: str = "1.3"
    cipher_suites: tuple[str, ...] = DEFAULT_CIPHER_SUITES
    connection_idle_timeout: Timeout = 60 * _SECOND
    connect_timeout: int = 2 * _SECOND
