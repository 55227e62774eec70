"""What routes and TCP proxies have in common about a service: its port, its protocol, how Envoy speaks TLS to it.

httpproxy.md §2.9, §2.10.
"""

from __future__ import annotations

import msgspec

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import quote
from contour.dag.graph import HealthCheck, UpstreamValidation
from contour.dag.services import ResolvedPort, resolve
from contour.dag.sources import Lookup
from contour.dag.upstream_validation import upstream_validation
from contour.dag.verdict import Finding, Invalid

_PROTOCOLS = ("h2", "h2c", "tls")
_TLS_PROTOCOLS = ("h2", "tls")


class Upstream(msgspec.Struct, frozen=True, gc=False):
    resolved: ResolvedPort
    protocol: str
    validation: UpstreamValidation | None

    def checked(self, policy: HealthCheck | None) -> HealthCheck | None:
        """The health check with the port that this service's health is asked on."""
        if policy is None or not self.resolved.health_port:
            return policy
        return msgspec.structs.replace(policy, port=self.resolved.health_port, port_name=self.resolved.health_port_name)


def upstream(
    lookup: Lookup, namespace: str, service: api.Service, *, health_checked: bool
) -> Upstream | Finding | Invalid:
    """`Invalid`: the reference does not resolve, or not to a port that may be used."""
    ref = Ref(namespace, service.name)
    health_port = service.health_port if health_checked else 0
    resolved = resolve(
        lookup.service(ref),
        ref,
        str(service.port),
        health_port=str(health_port) if health_port > 0 else "",
        external_names=lookup.options.enable_external_name,
    )
    if isinstance(resolved, Invalid):
        return resolved
    protocol = resolved.upstream_protocol if service.protocol is None else service.protocol
    if service.protocol is not None and protocol not in _PROTOCOLS:
        return Finding("ServiceError", "UnsupportedProtocol", f"unsupported protocol: {protocol}")
    validation: UpstreamValidation | None = None
    if service.validation is not None and protocol in _TLS_PROTOCOLS:
        validated = upstream_validation(lookup, service, service.validation, namespace)
        if isinstance(validated, Finding):
            return validated
        validation = validated
    return Upstream(resolved, protocol, validation)


def client_certificate_error(lookup: Lookup) -> Finding | None:
    """Why what Envoy is to show to TLS upstreams cannot be used. The administrator named it: no delegation is needed."""
    secret = lookup.options.client_certificate
    if secret is None or not (error := lookup.serving_error(secret)):
        return None
    text = f"tls.envoy-client-certificate Secret {quote(secret)} is invalid: {error.text}"
    return Finding("TLSError", "SecretNotValid", text)
