"""Settings that decide what the graph is; built by `contour.control.settings` from flags and the configuration file."""

from __future__ import annotations

import msgspec

from contour.api.meta import Ref
from contour.api.projectcontour import AuthorizationServer, GlobalRateLimitPolicy
from contour.dag.graph import CircuitBreakers


class HeaderDefaults(msgspec.Struct, frozen=True, gc=False):
    """Headers that are set or removed unless an object says otherwise; values and order of `remove` as written."""

    set: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class RateLimitService(msgspec.Struct, frozen=True, gc=False):
    """The global rate limit service (operations.md §2.4.9, §7.8)."""

    extension: Ref
    domain: str = "contour"  # Envoy refuses an empty one
    fail_open: bool = False
    x_ratelimit_headers: bool = False
    resource_exhausted_code: bool = False
    default_policy: GlobalRateLimitPolicy | None = None  # of HTTPProxy hosts without one


class Options(msgspec.Struct, frozen=True, gc=False):
    """Defaults are those of the reference (operations.md §2.4).

    `authorization` is what a virtual host's `authorization` would say, for all of them (§2.4.10): a host with its own
    does not inherit it. References are Secrets and ExtensionServices, looked up without asking for delegation.
    """

    ingress_class_names: tuple[str, ...] = ()
    root_namespaces: tuple[str, ...] = ()
    disable_permit_insecure: bool = False
    dns_lookup_family: str = "auto"
    loopback_endpoints: bool = False  # `contour run` allows them; a cluster does not (security.md)
    enable_external_name: bool = False  # ExternalName services as upstreams (security.md: off)
    fallback_certificate: Ref | None = None
    client_certificate: Ref | None = None  # what Envoy shows to TLS upstreams
    circuit_breakers: CircuitBreakers = CircuitBreakers()  # for each limit that a Service leaves at 0
    request_headers: HeaderDefaults = HeaderDefaults()
    response_headers: HeaderDefaults = HeaderDefaults()
    headers_apply_to_ingress: bool = False
    authorization: AuthorizationServer | None = None
    rate_limit_service: RateLimitService | None = None
    gateway: Ref | None = None

    @property
    def secret_namespaces(self) -> tuple[str, ...]:
        """Where Secrets are looked at; () for everywhere. With root namespaces the reference sees only theirs and those
        of the certificates that the settings name (httpproxy.md §2.1).
        """
        if not self.root_namespaces:
            return ()
        named = (self.fallback_certificate, self.client_certificate)
        return (*self.root_namespaces, *(ref.namespace for ref in named if ref is not None))
