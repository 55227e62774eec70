"""ExtensionService: a service that Envoy itself asks, for authorization, rate limits or traces (httpproxy.md §2.22).

Evaluated by itself. Whoever refers to one asks `Lookup.extension`, which knows those without an error only.
"""

from __future__ import annotations

from contour.api.extensionservice import CircuitBreakerPolicy, ExtensionServiceSpec
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import (
    CircuitBreakers,
    Extension,
    ExtensionCluster,
    ExtensionTarget,
    ServicePort,
    UpstreamValidation,
)
from contour.dag.policy.timeout import NO_TIMEOUTS, timeouts
from contour.dag.report import Report
from contour.dag.services import find_port
from contour.dag.sources import Lookup
from contour.dag.upstream import client_certificate_error
from contour.dag.upstream_validation import checked, not_delegated
from contour.dag.verdict import Finding, Invalid

_DEFAULT_PROTOCOL = "h2"
_STRATEGIES = ("WeightedLeastRequest", "Random")
_UNSUPPORTED_STRATEGIES = ("Cookie", "RequestHash")


def evaluate(lookup: Lookup, ref: Ref, spec: ExtensionServiceSpec) -> Extension:
    report = Report()
    cluster = _cluster(lookup, ref, spec, report)
    verdict = report.verdict
    return Extension(verdict, cluster if verdict.valid else None)


def _cluster(lookup: Lookup, ref: Ref, spec: ExtensionServiceSpec, report: Report) -> ExtensionCluster | None:
    """Steps in the order of §2.22."""
    limits = timeouts(spec.timeout_policy)
    if isinstance(limits, Invalid):
        report.error("SpecError", "TimeoutPolicyNotValid", f"spec.timeoutPolicy failed to parse: {limits.text}")
        limits = NO_TIMEOUTS
    if finding := client_certificate_error(lookup):
        report.add(finding)
    protocol = spec.protocol if spec.protocol is not None else _DEFAULT_PROTOCOL
    strategy = spec.load_balancer_policy.strategy if spec.load_balancer_policy is not None else ""
    if strategy in _UNSUPPORTED_STRATEGIES:
        _ignored(report, f'".Spec.LoadBalancerPolicy"; {strategy} load balancer policy is')
    if spec.timeout_policy is not None and spec.timeout_policy.idle:
        _ignored(report, '".Spec.TimeoutPolicy.Idle"; idle timeouts are')
    validation: UpstreamValidation | None = None
    if spec.validation is not None:
        secret = namespaced_ref(spec.validation.ca_secret, ref.namespace)
        if not lookup.delegated(secret, ref.namespace):
            report.add(not_delegated(secret))
            return None
        found = checked(lookup, spec.validation, secret)
        if isinstance(found, Invalid):
            report.error("SpecError", "TLSUpstreamValidation", f"TLS upstream validation policy error: {found.text}")
            return None
        validation = found
        if protocol != _DEFAULT_PROTOCOL:
            report.error(
                "SpecError",
                "InconsistentProtocol",
                f"upstream TLS validation not supported for {quote(protocol)} protocol",
            )
    return ExtensionCluster(
        ref=ref,
        targets=_targets(lookup, ref, spec, report),
        lb_policy=strategy if strategy in _STRATEGIES else "",
        protocol=protocol,
        sni=validation.subject_names[0] if validation is not None else "",
        validation=validation,
        idle_timeout=limits.idle_connection,
        circuit_breakers=_limits(spec.circuit_breaker_policy, lookup.options.circuit_breakers),
    )


def _targets(lookup: Lookup, ref: Ref, spec: ExtensionServiceSpec, report: Report) -> tuple[ExtensionTarget, ...]:
    targets = []
    for target in spec.services:
        service = Ref(ref.namespace, target.name)
        found = lookup.service(service)
        port = find_port(found, service, str(target.port))
        if isinstance(port, Invalid):
            report.error(
                "ServiceError", "ServiceUnresolvedReference", f"unresolved service {quote(service)}: {port.text}"
            )
        elif found is not None and found.says_external_name:
            report.error(
                "ServiceError",
                "UnsupportedServiceType",
                f'Service {quote(service)} is of unsupported type "ExternalName".',
            )
        else:
            targets.append(
                ExtensionTarget(ServicePort(*service, port=port.port, port_name=port.name), weight=target.weight)
            )
    return tuple(targets)


def _limits(policy: CircuitBreakerPolicy | None, default: CircuitBreakers) -> CircuitBreakers:
    """A policy replaces all limits of the settings, also those that it does not name."""
    if policy is None:
        return default
    return CircuitBreakers(
        policy.max_connections,
        policy.max_pending_requests,
        policy.max_requests,
        policy.max_retries,
        policy.per_host_max_connections,
    )


def _ignored(report: Report, what: str) -> None:
    message = f"ignoring field {what} not supported for ExtensionClusters"
    report.warn((Finding("SpecError", "IgnoredField", message),))
