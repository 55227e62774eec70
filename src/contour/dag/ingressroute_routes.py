"""Routes of an IngressRoute and of those that it delegates prefixes to, to any depth (operations.md §12.3).

A mistake ends its object's routes: those before it are served. A delegation to what is not there says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from contour.api import heptio as api
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.projectcontour import RetryPolicy
from contour.api.scalars import parse_timeout, quote
from contour.dag.graph import Forward, PathKind, PathMatch, Retry, Route, Timeout
from contour.dag.ingressroute_services import backends, hash_policies
from contour.dag.ingressroute_walk import MAX_STEPS, Walk, error, origin
from contour.dag.policy.retry import retry
from contour.dag.report import Report
from contour.dag.sources import IngressRouteFacts
from contour.dag.verdict import Finding


class _Visit(msgspec.Struct):
    """An object on the way from the root; `left`: its routes that have not been looked at."""

    object: IngressRouteFacts
    prefix: str  # what was delegated to it; "" to the root
    report: Report
    left: Iterator[api.Route]


def routes(walk: Walk, report: Report, *, redirect: bool) -> tuple[Route, ...]:
    """In the order of the visit: of two with one match the later one holds. `report` is the root's.

    The stack is our own: how deep delegations nest is up to users, how deep Python calls is not.
    """
    found: list[Route] = []
    stack = [_visit(walk.root, "", report)]
    path = {walk.root.ref: None}  # of the objects on the stack
    while stack and not walk.exhausted:
        visit = stack[-1]
        child = _advance(walk, visit, path, found, redirect=redirect)
        if child is not None:
            stack.append(child)
            path[child.object.ref] = None
            continue
        stack.pop()
        del path[visit.object.ref]
        if stack:
            walk.commit(visit.object.ref, visit.report)
    if walk.exhausted:
        report.add(error("TooManyRoutes", f"routes and delegations of this IngressRoute are more than {MAX_STEPS}"))
        return ()
    return tuple(found)


def matches_prefix(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or below it, by whole segments. A root may serve anything."""
    return not prefix or (path.rstrip("/") + "/").startswith(prefix.rstrip("/") + "/")


def _visit(route: IngressRouteFacts, prefix: str, report: Report) -> _Visit:
    return _Visit(route, prefix, report, iter(route.spec.routes))


def _advance(
    walk: Walk, visit: _Visit, path: Mapping[Ref, None], found: list[Route], *, redirect: bool
) -> _Visit | None:
    """Look at routes up to the next object to go into; None: there is none."""
    for route in visit.left:
        walk.step()
        finding = _misuse(visit, route)
        if finding is None and route.services:
            built = _route(walk, visit.object, route, redirect=redirect)
            if isinstance(built, Route):
                found.append(built)
                continue
            finding = built
        elif finding is None:
            child = _delegated(walk, visit.object, route, path)
            if child is None:
                continue
            if isinstance(child, IngressRouteFacts):
                return _visit(child, route.match, Report())
            finding = child
        visit.report.add(finding)
        return None
    return None


def _misuse(visit: _Visit, route: api.Route) -> Finding | None:
    if route.services and route.delegate is not None:
        text = f"route {quote(route.match)}: cannot specify services and delegate in the same route"
        return error("ServicesAndDelegate", text)
    # The reference lets a child delegate what was not delegated to it, and so take any path of the host.
    if not matches_prefix(route.match, visit.prefix) and (route.services or route.delegate is not None):
        text = f"the path prefix {quote(route.match)} does not match the parent's path prefix {quote(visit.prefix)}"
        return error("PrefixNotDelegated", text)
    return None


def _delegated(
    walk: Walk, parent: IngressRouteFacts, route: api.Route, path: Mapping[Ref, None]
) -> IngressRouteFacts | Finding | None:
    if route.delegate is None:
        return None
    ref = Ref(route.delegate.namespace or parent.ref.namespace, route.delegate.name)
    child = walk.lookup.ingressroute(ref)
    if child is None:
        return None
    if child.spec.virtualhost is not None:
        return error("RootDelegatesToRoot", "root ingressroute cannot delegate to another root ingressroute")
    if ref in path:
        cycle = " -> ".join(map(str, (*path, ref)))
        return error("DelegationCycle", f"route creates a delegation cycle: {cycle}")
    return child


def _route(walk: Walk, owner: IngressRouteFacts, route: api.Route, *, redirect: bool) -> Route | Finding:
    served = backends(walk.lookup, owner.ref.namespace, route)
    if isinstance(served, Finding):
        return served
    permitted = route.permit_insecure and not walk.lookup.options.disable_permit_insecure
    return Route(
        path=PathMatch(PathKind.PREFIX, route.match or "/"),
        action=Forward(
            served,
            timeout=_timeout(route.timeout_policy),
            retry=_retry(route.retry_policy),
            hash_policies=hash_policies(served),
            prefix_rewrite=route.prefix_rewrite,
            websocket=route.enable_websockets,
        ),
        origin=origin(owner),
        https_redirect=redirect and not permitted,
    )


def _timeout(policy: api.TimeoutPolicy | None) -> Timeout:
    """What cannot be read is no limit: the surprise is smaller than that of Envoy's 15 s."""
    timeout = parse_timeout(policy.request) if policy is not None else None
    return 0 if isinstance(timeout, Invalid) else timeout


def _retry(policy: api.RetryPolicy | None) -> Retry | None:
    if policy is None:
        return None
    return retry(RetryPolicy(count=policy.count, per_try_timeout=policy.per_try_timeout))
