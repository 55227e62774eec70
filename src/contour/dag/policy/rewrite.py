"""pathRewritePolicy: which replacement a route takes, and the split that keeps slashes right (httpproxy.md §2.11)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contour.api.projectcontour import ReplacePrefix
from contour.dag.graph import Forward, PathKind, PathMatch, Route
from contour.dag.verdict import Finding


def prefix_replacement(entries: Sequence[ReplacePrefix], path: PathMatch) -> str | Finding:
    """The replacement for a route whose fully merged path is `path`; "" for none, which is no error."""
    if not entries:
        return ""
    if path.kind is not PathKind.PREFIX:
        return _finding("MustHavePrefix", "cannot specify prefix replacements without a prefix condition")
    replacements: dict[str, str] = {}
    for entry in entries:
        if entry.prefix in replacements:
            if entry.prefix:
                return _finding("DuplicateReplacement", f"duplicate replacement prefix '{entry.prefix}'")
            return _finding("AmbiguousReplacement", "ambiguous prefix replacement")
        replacements[entry.prefix] = entry.replacement
    if path.value in replacements:
        return replacements[path.value]
    return replacements.get("", "")


def expand(routes: Sequence[Route]) -> list[Route]:
    """Split a rewritten prefix `/app` into `/app` and `/app/`, so that `/app/x` becomes `/svc/x` and `/app` `/svc`.

    Done only where the split route cannot meet another one of the same prefix: with two of them, who wrote them is
    taken to have thought of both forms. Whoever computes routes recursively calls this once for each level; routes
    that were split below are two of one prefix by then and stay as they are.
    """
    sharing: dict[str, int] = {}
    for route in routes:
        if route.path.kind is PathKind.PREFIX:
            prefix = _normalised(route.path.value)
            sharing[prefix] = sharing.get(prefix, 0) + 1
    expanded: list[Route] = []
    for route in routes:
        expanded.append(route)
        if route.path.kind is not PathKind.PREFIX or not isinstance(route.action, Forward):
            continue
        prefix = _normalised(route.path.value)
        if not route.action.prefix_rewrite or prefix == "/" or sharing[prefix] > 1:
            continue
        replacement = route.action.prefix_rewrite.rstrip("/")
        expanded[-1] = _rewritten(route, route.action, prefix, replacement or "/")
        expanded.append(_rewritten(route, route.action, prefix + "/", replacement + "/"))
    return expanded


def _normalised(prefix: str) -> str:
    return prefix if prefix == "/" else prefix.rstrip("/")


def _rewritten(route: Route, action: Forward, prefix: str, replacement: str) -> Route:
    return msgspec.structs.replace(
        route,
        path=PathMatch(PathKind.PREFIX, prefix),
        action=msgspec.structs.replace(action, prefix_rewrite=replacement),
    )


def _finding(reason: str, message: str) -> Finding:
    return Finding("PrefixReplaceError", reason, message)
