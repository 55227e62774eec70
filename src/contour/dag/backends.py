"""The services of a route: clusters with weights, and a mirror (httpproxy.md §2.10)."""

from __future__ import annotations

import msgspec

from contour.api import projectcontour as api
from contour.api.scalars import quote
from contour.dag.graph import Backend, Cluster, CookieRewrite, Headers, HealthCheck, Mirror, RateLimits
from contour.dag.options import Options
from contour.dag.policy.cookies import cookie_rewrites, merged
from contour.dag.policy.default_headers import with_default_request, with_default_response
from contour.dag.policy.headers import request_headers, response_headers
from contour.dag.policy.loadbalancer import LoadBalancing
from contour.dag.policy.slowstart import slow_start
from contour.dag.policy.timeout import Timeouts
from contour.dag.report import Report
from contour.dag.services import limits
from contour.dag.sources import Lookup
from contour.dag.upstream import Upstream, client_certificate_error, upstream
from contour.dag.verdict import Finding, Invalid


class RoutePolicies(msgspec.Struct, frozen=True, gc=False):
    """What a route says about all of its services."""

    timeouts: Timeouts
    rate_limits: RateLimits | None
    load_balancing: LoadBalancing
    health_check: HealthCheck | None
    request_headers: Headers
    response_headers: Headers
    cookie_rewrites: tuple[CookieRewrite, ...]


class Backends(msgspec.Struct, frozen=True, gc=False):
    backends: tuple[Backend, ...]
    mirrors: tuple[Mirror, ...]


def backends(
    lookup: Lookup, namespace: str, services: tuple[api.Service, ...], policies: RoutePolicies, report: Report
) -> Backends | Finding:
    """A `Finding` fails the whole route; a service that does not exist is reported and left out."""
    found: list[Backend] = []
    mirrors: list[Mirror] = []
    for service in services:
        backend = _backend(lookup, namespace, service, policies)
        if isinstance(backend, Finding):
            return backend
        if isinstance(backend, Invalid):
            report.error(
                "ServiceError",
                "ServiceUnresolvedReference",
                f"Spec.Routes unresolved service reference: {backend.text}",
            )
        elif not service.mirror:
            found.append(backend)
        elif mirrors:
            return _service_error("OnlyOneMirror", "only one service per route may be nominated as mirror")
        else:
            mirrors.append(Mirror(backend.cluster, percent=backend.weight or 100))
    return Backends(tuple(found), tuple(mirrors))


def _backend(
    lookup: Lookup, namespace: str, service: api.Service, policies: RoutePolicies
) -> Backend | Finding | Invalid:
    """`Invalid` means that the reference does not resolve. Steps in the order of the table in §2.10."""
    if not 1 <= service.port <= 65535:
        return _service_error("ServicePortInvalid", f"service {quote(service.name)}: port must be in the range 1-65535")
    to = upstream(lookup, namespace, service, health_checked=policies.health_check is not None)
    if not isinstance(to, Upstream):
        return to
    rewrites = _rewrites(lookup.options, namespace, service)
    if isinstance(rewrites, Finding):
        return rewrites
    request, response, cookies = rewrites
    if error := client_certificate_error(lookup):
        return error
    start = slow_start(service.slow_start_policy, policies.load_balancing.strategy)
    if isinstance(start, Invalid):
        return _service_error("SlowStartInvalid", start.text)
    return Backend(
        cluster=Cluster(
            service=to.resolved.port,
            lb_policy=policies.load_balancing.strategy,
            protocol=to.protocol,
            sni=request.host_rewrite or policies.request_headers.host_rewrite or to.resolved.port.external_name,
            health_check=to.checked(policies.health_check),
            validation=to.validation,
            idle_timeout=policies.timeouts.idle_connection,
            circuit_breakers=limits(to.resolved.circuit_breakers, lookup.options.circuit_breakers),
            slow_start=start,
            dns_lookup_family=lookup.options.dns_lookup_family,
        ),
        weight=service.weight,
        request_headers=request,
        response_headers=response,
        cookie_rewrites=merged(policies.cookie_rewrites, cookies),
    )


def _rewrites(
    options: Options, namespace: str, service: api.Service
) -> tuple[Headers, Headers, tuple[CookieRewrite, ...]] | Finding:
    """Headers of requests, of responses, and cookies."""
    variables = {
        "CONTOUR_NAMESPACE": namespace,
        "CONTOUR_SERVICE_NAME": service.name,
        "CONTOUR_SERVICE_PORT": str(service.port),
    }
    request = request_headers(service.request_headers_policy, variables)
    if not isinstance(request, Invalid):
        request = with_default_request(request, options.request_headers, variables)
    if isinstance(request, Invalid):
        return _service_error("RequestHeadersPolicyInvalid", f"{request.text} on request headers")
    response = response_headers(service.response_headers_policy, variables)
    if not isinstance(response, Invalid):
        response = with_default_response(response, options.response_headers, variables)
    if isinstance(response, Invalid):
        return _service_error("ResponseHeadersPolicyInvalid", f"{response.text} on response headers")
    cookies = cookie_rewrites(service.cookie_rewrite_policies)
    if isinstance(cookies, Invalid):
        return Finding("RouteError", "CookieRewritePoliciesInvalid", f"{cookies.text} on service cookie rewrite rules")
    return request, response, cookies


def _service_error(reason: str, message: str) -> Finding:
    return Finding("ServiceError", reason, message)
