"""What the graph takes from a Service object, and how a reference to one of its ports is resolved.

Used for HTTPProxy (httpproxy.md §2.10, §2.20, §2.21) and for Ingress (operations.md §5.2, §5.5): same rules, same texts.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from contour.api.annotations import OLD_PREFIX, PREFIX
from contour.api.annotations import value as annotation
from contour.api.core import Service
from contour.api.meta import Ref
from contour.api.scalars import quote
from contour.dag.externalname import external_name_error
from contour.dag.graph import CircuitBreakers, ServicePort
from contour.dag.verdict import Invalid

# In this order, so that for a port named by several of them tls beats h2c, and h2c beats h2 (§2.21).
_ANNOTATED_PROTOCOLS = ("h2", "h2c", "tls")
_APP_PROTOCOLS = {"kubernetes.io/h2c": "h2c", "https": "tls"}  # all others: HTTP/1.1 without TLS
_MAX_UINT32 = 2**32 - 1

NO_LIMITS = CircuitBreakers()


class PortFacts(msgspec.Struct, frozen=True, gc=False):
    name: str
    port: int
    protocol: str  # of the transport: "" is TCP
    upstream_protocol: str  # "", h2, h2c, tls


class ServiceFacts(msgspec.Struct, frozen=True, gc=False):
    """The part of a Service that a host depends on; labels, status and other annotations are left out on purpose."""

    ports: tuple[PortFacts, ...] = ()
    external_name: str = ""  # of services of type ExternalName only
    says_external_name: bool = False  # of whatever type: enough for an ExtensionService to refuse it (§2.22)
    circuit_breakers: CircuitBreakers = NO_LIMITS


class ResolvedPort(msgspec.Struct, frozen=True, gc=False):
    """A reference to a Service's port that holds."""

    port: ServicePort
    upstream_protocol: str
    circuit_breakers: CircuitBreakers
    health_port: int = 0  # 0: health is checked on the port of the traffic
    health_port_name: str = ""


def service_facts(service: Service | None) -> ServiceFacts | None:
    if service is None:
        return None
    annotations = service.metadata.annotations or {}
    protocols = _annotated_protocols(annotations)
    return ServiceFacts(
        ports=tuple(
            PortFacts(
                name=port.name,
                port=port.port,
                protocol=port.protocol,
                upstream_protocol=(
                    _APP_PROTOCOLS.get(port.app_protocol, "")
                    if port.app_protocol is not None
                    else protocols.get(port.name) or protocols.get(str(port.port), "")
                ),
            )
            for port in service.spec.ports
        ),
        external_name=service.spec.external_name if service.spec.type == "ExternalName" else "",
        says_external_name=bool(service.spec.external_name),
        circuit_breakers=_circuit_breakers(annotations),
    )


def resolve(
    facts: ServiceFacts | None,
    service: Ref,
    port: str,
    *,
    health_port: str = "",
    external_names: bool = False,
) -> ResolvedPort | Invalid:
    """`port` and `health_port`: a port's number in decimal digits or its name; no health port means the same port."""
    found = find_port(facts, service, port)
    if isinstance(found, Invalid):
        return found
    health = found
    if health_port and health_port != port:
        other = find_port(facts, service, health_port)
        if isinstance(other, Invalid):
            return other
        health = other
    assert facts is not None  # noqa: S101 - there was a port on it
    if facts.external_name and (error := external_name_error(service, facts.external_name, enabled=external_names)):
        return Invalid(error)
    separate_health = health.port != found.port
    return ResolvedPort(
        port=ServicePort(
            namespace=service.namespace,
            service=service.name,
            port=found.port,
            port_name=found.name,
            external_name=facts.external_name,
        ),
        upstream_protocol=found.upstream_protocol,
        circuit_breakers=facts.circuit_breakers,
        health_port=health.port if separate_health else 0,
        health_port_name=health.name if separate_health else "",
    )


def find_port(facts: ServiceFacts | None, service: Ref, wanted: str) -> PortFacts | Invalid:
    """A port is meant by its number, or by a name that is equal to the reference as text."""
    if facts is None:
        return Invalid(f"service {quote(str(service))} not found")
    number = _decimal(wanted)
    for port in facts.ports:
        if port.port == number or port.name == wanted:
            if port.protocol not in ("", "TCP"):
                return Invalid(f"unsupported service protocol {quote(port.protocol)}")
            return port
    return Invalid(f"port {quote(wanted)} on service {quote(str(service))} not matched")


def limits(own: CircuitBreakers, default: CircuitBreakers) -> CircuitBreakers:
    """A Service's own limits; those of the settings for each that it leaves open."""
    if default in (NO_LIMITS, own):
        return own
    pairs = zip(msgspec.structs.astuple(own), msgspec.structs.astuple(default), strict=True)
    return CircuitBreakers(*(mine or theirs for mine, theirs in pairs))


def _annotated_protocols(annotations: Mapping[str, str]) -> dict[str, str]:
    """Port name or number -> protocol."""
    return {
        item.strip(): protocol
        for protocol in _ANNOTATED_PROTOCOLS
        for item in annotation(annotations, f"upstream-protocol.{protocol}").split(",")
        if item.strip()
    }


def _circuit_breakers(annotations: Mapping[str, str]) -> CircuitBreakers:
    def limit(name: str) -> int:
        number = _decimal(annotation(annotations, name))
        return number if number is not None and number <= _MAX_UINT32 else 0

    if not any(key.startswith((PREFIX, OLD_PREFIX)) for key in annotations):
        return NO_LIMITS
    return CircuitBreakers(
        max_connections=limit("max-connections"),
        max_pending_requests=limit("max-pending-requests"),
        max_requests=limit("max-requests"),
        max_retries=limit("max-retries"),
        per_host_max_connections=limit("per-host-max-connections"),
    )


def _decimal(text: str) -> int | None:
    """Digits only; longer than any port or limit is no number (Python itself refuses thousands of digits)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
