"""Which route a request takes and which backends it reaches (httpproxy.md §2.6-§2.8, §2.10)."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.traffic.world import World, until

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-routing")]


def answer(world: World, path: str, headers: dict[str, str] | None = None, host: str = "site.test") -> str | int:
    """The backend without its namespace, or the status of who else answered."""
    response = world.get(host, path, (headers or {}).items())
    return response.backend.rpartition("/")[2] if response.backend else response.status


# --- conditions ---------------------------------------------------------------------------------------------------


def test_paths_exact_before_regex_before_longer_prefix(world: World) -> None:
    for name in ("exact", "regex", "long", "short", "rest"):
        world.service(f"shop/{name}")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - services: [{name: rest, port: 80}]
        - conditions: [{prefix: /a}]
          services: [{name: short, port: 80}]
        - conditions: [{prefix: /a/b}]
          services: [{name: long, port: 80}]
        - conditions: [{regex: "/a/b/[0-9]+"}]
          services: [{name: regex, port: 80}]
        - conditions: [{exact: /a/b/7}]
          services: [{name: exact, port: 80}]
        """,
    )
    answers = {
        "/": "rest",
        "/b": "rest",
        "/A": "rest",
        "/a": "short",
        "/abc": "short",  # a prefix of characters, not of segments
        "/a/": "short",
        "/a/b": "long",
        "/a/b/x": "long",
        "/a/b/7": "exact",
        "/a/b/7?q=1": "exact",
        "/a/b/77": "regex",
        "/a/b/77?q=1": "regex",
        "/a/b/7x": "long",  # a regex matches the whole path
        "/x/a/b/77": "rest",
        "//a//b/77": "regex",  # slashes are merged and the path is normalised before
        "/x/../a/b/7": "exact",
    }
    assert {path: answer(world, path) for path in answers} == answers


def test_headers(world: World) -> None:
    operators = {
        "present": "{name: x-h, present: true}",
        "notpresent": "{name: x-h, notpresent: true}",
        "contains": "{name: x-h, contains: bc}",
        "notcontains": "{name: x-h, notcontains: bc}",
        "exact": "{name: x-h, exact: abcd}",
        "notexact": "{name: x-h, notexact: abcd}",
        "regex": "{name: x-h, regex: 'a.*d'}",
        "contains-any-case": "{name: x-h, contains: BC, ignoreCase: true}",
        "exact-any-case": "{name: X-H, exact: ABCD, ignoreCase: true}",
        "notcontains-or-missing": "{name: x-h, notcontains: bc, treatMissingAsEmpty: true}",
        "notexact-or-missing": "{name: x-h, notexact: abcd, treatMissingAsEmpty: true}",
    }
    world.service("shop/web")
    routes = "\n".join(
        f"- {{conditions: [{{header: {header}}}, {{exact: /{name}}}], services: [{{name: web, port: 80}}]}}"
        for name, header in operators.items()
    )
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes:\n{routes}")
    # What each operator says to: no header, the value, another case, a longer value, something else.
    values = (None, "abcd", "ABCD", "xabcdx", "other")
    expected = {
        "present": (0, 1, 1, 1, 1),
        "notpresent": (1, 0, 0, 0, 0),
        "contains": (0, 1, 0, 1, 0),
        "notcontains": (0, 0, 1, 0, 1),
        "exact": (0, 1, 0, 0, 0),
        "notexact": (0, 0, 1, 1, 1),
        "regex": (0, 1, 0, 0, 0),
        "contains-any-case": (0, 1, 1, 1, 0),
        "exact-any-case": (0, 1, 1, 0, 0),
        "notcontains-or-missing": (1, 0, 1, 0, 1),
        "notexact-or-missing": (1, 0, 1, 1, 1),
    }
    found = {
        name: tuple(int(answer(world, f"/{name}", {"x-h": v} if v is not None else {}) == "web") for v in values)
        for name in operators
    }
    assert found == expected


def test_query_parameters(world: World) -> None:
    operators = {
        "exact": "{name: q, exact: abcd}",
        "prefix": "{name: q, prefix: ab}",
        "suffix": "{name: q, suffix: cd}",
        "regex": "{name: q, regex: 'a.*d'}",
        "contains": "{name: q, contains: bc}",
        "present": "{name: q, present: true}",
        "exact-any-case": "{name: q, exact: ABCD, ignoreCase: true}",
    }
    world.service("shop/web")
    routes = "\n".join(
        f"- {{conditions: [{{queryParameter: {query}}}, {{exact: /{name}}}], services: [{{name: web, port: 80}}]}}"
        for name, query in operators.items()
    )
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes:\n{routes}")
    queries = ("", "?q=abcd", "?q=ABCD", "?q=abx", "?q=xcd", "?Q=abcd", "?x=1&q=abcd", "?q")
    expected = {
        "exact": (0, 1, 0, 0, 0, 0, 1, 0),
        "prefix": (0, 1, 0, 1, 0, 0, 1, 0),
        "suffix": (0, 1, 0, 0, 1, 0, 1, 0),
        "regex": (0, 1, 0, 0, 0, 0, 1, 0),
        "contains": (0, 1, 0, 0, 0, 0, 1, 0),
        "present": (0, 1, 1, 1, 1, 0, 1, 1),
        "exact-any-case": (0, 1, 1, 0, 0, 0, 1, 0),
    }
    found = {name: tuple(int(answer(world, f"/{name}{q}") == "web") for q in queries) for name in operators}
    assert found == expected


def test_more_conditions_win_on_one_path(world: World) -> None:
    for name in ("method", "two", "header", "query", "plain"):
        world.service(f"shop/{name}")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - services: [{name: plain, port: 80}]
        - conditions: [{queryParameter: {name: q, present: true}}]
          services: [{name: query, port: 80}]
        - conditions: [{header: {name: x-a, present: true}}]
          services: [{name: header, port: 80}]
        - conditions: [{header: {name: x-a, present: true}}, {header: {name: x-b, present: true}}]
          services: [{name: two, port: 80}]
        - conditions: [{header: {name: ":method", exact: GET}}, {header: {name: x-m, present: true}}]
          services: [{name: method, port: 80}]
        """,
    )
    assert answer(world, "/") == "plain"
    assert answer(world, "/?q=") == "query"
    assert answer(world, "/?q=", {"x-a": "1"}) == "header"
    assert answer(world, "/?q=", {"x-a": "1", "x-b": "1"}) == "two"
    assert answer(world, "/?q=", {"x-a": "1", "x-b": "1", "x-m": "1"}) == "method"


def test_the_last_condition_decides_between_exact_and_prefix(world: World) -> None:
    for name in ("one", "two"):
        world.service(f"shop/{name}")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - conditions: [{exact: /a}, {header: {name: x-h, present: true}}]
          services: [{name: one, port: 80}]
        - conditions: [{header: {name: x-h, present: true}}, {exact: /b}]
          services: [{name: two, port: 80}]
        """,
    )
    here = {"x-h": "1"}
    assert [answer(world, path, here) for path in ("/a", "/a/x", "/b", "/b/x")] == ["one", "one", "two", 404]


# --- includes -----------------------------------------------------------------------------------------------------


def test_includes_across_namespaces_merge_their_prefixes(world: World) -> None:
    world.service("root/web")
    for name in ("child", "exact", "regex"):
        world.service(f"team/{name}")
    world.service("deep/leaf")
    world.proxy(
        "deep/leaf",
        "routes: [{conditions: [{prefix: /leaf}], services: [{name: leaf, port: 80}]}]",
        valid=False,
    )
    world.proxy(
        "team/api",
        """
        includes: [{name: leaf, namespace: deep, conditions: [{prefix: /deep/}]}]
        routes:
        - services: [{name: child, port: 80}]
        - conditions: [{exact: /app.js}]
          services: [{name: exact, port: 80}]
        - conditions: [{regex: "/v[0-9]+/.*"}]
          services: [{name: regex, port: 80}]
        """,
        valid=False,  # nobody includes it yet
    )
    assert answer(world, "/api/x") == 404
    world.proxy(
        "root/site",
        """
        virtualhost: {fqdn: site.test}
        includes:
        - {name: api, namespace: team, conditions: [{prefix: /api}]}
        - {name: api, namespace: team, conditions: [{prefix: /guarded}, {header: {name: x-key, exact: sesame}}]}
        routes: [{services: [{name: web, port: 80}]}]
        """,
    )
    assert world.errors("team/api") == world.errors("deep/leaf") == []
    answers = {
        "/": "web",
        "/api": "child",
        "/api/x": "child",
        "/api/app.js": "exact",
        "/api/app.jsx": "child",
        "/api/v2/x": "regex",
        "/api/deep/leaf": "leaf",
        "/deep/leaf": "web",
        "/guarded/app.js": "web",
    }
    assert {path: answer(world, path) for path in answers} == answers
    assert answer(world, "/guarded/app.js", {"x-key": "sesame"}) == "exact"
    assert answer(world, "/guarded/deep/leaf", {"x-key": "sesame"}) == "leaf"


def test_a_missing_include_answers_502_where_it_has_conditions(world: World) -> None:
    world.service("shop/web")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        includes:
        - {name: gone, conditions: [{prefix: /gone}]}
        - {name: nowhere}
        routes: [{conditions: [{prefix: /web}], services: [{name: web, port: 80}]}]
        """,
        valid=False,
    )
    assert [answer(world, path) for path in ("/web", "/gone", "/gone/x", "/")] == ["web", 502, 502, 404]
    reasons = [("IncludeError", "IncludeNotFound", f"include shop/{name} not found") for name in ("gone", "nowhere")]
    assert world.errors("shop/site") == reasons
    world.proxy("shop/gone", "routes: [{services: [{name: web, port: 80}]}]")
    assert answer(world, "/gone/x") == "web"


def test_a_missing_service_answers_503_beside_a_healthy_route(world: World) -> None:
    world.service("shop/web")
    spec = """
        virtualhost: {fqdn: site.test}
        routes:
        - services: [{name: web, port: 80}]
        - conditions: [{prefix: /gone}]
          services: [{name: gone, port: 80}]
        - conditions: [{prefix: /wrong-port}]
          services: [{name: web, port: 81}]
        - conditions: [{prefix: /some}]
          services: [{name: gone, port: 80}, {name: web, port: 80}]
        """
    world.proxy("shop/site", spec, valid=False)
    assert [answer(world, path) for path in ("/", "/gone", "/wrong-port", "/some")] == ["web", 503, 503, "web"]
    world.service("shop/gone")
    assert [answer(world, path) for path in ("/", "/gone", "/wrong-port")] == ["web", "gone", 503]
    world.delete("Service", "shop/gone")
    assert answer(world, "/gone") == 503


def test_an_included_mistake_leaves_the_rest(world: World) -> None:
    world.service("shop/web")
    world.proxy(
        "shop/bad",
        """
        routes:
        - services: [{name: web, port: 80}]
        - conditions: [{prefix: no-slash}]
          services: [{name: web, port: 80}]
        """,
        valid=False,
    )
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        includes: [{name: bad, conditions: [{prefix: /bad}]}]
        routes: [{services: [{name: web, port: 80}], conditions: [{prefix: /web}]}]
        """,
    )
    assert [answer(world, path) for path in ("/web", "/bad")] == ["web", 404]
    assert world.errors("shop/bad") == [
        (
            "RouteError",
            "PathMatchConditionsNotValid",
            "route: prefix conditions must start with /, no-slash was supplied",
        )
    ]


def test_of_two_roots_for_one_host_none_is_served(world: World) -> None:
    for name in ("one", "two"):
        world.service(f"shop/{name}")
    world.proxy("shop/a", "{virtualhost: {fqdn: site.test}, routes: [{services: [{name: one, port: 80}]}]}")
    assert answer(world, "/") == "one"
    world.proxy(
        "shop/b", "{virtualhost: {fqdn: site.test}, routes: [{services: [{name: two, port: 80}]}]}", valid=False
    )
    assert answer(world, "/") == 404
    assert world.errors("shop/a")[0][:2] == ("VirtualHostError", "DuplicateVhost")
    world.delete("HTTPProxy", "shop/a")
    assert answer(world, "/") == "two"
    assert world.errors("shop/b") == []


# --- weights and mirror -------------------------------------------------------------------------------------------


def test_weights(world: World) -> None:
    for name in ("one", "three", "none"):
        world.service(f"shop/{name}")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - services:
          - {name: one, port: 80, weight: 25}
          - {name: three, port: 80, weight: 75}
          - {name: none, port: 80}
        - conditions: [{prefix: /even}]
          services: [{name: one, port: 80}, {name: three, port: 80}]
        """,
    )
    with world.session() as session:
        counts = Counter(session.get("site.test").backend for _ in range(800))
        even = Counter(session.get("site.test", "/even").backend for _ in range(400))
    # Binomial: five standard deviations are 61 of 800 and 50 of 400.
    assert counts.keys() == {"shop/one", "shop/three"}
    assert abs(counts["shop/one"] - 200) < 61
    assert abs(even["shop/one"] - 200) < 50


def test_a_mirror_sees_a_copy(world: World) -> None:
    world.service("shop/web")
    mirror = world.service("shop/mirror")
    some = world.service("shop/some")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - services: [{name: web, port: 80}, {name: mirror, port: 80, mirror: true}]
        - conditions: [{prefix: /some}]
          services: [{name: web, port: 80}, {name: some, port: 80, mirror: true, weight: 30}]
        - conditions: [{prefix: /only}]
          services: [{name: mirror, port: 80, mirror: true}]
        """,
    )
    with world.session() as session:
        for i in range(20):
            assert session.request("POST", "site.test", f"/p{i}", [("x-n", str(i))], b"body").backend == "shop/web"
        until(lambda: len(mirror.seen) == 20)
        copy = mirror.seen[3]
        assert (copy.method, copy.path, copy.header("x-n"), copy.body) == ("POST", "/p3", "3", "body")
        assert copy.header("host") == "site.test-shadow"
        for _ in range(300):
            assert session.get("site.test", "/some").backend == "shop/web"
        copies = world.envoys[0].stats("^cluster.shop_some_80.upstream_rq_total$")[
            "cluster.shop_some_80.upstream_rq_total"
        ]
        assert 50 < copies < 130  # 90 expected, five standard deviations are 40
        until(lambda: len(some.seen) == copies)
        assert session.get("site.test", "/only").status == 503
