import pytest

from contour.api.meta import ObjectRef
from contour.api.projectcontour import ReplacePrefix
from contour.dag.graph import DirectResponse, Forward, HeaderKind, HeaderMatch, PathKind, PathMatch, Route
from contour.dag.policy.rewrite import expand, prefix_replacement
from contour.dag.verdict import Finding

ORIGIN = ObjectRef("HTTPProxy", "shop", "web")
HEADER = HeaderMatch("x-a", HeaderKind.PRESENT)


def prefix(value: str) -> PathMatch:
    return PathMatch(PathKind.PREFIX, value)


def route(path: str | PathMatch, rewrite: str = "", *headers: HeaderMatch) -> Route:
    match = prefix(path) if isinstance(path, str) else path
    return Route(match, Forward((), prefix_rewrite=rewrite), ORIGIN, headers=headers)


def shown(routes: list[Route]) -> list[tuple[str, str]]:
    return [(r.path.value, r.action.prefix_rewrite) for r in routes if isinstance(r.action, Forward)]


@pytest.mark.parametrize(
    ("path", "entries", "replacement"),
    [
        ("/app", [], ""),
        ("/app", [("", "/svc")], "/svc"),
        ("/app", [("/app", "/svc")], "/svc"),
        ("/app", [("/app/", "/svc")], ""),  # compared with its slashes
        ("/app/", [("/app", "/svc")], ""),
        ("/app", [("", "/any"), ("/app", "/svc")], "/svc"),
        ("/app", [("/other", "/svc"), ("", "/any")], "/any"),
        ("/app", [("/other", "/svc")], ""),
        ("/", [("/", "/svc")], "/svc"),
    ],
)
def test_selection(path: str, entries: list[tuple[str, str]], replacement: str):
    assert prefix_replacement([ReplacePrefix(*entry) for entry in entries], prefix(path)) == replacement


@pytest.mark.parametrize(
    ("path", "entries", "reason", "message"),
    [
        (
            PathMatch(PathKind.EXACT, "/app"),
            [("", "/svc")],
            "MustHavePrefix",
            "cannot specify prefix replacements without a prefix condition",
        ),
        (
            PathMatch(PathKind.REGEX, "/app.*"),
            [("/a", "/svc"), ("/a", "/svc")],
            "MustHavePrefix",
            "cannot specify prefix replacements without a prefix condition",
        ),
        (prefix("/x"), [("/a", "/1"), ("/a", "/2")], "DuplicateReplacement", "duplicate replacement prefix '/a'"),
        (prefix("/x"), [("", "/1"), ("", "/2")], "AmbiguousReplacement", "ambiguous prefix replacement"),
    ],
)
def test_mistakes(path: PathMatch, entries: list[tuple[str, str]], reason: str, message: str):
    answer = prefix_replacement([ReplacePrefix(*entry) for entry in entries], path)
    assert answer == Finding("PrefixReplaceError", reason, message)


def test_no_replacement_needs_no_prefix():
    assert prefix_replacement([], PathMatch(PathKind.EXACT, "/app")) == ""


@pytest.mark.parametrize(
    ("path", "rewrite", "expected"),
    [
        ("/app", "/svc", [("/app", "/svc"), ("/app/", "/svc/")]),
        ("/app/", "/", [("/app", "/"), ("/app/", "/")]),
        ("/app", "/svc/", [("/app", "/svc"), ("/app/", "/svc/")]),
        ("/", "/svc", [("/", "/svc")]),
        ("/app", "", [("/app", "")]),
        ("/app/", "", [("/app/", "")]),
        ("/app", "/", [("/app", "/"), ("/app/", "/")]),
    ],
)
def test_expansion_of_one_route(path: str, rewrite: str, expected: list[tuple[str, str]]):
    assert shown(expand([route(path, rewrite)])) == expected


@pytest.mark.parametrize(
    "routes",
    [
        [route("/app", "/svc", HEADER), route("/app", "/svc")],
        [route("/app", "/svc"), route("/app/", "/other/")],
        [route("/app", "/svc"), route("/app/")],
    ],
)
def test_routes_that_share_a_prefix_stay_as_they_are(routes: list[Route]):
    assert expand(routes) == routes


def test_other_matches_neither_count_nor_change():
    exact = route(PathMatch(PathKind.EXACT, "/app"))
    regex = route(PathMatch(PathKind.REGEX, "/app"))
    assert shown(expand([exact, route("/app", "/svc"), regex])) == [
        ("/app", ""),
        ("/app", "/svc"),
        ("/app/", "/svc/"),
        ("/app", ""),
    ]


def test_both_halves_keep_everything_else():
    first, second = expand([route("/app", "/svc", HEADER)])
    assert first.headers == second.headers == (HEADER,)
    assert first.origin == second.origin == ORIGIN


def test_a_second_level_changes_nothing():
    once = expand([route("/app", "/svc"), route("/other", "/o")])
    assert expand(once) == once


def test_answers_without_rewrite_pass():
    answer = Route(prefix("/app"), DirectResponse(404), ORIGIN)
    assert expand([answer]) == [answer]
