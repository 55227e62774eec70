"""The services of a route of an IngressRoute (operations.md §12.2)."""

from __future__ import annotations

import msgspec

from contour.api import heptio as api
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.projectcontour import LoadBalancerPolicy
from contour.api.scalars import SECOND, quote
from contour.dag.graph import Backend, Cluster, HashPolicy, HealthCheck, UpstreamValidation
from contour.dag.ingressroute_walk import error
from contour.dag.policy.loadbalancer import load_balancer
from contour.dag.services import limits, resolve
from contour.dag.sources import Lookup
from contour.dag.upstream import client_certificate_error
from contour.dag.verdict import Finding

_STRATEGIES = ("WeightedLeastRequest", "Random", "Cookie")


def backends(lookup: Lookup, namespace: str, route: api.Route) -> tuple[Backend, ...] | Finding:
    found = []
    for service in route.services:
        backend = _backend(lookup, namespace, route, service)
        if isinstance(backend, Finding):
            return backend
        found.append(backend)
    return tuple(found)


def hash_policies(served: tuple[Backend, ...]) -> tuple[HashPolicy, ...]:
    """Of the route: it has the cookie as soon as one of its services wants it."""
    if any(backend.cluster.lb_policy == "Cookie" for backend in served):
        return load_balancer(LoadBalancerPolicy(strategy="Cookie")).hash_policies
    return ()


def cluster(lookup: Lookup, ref: Ref, service: api.Service) -> Cluster | Invalid:
    """Without what is checked: health and certificate."""
    options = lookup.options
    resolved = resolve(lookup.service(ref), ref, str(service.port), external_names=options.enable_external_name)
    if isinstance(resolved, Invalid):
        return resolved
    return Cluster(
        service=resolved.port,
        lb_policy=service.strategy if service.strategy in _STRATEGIES else "",
        protocol=resolved.upstream_protocol,
        sni=resolved.port.external_name,
        circuit_breakers=limits(resolved.circuit_breakers, options.circuit_breakers),
        dns_lookup_family=options.dns_lookup_family,
    )


def _backend(lookup: Lookup, namespace: str, route: api.Route, service: api.Service) -> Backend | Finding:
    where = f"route {quote(route.match)}: service {quote(service.name)}:"
    if not 1 <= service.port <= 65535:
        return error("ServicePortInvalid", f"{where} port must be in the range 1-65535")
    if not 0 <= service.weight < 2**32:
        return error("ServiceWeightInvalid", f"{where} weight must be greater than or equal to zero")
    found = cluster(lookup, Ref(namespace, service.name), service)
    if isinstance(found, Invalid):
        return error("ServiceNotFound", f"Service [{service.name}:{service.port}] is invalid or missing")
    validation = _validation(lookup, namespace, service) if found.protocol == "tls" else None
    if isinstance(validation, Finding):
        return validation
    if bad := client_certificate_error(lookup):
        return error(bad.reason, bad.message)
    checked = msgspec.structs.replace(found, health_check=_health_check(service.health_check), validation=validation)
    return Backend(checked, weight=service.weight)


def _health_check(check: api.HealthCheck | None) -> HealthCheck | None:
    if check is None:
        return None
    return HealthCheck(
        path=check.path,
        host=check.host,
        timeout=check.timeout_seconds * SECOND,
        interval=check.interval_seconds * SECOND,
        unhealthy_threshold=check.unhealthy_threshold_count,
        healthy_threshold=check.healthy_threshold_count,
    )


def _validation(lookup: Lookup, namespace: str, service: api.Service) -> UpstreamValidation | Finding | None:
    policy = service.validation
    if policy is None:
        return None
    secret = Ref(namespace, policy.ca_secret)
    bundle = lookup.ca_bundle(secret)
    if isinstance(bundle, Invalid):
        problem = f"invalid CA Secret {quote(secret)}: {bundle.text}"
    elif not policy.subject_name:
        problem = "missing subject alternative name"
    else:
        return UpstreamValidation(ca_secret=secret, ca=bundle, subject_names=(policy.subject_name,))
    text = f"Service [{service.name}:{service.port}] TLS upstream validation policy error: {problem}"
    return error("TLSUpstreamValidation", text)
