"""Routes of an HTTPProxy with those of the proxies that it includes, to any depth (httpproxy.md §2.6, §2.8).

The walk is written as generators that yield the child to go into next, driven by a stack of our own: how deep includes
nest is up to users, how deep Python calls is not.
"""

from __future__ import annotations

from collections.abc import Generator

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.dag.conditions import (
    IncludeIdentity,
    header_error,
    header_matches,
    include_identity,
    include_path_error,
    path_match,
    query_error,
    query_matches,
)
from contour.dag.graph import DirectResponse, Route
from contour.dag.policy.rewrite import expand
from contour.dag.report import Report
from contour.dag.routes import own_routes, settled
from contour.dag.sources import Proxy
from contour.dag.verdict import Finding
from contour.dag.walk import MAX_STEPS, Inherited, Walk, origin

# Yields the visit of an included proxy, is sent its routes, returns its own.
Visit = Generator["Visit", list[Route], list[Route]]

_BAD_INCLUDE = DirectResponse(status=502)


def routes(walk: Walk, report: Report) -> list[Route]:
    """All routes of the root, in no order of matching yet. Findings about the root go to `report`, others to the walk."""
    stack = [_visit(walk, walk.root, (), report)]
    found: list[Route] = []
    entering = True
    while stack:
        try:
            stack.append(next(stack[-1]) if entering else stack[-1].send(found))
            entering = True
        except StopIteration as end:
            found = end.value
            stack.pop()
            entering = False
    if walk.exhausted:
        report.error(
            "IncludeError", "TooManyIncludes", f"includes and routes of this HTTPProxy are more than {MAX_STEPS}"
        )
        return []
    return [settled(route) for route in found]


def _visit(walk: Walk, proxy: Proxy, inherited: Inherited, report: Report) -> Visit:
    if proxy.ref in walk.path:
        cycle = " -> ".join(map(str, (*walk.path, proxy.ref)))
        report.error("IncludeError", "IncludeCreatesCycle", f"include creates an include cycle: {cycle}")
        return []
    walk.path[proxy.ref] = None
    gathered = yield from _included_routes(walk, proxy, inherited, report)
    del walk.path[proxy.ref]
    walk.step(len(gathered))
    own = None if walk.exhausted else own_routes(walk, proxy, inherited, report)
    return [] if own is None else expand(gathered + own)


def _included_routes(
    walk: Walk, proxy: Proxy, inherited: Inherited, report: Report
) -> Generator[Visit, list[Route], list[Route]]:
    gathered: list[Route] = []
    seen: set[IncludeIdentity] = set()
    for include in proxy.spec.includes:
        walk.step(1 + len(inherited))
        if walk.exhausted:
            break
        if error := _condition_error(include, seen):
            report.add(error)
            continue
        target = Ref(include.namespace or proxy.ref.namespace, include.name)
        child = walk.lookup.proxy(target)
        if child is None or child.spec.virtualhost is not None:
            report.add(_target_error(target, child))
            if include.conditions:
                gathered.append(_bad_gateway(proxy, include))
            continue
        child_report = Report()
        gathered += yield _visit(walk, child, (*inherited, *include.conditions), child_report)
        walk.commit(target, child_report)
    return gathered


def _condition_error(include: api.Include, seen: set[IncludeIdentity]) -> Finding | None:
    """What skips an include before its target is looked at. One that passes is remembered, wherever it leads."""
    if error := include_path_error(include.conditions):
        return Finding("IncludeError", "PathMatchConditionsNotValid", f"include: {error}")
    if error := header_error(include.conditions):
        return Finding("RouteError", "HeaderMatchConditionsNotValid", error)
    if error := query_error(include.conditions):
        return Finding("RouteError", "QueryParameterMatchConditionsNotValid", error)
    identity = include_identity(include.conditions)
    if identity is not None:
        if identity in seen:
            return Finding("IncludeError", "DuplicateMatchConditions", "duplicate conditions defined on an include")
        seen.add(identity)
    return None


def _target_error(target: Ref, child: Proxy | None) -> Finding:
    if child is None:
        return Finding("IncludeError", "IncludeNotFound", f"include {target} not found")
    return Finding(
        "IncludeError", "RootIncludesRoot", f"root httpproxy cannot include another root httpproxy ({target})"
    )


def _bad_gateway(proxy: Proxy, include: api.Include) -> Route:
    """By the include's own conditions alone, without a wildcard's host matcher, and never a redirect to https (§2.6)."""
    return Route(
        path=path_match(include.conditions),
        action=_BAD_INCLUDE,
        origin=origin(proxy),
        headers=header_matches(include.conditions),
        query=query_matches(include.conditions),
    )
