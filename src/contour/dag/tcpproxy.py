"""`tcpproxy`: connections are proxied as they are, to services or to what an included proxy says (httpproxy.md §2.9)."""

from __future__ import annotations

from typing import NamedTuple

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.dag.graph import Backend, Cluster, HealthCheck, TCPProxy
from contour.dag.report import Report
from contour.dag.sources import Proxy
from contour.dag.upstream import client_certificate_error, upstream
from contour.dag.verdict import Finding, Invalid
from contour.dag.walk import Walk, origin

_SECOND = 1_000_000_000
_STRATEGIES = ("WeightedLeastRequest", "Random")
_REQUEST_STRATEGIES = ("Cookie", "RequestHash")  # there are no requests to choose by


class TCPOutcome(NamedTuple):
    stop: bool
    tcp_proxy: TCPProxy | None = None


def evaluate(walk: Walk, report: Report) -> TCPOutcome:
    """Row 8 of the table in §2.4. Findings about the root go to `report`, others to the walk.

    A proxy that is included and has no `tcpproxy` is no error: nothing is proxied.
    """
    if not walk.tls:
        report.error(
            "TCPProxyError",
            "TLSMustBeConfigured",
            "Spec.TCPProxy requires that either Spec.TLS.Passthrough or Spec.TLS.SecretName be set",
        )
        return TCPOutcome(stop=True)
    visited: dict[Ref, None] = {}
    proxy, current = walk.root, report
    while True:
        visited[proxy.ref] = None
        found = _step(walk, proxy, visited, current)
        if proxy is not walk.root:
            walk.commit(proxy.ref, current)
        if isinstance(found, TCPOutcome):
            return found
        proxy, current = found, Report()


def _step(walk: Walk, proxy: Proxy, visited: dict[Ref, None], report: Report) -> Proxy | TCPOutcome:
    """One proxy of the chain: the next one to go to, or the end."""
    spec = proxy.spec.tcpproxy
    if spec is None:
        return TCPOutcome(stop=False)
    include = spec.include or spec.includes
    if spec.services and include is not None:
        report.error(
            "TCPProxyError", "NoServicesAndInclude", "cannot specify services and include in the same httpproxy"
        )
        return TCPOutcome(stop=True)
    strategy = _strategy(spec.load_balancer_policy, report)
    if spec.services:
        backends = _backends(walk, proxy, spec, strategy)
        if isinstance(backends, Finding):
            report.add(backends)
            return TCPOutcome(stop=True)
        return TCPOutcome(stop=False, tcp_proxy=TCPProxy(backends, origin(proxy)))
    if include is None:
        report.error("TCPProxyError", "NothingDefined", "either services or inclusion must be specified")
        return TCPOutcome(stop=True)
    target = _target(walk, proxy, include, visited)
    if isinstance(target, Finding):
        report.add(target)
        return TCPOutcome(stop=True)
    return target


def _strategy(policy: api.LoadBalancerPolicy | None, report: Report) -> str:
    strategy = policy.strategy if policy is not None else ""
    if strategy in _REQUEST_STRATEGIES:
        text = (
            f'ignoring field "Spec.TCPProxy.LoadBalancerPolicy"; {strategy} load balancer policy is not supported for '
            "TCPProxies"
        )
        report.warn((Finding("TCPProxyError", "IgnoredField", text),))
    return strategy if strategy in _STRATEGIES else ""


def _backends(walk: Walk, proxy: Proxy, spec: api.TCPProxy, strategy: str) -> tuple[Backend, ...] | Finding:
    """Unlike those of a route, one service that cannot be had fails them all."""
    check = _health_check(spec.health_check_policy)
    found = []
    for service in spec.services:
        to = upstream(walk.lookup, proxy.ref.namespace, service, health_checked=check is not None)
        if isinstance(to, Invalid):
            text = f"Spec.TCPProxy unresolved service reference: {to.text}"
            return Finding("TCPProxyError", "ServiceUnresolvedReference", text)
        if isinstance(to, Finding):
            return to
        if error := client_certificate_error(walk.lookup):
            return error
        cluster = Cluster(
            service=to.resolved.port,
            lb_policy=strategy,
            protocol=to.protocol,
            sni=to.resolved.port.external_name,
            health_check=to.checked(check),
            validation=to.validation,
            circuit_breakers=to.resolved.circuit_breakers,
            http=False,
        )
        found.append(Backend(cluster, weight=service.weight))
    return tuple(found)


def _health_check(policy: api.TCPHealthCheckPolicy | None) -> HealthCheck | None:
    if policy is None:
        return None
    return HealthCheck(
        tcp=True,
        timeout=policy.timeout_seconds * _SECOND,
        interval=policy.interval_seconds * _SECOND,
        unhealthy_threshold=policy.unhealthy_threshold_count,
        healthy_threshold=policy.healthy_threshold_count,
    )


def _target(walk: Walk, proxy: Proxy, include: api.TCPProxyInclude, visited: dict[Ref, None]) -> Proxy | Finding:
    ref = Ref(include.namespace or proxy.ref.namespace, include.name)
    target = walk.lookup.proxy(ref)
    if target is None:
        return Finding("TCPProxyIncludeError", "IncludeNotFound", f"include {ref} not found")
    if target.spec.virtualhost is not None:
        text = f"root httpproxy cannot include another root httpproxy ({ref})"
        return Finding("TCPProxyIncludeError", "RootIncludesRoot", text)
    if ref in visited:
        cycle = " -> ".join(map(str, (*visited, ref)))
        return Finding("TCPProxyIncludeError", "IncludeCreatesCycle", f"include creates a cycle: {cycle}")
    return target
