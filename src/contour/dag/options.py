"""Settings that decide what the graph is; built by `contour.control.settings` from flags and the configuration file."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True, gc=False):
    """Defaults are those of the reference (operations.md §2.4)."""

    ingress_class_names: tuple[str, ...] = ()
    root_namespaces: tuple[str, ...] = ()
    disable_permit_insecure: bool = False
    dns_lookup_family: str = "auto"
    loopback_endpoints: bool = False  # `contour run` allows them; a cluster does not (security.md)
    enable_external_name: bool = False  # ExternalName services as upstreams (security.md: off)
