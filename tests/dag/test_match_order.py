from __future__ import annotations

import random

from contour.api.meta import ObjectRef
from contour.dag.graph import (
    DirectResponse,
    HeaderKind,
    HeaderMatch,
    PathKind,
    PathMatch,
    QueryKind,
    QueryMatch,
    Route,
)
from contour.dag.match_order import in_match_order

ORIGIN = ObjectRef("HTTPProxy", "shop", "site")


def route(
    path: str,
    kind: PathKind = PathKind.PREFIX,
    headers: tuple[HeaderMatch, ...] = (),
    query: tuple[QueryMatch, ...] = (),
    priority: int = 0,
) -> Route:
    return Route(PathMatch(kind, path), DirectResponse(200), ORIGIN, headers, query, priority=priority)


def exact(name: str, value: str) -> HeaderMatch:
    return HeaderMatch(name, HeaderKind.EXACT, value)


def assert_order(*wanted: Route) -> None:
    """However they come in."""
    for seed in range(20):
        shuffled = list(wanted)
        random.Random(seed).shuffle(shuffled)
        assert in_match_order(shuffled) == wanted


def test_the_order_of_paths() -> None:
    assert_order(
        route("/b", PathKind.EXACT),
        route("/ab", PathKind.EXACT),
        route("/a", PathKind.EXACT),
        route("/x.*", PathKind.REGEX),
        route("/z", PathKind.REGEX),
        route("/y", PathKind.REGEX),
        route("/long/path"),
        route("/é"),  # three bytes, as many as the next ones
        route("/bb"),
        route("/b", PathKind.SEGMENT),
        route("/b", headers=(exact("a", "1"),)),
        route("/b"),
        route("/a"),
        route("/"),
    )


def test_a_segment_prefix_comes_before_a_string_prefix_whatever_its_headers() -> None:
    assert_order(route("/a", PathKind.SEGMENT), route("/a", headers=(exact("a", "1"),)))


def test_the_order_of_routes_with_one_path() -> None:
    method = exact(":method", "GET")
    assert_order(
        route("/", headers=(method, exact("a", "1"))),
        route("/", headers=(method,)),
        route("/", headers=(exact("a", "1"), exact("b", "1"))),
        route("/", headers=(exact("a", "1"),), query=(QueryMatch("a", QueryKind.PRESENT),)),
        route("/", headers=(exact("a", "1"),)),
        route("/", headers=(exact("a", "2"),)),
        route("/", headers=(HeaderMatch("a", HeaderKind.REGEX, "1"),)),
        route("/", headers=(HeaderMatch("a", HeaderKind.CONTAINS, "1"),)),
        route("/", headers=(HeaderMatch("a", HeaderKind.CONTAINS, "1", invert=True),)),
        route("/", headers=(HeaderMatch("a", HeaderKind.PRESENT),)),
        route("/", headers=(HeaderMatch("a", HeaderKind.PRESENT, invert=True),)),
        route("/", headers=(exact("b", "0"),)),
        route("/", query=(QueryMatch("a", QueryKind.EXACT, "1"), QueryMatch("b", QueryKind.PRESENT))),
        route("/", query=(QueryMatch("a", QueryKind.EXACT, "1"),)),
        route("/", query=(QueryMatch("a", QueryKind.EXACT, "1", ignore_case=True),)),
        route("/", query=(QueryMatch("a", QueryKind.REGEX, "1"),)),
        route("/", query=(QueryMatch("a", QueryKind.PREFIX, "1"),)),
        route("/", query=(QueryMatch("a", QueryKind.SUFFIX, "1"),)),
        route("/", query=(QueryMatch("a", QueryKind.CONTAINS, "1"),)),
        route("/", query=(QueryMatch("a", QueryKind.PRESENT),)),
        route("/"),
        route("/", priority=1),
    )


def test_matchers_are_sorted_within_their_route() -> None:
    sorted_headers = (
        exact("a", "1"),
        HeaderMatch("a", HeaderKind.REGEX, "0"),
        HeaderMatch("a", HeaderKind.PRESENT),
        exact("b", "1"),
    )
    sorted_query = (QueryMatch("a", QueryKind.EXACT, "1"), QueryMatch("a", QueryKind.PRESENT))
    (found,) = in_match_order([route("/", headers=sorted_headers[::-1], query=sorted_query[::-1])])
    assert found.headers == sorted_headers
    assert found.query == sorted_query


def test_routes_of_equal_rank_keep_their_order() -> None:
    routes = tuple(route("/", headers=(exact(":method", method),)) for method in ("PUT", "GET", "POST"))
    assert in_match_order(routes) == routes
