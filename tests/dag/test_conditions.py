from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contour.api.projectcontour import MatchCondition
from contour.dag.conditions import (
    header_error,
    header_matches,
    include_identity,
    include_path_error,
    path_error,
    path_match,
    query_error,
    query_matches,
    wildcard_host_match,
)
from contour.dag.graph import HeaderKind, HeaderMatch, PathKind, PathMatch, QueryKind, QueryMatch

PRESENCE = "cannot specify contradictory 'present' and 'notpresent' conditions for the same route and header"
EXACT = "cannot specify contradictory 'exact' and 'notexact' conditions for the same route and header"
CONTAINS = "cannot specify contradictory 'contains' and 'notcontains' conditions for the same route and header"
DUPLICATE = "cannot specify duplicate header 'exact match' conditions in the same route"
REGEX = "invalid regular expression specified for 'regex' condition"
MANY_PATHS = "more than one prefix, exact or regex is not allowed in a condition block"


def conditions(*given: dict[str, Any]) -> list[MatchCondition]:
    return msgspec.convert(list(given), list[MatchCondition])


def headers(*given: dict[str, Any]) -> list[MatchCondition]:
    return conditions(*({"header": {"name": "X-Color", **header}} for header in given))


def queries(*given: dict[str, Any]) -> list[MatchCondition]:
    return conditions(*({"queryParameter": {"name": "color", **query}} for query in given))


@pytest.mark.parametrize(
    ("given", "kind", "path"),
    [
        ([], PathKind.PREFIX, "/"),
        ([{"prefix": "/api/"}, {"prefix": "/v2"}], PathKind.PREFIX, "/api/v2"),
        ([{"prefix": "/static"}, {"exact": "/app.js"}], PathKind.EXACT, "/static/app.js"),
        ([{"prefix": "/api"}, {"regex": "/v[0-9]+/.*"}], PathKind.REGEX, "/api/v[0-9]+/.*"),
        ([{"exact": "/a"}, {"header": {"name": "x", "present": True}}], PathKind.PREFIX, "/a"),
        ([{"header": {"name": "x", "present": True}}, {"exact": "/a"}], PathKind.EXACT, "/a"),
        ([{"prefix": "/foo"}], PathKind.PREFIX, "/foo"),
        ([{"prefix": "/foo/"}], PathKind.PREFIX, "/foo/"),
        ([{"prefix": "//foo///bar//"}], PathKind.PREFIX, "/foo/bar/"),
        ([{"prefix": "/.x"}, {"regex": "/y+"}], PathKind.REGEX, "/.x/y+"),
        ([{"regex": "/y"}, {"header": {"name": "x", "present": True}}], PathKind.REGEX, "/y"),
    ],
)
def test_paths_are_put_in_a_row(given: list[dict[str, Any]], kind: PathKind, path: str) -> None:
    assert path_match(conditions(*given)) == PathMatch(kind, path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"prefix": "/a"}, {"header": {"name": "x"}}], None),
        ([{"prefix": "a"}], "prefix conditions must start with /, a was supplied"),
        ([{"exact": "a"}], "exact conditions must start with /, a was supplied"),
        ([{"regex": "a"}], "regex conditions must start with /, a was supplied"),
        ([{"regex": "/a("}], "supplied regex: /a( invalid. error: error parsing regexp: missing closing ): `/a(`"),
        ([{"prefix": "/a"}, {"prefix": "/b"}], MANY_PATHS),
        ([{"prefix": "/a"}, {"exact": "/b"}], MANY_PATHS),
        ([{"prefix": "/a", "regex": "/b"}], MANY_PATHS),
    ],
)
def test_path_rules(given: list[dict[str, Any]], message: str | None) -> None:
    assert path_error(conditions(*given)) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prefix": "/a"}, None),
        ({"exact": "/a"}, "exact conditions are not allowed in includes block"),
        ({"regex": "/a"}, "regex conditions are not allowed in includes block"),
        ({"prefix": "a"}, "prefix conditions must start with /, a was supplied"),
    ],
)
def test_an_include_narrows_by_prefix(given: dict[str, Any], message: str | None) -> None:
    assert include_path_error(conditions(given)) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"present": True}, {"notpresent": True}], PRESENCE),
        ([{"notpresent": True}, {"present": True}], PRESENCE),
        ([{"exact": "a"}, {"exact": "b"}], DUPLICATE),
        ([{"exact": "a"}, {"notexact": "a"}], EXACT),
        ([{"notexact": "a"}, {"exact": "a"}], EXACT),
        ([{"exact": "a"}, {"notexact": "b"}], None),
        ([{"contains": "a"}, {"notcontains": "a"}], CONTAINS),
        ([{"notcontains": "a"}, {"contains": "a"}], CONTAINS),
        ([{"contains": "a"}, {"notcontains": "b"}], None),
        ([{"contains": "a"}, {"contains": "a"}], None),
        ([{"regex": "a("}], REGEX),
        ([{"regex": "(?=a)"}], REGEX),
        ([{"regex": "a+"}], None),
        # A contradiction is seen only to an element that says nothing else.
        ([{"exact": "a", "ignoreCase": True}, {"notexact": "a"}], None),
        ([{"exact": "a"}, {"notexact": "a", "ignoreCase": True}], EXACT),
        # The first operator in the order of checking is the one that counts.
        ([{"present": True, "regex": "a("}], None),
    ],
)
def test_header_rules(given: list[dict[str, Any]], message: str | None) -> None:
    assert header_error(headers(*given)) == message


def test_header_names_are_compared_in_lower_case() -> None:
    assert header_error(headers({"name": "x-COLOR", "exact": "a"}, {"exact": "b"})) == DUPLICATE
    assert header_error(headers({"name": "x-other", "exact": "a"}, {"exact": "b"})) is None


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"present": True, "ignoreCase": True}, HeaderMatch("X-Color", HeaderKind.PRESENT)),
        ({"notpresent": True}, HeaderMatch("X-Color", HeaderKind.PRESENT, invert=True)),
        ({"contains": "a", "ignoreCase": True}, HeaderMatch("X-Color", HeaderKind.CONTAINS, "a", ignore_case=True)),
        ({"contains": "a", "treatMissingAsEmpty": True}, HeaderMatch("X-Color", HeaderKind.CONTAINS, "a")),
        (
            {"notcontains": "a", "treatMissingAsEmpty": True},
            HeaderMatch("X-Color", HeaderKind.CONTAINS, "a", invert=True, treat_missing_as_empty=True),
        ),
        ({"exact": "a", "treatMissingAsEmpty": True}, HeaderMatch("X-Color", HeaderKind.EXACT, "a")),
        (
            {"notexact": "a", "ignoreCase": True, "treatMissingAsEmpty": True},
            HeaderMatch("X-Color", HeaderKind.EXACT, "a", True, True, True),
        ),
        ({"regex": "a+", "ignoreCase": True}, HeaderMatch("X-Color", HeaderKind.REGEX, "a+")),
        # Matching has another order of operators than checking.
        ({"contains": "c", "exact": "e", "regex": "r"}, HeaderMatch("X-Color", HeaderKind.CONTAINS, "c")),
    ],
)
def test_header_matches(given: dict[str, Any], match: HeaderMatch) -> None:
    assert header_matches(headers(given)) == (match,)


def test_a_header_without_operator_matches_nothing() -> None:
    assert header_matches(headers({}, {"exact": "a"})) == (HeaderMatch("X-Color", HeaderKind.EXACT, "a"),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{}], "must specify at least one query parameter condition"),
        (
            [{"exact": "a", "prefix": "b"}],
            "cannot specify more than one condition in the same match condition branch",
        ),
        (
            [{"exact": "a"}, {"name": "COLOR", "exact": "b"}],
            "cannot specify duplicate query parameter 'exact match' conditions in the same route",
        ),
        ([{"exact": "a"}, {"prefix": "b"}], None),
        ([{"regex": "a("}], REGEX),
    ],
)
def test_query_rules(given: list[dict[str, Any]], message: str | None) -> None:
    assert query_error(queries(*given)) == message


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"exact": "a", "ignoreCase": True}, QueryMatch("color", QueryKind.EXACT, "a", True)),
        ({"prefix": "a", "ignoreCase": True}, QueryMatch("color", QueryKind.PREFIX, "a", True)),
        ({"suffix": "a", "ignoreCase": True}, QueryMatch("color", QueryKind.SUFFIX, "a", True)),
        ({"contains": "a", "ignoreCase": True}, QueryMatch("color", QueryKind.CONTAINS, "a", True)),
        ({"regex": "a", "ignoreCase": True}, QueryMatch("color", QueryKind.REGEX, "a")),
        ({"present": True, "ignoreCase": True}, QueryMatch("color", QueryKind.PRESENT)),
    ],
)
def test_query_matches(given: dict[str, Any], match: QueryMatch) -> None:
    assert query_matches(queries(given)) == (match,)


def test_a_wildcard_spans_one_label() -> None:
    assert wildcard_host_match("*.shop.test") == (
        HeaderMatch(":authority", HeaderKind.REGEX, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\.shop\.test(:[0-9]+)?"),
    )
    assert wildcard_host_match("shop.test") == ()
    assert wildcard_host_match("*") == ()


def test_includes_are_duplicates_by_what_they_match() -> None:
    def identity(*given: dict[str, Any]) -> object:
        return include_identity(conditions(*given))

    a = {"header": {"name": "a", "exact": "1"}}
    b = {"header": {"name": "b", "present": True}}
    q = {"queryParameter": {"name": "q", "exact": "1"}}
    assert identity({"prefix": "/x"}, a, b, q) == identity(q, b, {"prefix": "//x"}, a)
    assert identity({"prefix": "/x"}, a) != identity({"prefix": "/x"}, b)
    assert identity({"prefix": "/x"}) != identity({"prefix": "/x/"})
    assert identity({"prefix": "/"}) is None
    assert identity() is None
    assert identity({"prefix": "/"}, a) is not None
