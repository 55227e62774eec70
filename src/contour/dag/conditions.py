"""Conditions of routes and includes: which lists are allowed, and what they match (httpproxy.md §2.7, §2.8).

All checks are over a whole list of conditions: a route's own ones, or those inherited through includes and its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from contour.api.projectcontour import HeaderMatchCondition, MatchCondition, QueryParameterMatchCondition
from contour.api.scalars import quote_meta, regex_error
from contour.dag.graph import HeaderKind, HeaderMatch, PathKind, PathMatch, QueryKind, QueryMatch

Conditions = Sequence[MatchCondition]
IncludeIdentity = tuple[str, tuple[HeaderMatch, ...], tuple[QueryMatch, ...]]

_SLASHES = re.compile(r"//+")
# The first one that is set is what an element is checked as; what it matches by goes in another order (`_header_match`).
_CHECKED_HEADER_OPERATORS = ("present", "notpresent", "exact", "notexact", "contains", "notcontains", "regex")
_INVALID_REGEX = "invalid regular expression specified for 'regex' condition"


# --- what is allowed: the text of the mistake, or None -------------------------------------------------------------


def include_path_error(conditions: Conditions) -> str | None:
    """An include narrows by prefix only: what its routes match exactly is theirs to say."""
    for condition in conditions:
        if condition.exact:
            return "exact conditions are not allowed in includes block"
        if condition.regex:
            return "regex conditions are not allowed in includes block"
    return path_error(conditions)


def path_error(conditions: Conditions) -> str | None:
    paths = 0
    for condition in conditions:
        for kind, value in (("prefix", condition.prefix), ("exact", condition.exact), ("regex", condition.regex)):
            if not value:
                continue
            paths += 1
            if not value.startswith("/"):
                return f"{kind} conditions must start with /, {value} was supplied"
            if kind == "regex" and (error := regex_error(value)):
                return f"supplied regex: {value} invalid. error: {error.text}"
        if paths > 1:
            return "more than one prefix, exact or regex is not allowed in a condition block"
    return None


def header_error(conditions: Conditions) -> str | None:
    """One pass in list order. A contradiction is seen only to an earlier element that says nothing else (§2.7)."""
    seen: set[HeaderMatchCondition] = set()
    exact_names: set[str] = set()
    for header in (condition.header for condition in conditions):
        if header is None:
            continue
        name = header.name.lower()
        operator = next((operator for operator in _CHECKED_HEADER_OPERATORS if getattr(header, operator)), "")
        if operator == "exact":
            if name in exact_names:
                return "cannot specify duplicate header 'exact match' conditions in the same route"
            exact_names.add(name)
        if operator == "regex" and regex_error(header.regex):
            return _INVALID_REGEX
        if operator and operator != "regex":
            operation = operator.removeprefix("not")
            opposite = operation if operator != operation else "not" + operation
            if HeaderMatchCondition(name=name, **{opposite: getattr(header, operator)}) in seen:
                return (
                    f"cannot specify contradictory '{operation}' and 'not{operation}' conditions "
                    "for the same route and header"
                )
        seen.add(msgspec.structs.replace(header, name=name))
    return None


def query_error(conditions: Conditions) -> str | None:
    exact_names: set[str] = set()
    for query in (condition.query_parameter for condition in conditions):
        if query is None:
            continue
        operators = (query.exact, query.prefix, query.suffix, query.regex, query.contains, query.present)
        given = sum(map(bool, operators))
        if given == 0:
            return "must specify at least one query parameter condition"
        if given > 1:
            return "cannot specify more than one condition in the same match condition branch"
        if query.exact:
            name = query.name.lower()
            if name in exact_names:
                return "cannot specify duplicate query parameter 'exact match' conditions in the same route"
            exact_names.add(name)
        if query.regex and regex_error(query.regex):
            return _INVALID_REGEX
    return None


# --- what they match -----------------------------------------------------------------------------------------------


def path_match(conditions: Conditions) -> PathMatch:
    """All paths in a row. The last element alone decides whether the end is exact (§2.7, a quirk that is kept)."""
    path = _SLASHES.sub("/", "".join(c.prefix or c.exact or c.regex for c in conditions))
    if not path:
        return PathMatch(PathKind.PREFIX, "/")
    if any(condition.regex for condition in conditions):
        return PathMatch(PathKind.REGEX, path)
    if conditions[-1].exact:
        return PathMatch(PathKind.EXACT, path)
    return PathMatch(PathKind.PREFIX, path)


def header_matches(conditions: Conditions) -> tuple[HeaderMatch, ...]:
    matches = (_header_match(condition.header) for condition in conditions if condition.header is not None)
    return tuple(match for match in matches if match is not None)


def query_matches(conditions: Conditions) -> tuple[QueryMatch, ...]:
    matches = (_query_match(condition.query_parameter) for condition in conditions if condition.query_parameter)
    return tuple(match for match in matches if match is not None)


def wildcard_host_match(fqdn: str) -> tuple[HeaderMatch, ...]:
    """For `*.suffix`: Envoy's wildcard spans any number of labels, ours exactly one (§2.6). Else nothing."""
    if not fqdn.startswith("*."):
        return ()
    pattern = f"^[a-z0-9]([-a-z0-9]*[a-z0-9])?{quote_meta(fqdn[1:])}(:[0-9]+)?"
    return (HeaderMatch(":authority", HeaderKind.REGEX, pattern),)


def include_identity(conditions: Conditions) -> IncludeIdentity | None:
    """Two includes of one proxy with the same identity are duplicates; None never is one of another (§2.8)."""
    path = path_match(conditions).value
    headers = tuple(sorted(header_matches(conditions), key=_header_identity))
    queries = tuple(sorted(query_matches(conditions), key=_query_identity))
    if path == "/" and not headers and not queries:
        return None
    return path, headers, queries


def _header_match(header: HeaderMatchCondition) -> HeaderMatch | None:
    name, ignore_case, missing_is_empty = header.name, header.ignore_case, header.treat_missing_as_empty
    if header.present:
        return HeaderMatch(name, HeaderKind.PRESENT)
    if header.notpresent:
        return HeaderMatch(name, HeaderKind.PRESENT, invert=True)
    if header.contains:
        return HeaderMatch(name, HeaderKind.CONTAINS, header.contains, ignore_case=ignore_case)
    if header.notcontains:
        return HeaderMatch(name, HeaderKind.CONTAINS, header.notcontains, True, ignore_case, missing_is_empty)
    if header.exact:
        return HeaderMatch(name, HeaderKind.EXACT, header.exact, ignore_case=ignore_case)
    if header.notexact:
        return HeaderMatch(name, HeaderKind.EXACT, header.notexact, True, ignore_case, missing_is_empty)
    if header.regex:
        return HeaderMatch(name, HeaderKind.REGEX, header.regex)
    return None


def _query_match(query: QueryParameterMatchCondition) -> QueryMatch | None:
    name, ignore_case = query.name, query.ignore_case
    if query.exact:
        return QueryMatch(name, QueryKind.EXACT, query.exact, ignore_case)
    if query.prefix:
        return QueryMatch(name, QueryKind.PREFIX, query.prefix, ignore_case)
    if query.suffix:
        return QueryMatch(name, QueryKind.SUFFIX, query.suffix, ignore_case)
    if query.regex:
        return QueryMatch(name, QueryKind.REGEX, query.regex)
    if query.contains:
        return QueryMatch(name, QueryKind.CONTAINS, query.contains, ignore_case)
    if query.present:
        return QueryMatch(name, QueryKind.PRESENT)
    return None


def _header_identity(match: HeaderMatch) -> tuple[str, bool, bool, bool, str, str]:
    return match.kind, match.ignore_case, match.invert, match.treat_missing_as_empty, match.name, match.value


def _query_identity(match: QueryMatch) -> tuple[str, bool, str, str]:
    return match.kind, match.ignore_case, match.name, match.value
