"""`tcpproxy` of an IngressRoute: connections go as they are to its services, or to those of whom it delegates to.

operations.md §12.3. Weights are ignored, and what is left open (no services and no delegate) is no mistake.
"""

from __future__ import annotations

import msgspec

from contour.api import heptio as api
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.dag.graph import Backend, TCPProxy
from contour.dag.ingressroute_services import cluster
from contour.dag.ingressroute_walk import Walk, error, origin
from contour.dag.report import Report
from contour.dag.sources import IngressRouteFacts
from contour.dag.upstream import client_certificate_error
from contour.dag.verdict import Finding

# What remains means something to requests only.
_STRATEGIES = ("WeightedLeastRequest", "Random")


def tcp_proxy(walk: Walk, report: Report) -> TCPProxy | None:
    """Follow the delegations of the root, whose findings go to `report`; those of others go to the walk."""
    visited: dict[Ref, None] = {}
    current, own = walk.root, report
    while True:
        visited[current.ref] = None
        found = _step(walk, current, visited)
        if isinstance(found, Finding):
            own.add(found)
        if current is not walk.root:
            walk.commit(current.ref, own)
        if not isinstance(found, IngressRouteFacts):
            return found if isinstance(found, TCPProxy) else None
        current, own = found, Report()


def _step(
    walk: Walk, owner: IngressRouteFacts, visited: dict[Ref, None]
) -> IngressRouteFacts | TCPProxy | Finding | None:
    spec = owner.spec.tcpproxy
    if spec is None:
        return None
    if spec.services and spec.delegate is not None:
        return error("ServicesAndDelegate", "tcpproxy: cannot specify services and delegate in the same tcpproxy")
    if spec.services:
        backends = _backends(walk, owner, spec.services)
        return backends if isinstance(backends, Finding) else TCPProxy(backends, origin(owner))
    return _delegated(walk, owner, spec.delegate, visited) if spec.delegate is not None else None


def _backends(walk: Walk, owner: IngressRouteFacts, services: tuple[api.Service, ...]) -> tuple[Backend, ...] | Finding:
    found = []
    for service in services:
        to = cluster(walk.lookup, Ref(owner.ref.namespace, service.name), service)
        if isinstance(to, Invalid):
            text = f"tcpproxy: service {owner.ref.namespace}/{service.name}/{service.port}: not found"
            return error("ServiceNotFound", text)
        if bad := client_certificate_error(walk.lookup):
            return error(bad.reason, bad.message)
        strategy = to.lb_policy if to.lb_policy in _STRATEGIES else ""
        found.append(Backend(msgspec.structs.replace(to, lb_policy=strategy, http=False)))
    return tuple(found)


def _delegated(
    walk: Walk, owner: IngressRouteFacts, delegate: api.Delegate, visited: dict[Ref, None]
) -> IngressRouteFacts | Finding | None:
    ref = Ref(delegate.namespace or owner.ref.namespace, delegate.name)
    child = walk.lookup.ingressroute(ref)
    if child is None:
        return None
    if ref in visited:
        cycle = " -> ".join(map(str, (*visited, ref)))
        return error("DelegationCycle", f"tcpproxy creates a delegation cycle: {cycle}")
    if child.spec.virtualhost is not None:
        return error("RootDelegatesToRoot", "root ingressroute cannot delegate to another root ingressroute")
    return child
