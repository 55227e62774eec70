"""What is done to headers and paths on the way (httpproxy.md §2.11, §2.12)."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.traffic.world import World, quoted

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-headers")]

OPERATORS = ("%PROTOCOL%", "%HOSTNAME%", "%REQ(x-in)%", "%REQ(:path)%", "%CONTOUR_NAMESPACE%", "%RESPONSE_FLAGS%")


def proxy(world: World, route: str, *, services: str = "[{name: web, port: 80}]") -> None:
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test}}
        routes:
        - services: {services}
          {route}
        """,
    )


def test_set_and_remove(world: World) -> None:
    world.service("shop/web")
    proxy(
        world,
        "requestHeadersPolicy: {set: [{name: x-new, value: a}, {name: X-Old, value: b}], remove: [x-bad, user-agent]}\n"
        "          responseHeadersPolicy: {set: [{name: x-Backend, value: hidden}, {name: x-more, value: c}],"
        " remove: [content-type]}",
    )
    answer = world.get("site.test", "/", [("x-old", "1"), ("X-Old", "2"), ("x-bad", "1"), ("user-agent", "me")])
    seen = [pair for pair in answer.seen.headers if pair[0] in ("x-new", "x-old", "x-bad", "user-agent")]
    assert sorted(seen) == [("x-new", "a"), ("x-old", "b")]
    assert [value for name, value in answer.headers if name == "x-backend"] == ["hidden"]
    assert (answer.header("x-more"), answer.header("content-type")) == ("c", None)


def test_service_policies_are_the_services_own(world: World) -> None:
    world.service("shop/one")
    world.service("shop/two")
    proxy(
        world,
        "requestHeadersPolicy: {set: [{name: x-route, value: '%CONTOUR_NAMESPACE%'}]}",
        services="""
          - name: one
            port: 80
            requestHeadersPolicy:
              set:
              - {name: x-who, value: '%CONTOUR_SERVICE_NAME%:%CONTOUR_SERVICE_PORT%'}
              - {name: Host, value: one.internal}
              remove: [x-secret]
            responseHeadersPolicy: {set: [{name: x-from, value: 'to %CONTOUR_SERVICE_NAME%'}]}
          - {name: two, port: 80}""",
    )
    with world.session() as session:
        answers = {(answer := session.get("site.test", "/", [("x-secret", "s")])).backend: answer for _ in range(60)}
    one, two = answers["shop/one"], answers["shop/two"]
    names = ("x-route", "x-who", "x-secret", "host")
    assert [one.seen.header(name) for name in names] == ["shop", "one:80", None, "one.internal"]
    assert [two.seen.header(name) for name in names] == ["shop", None, "s", "site.test"]
    assert (one.header("x-from"), two.header("x-from")) == ("to one", None)


def test_one_header_of_route_and_service(world: World) -> None:
    """The route's is written last."""
    world.service("shop/web")
    proxy(
        world,
        "requestHeadersPolicy: {set: [{name: x-who, value: route}], remove: [x-of-service]}\n"
        "          responseHeadersPolicy: {set: [{name: x-who, value: route}]}",
        services="""
          - name: web
            port: 80
            requestHeadersPolicy: {set: [{name: x-who, value: service}, {name: x-of-service, value: "1"}]}
            responseHeadersPolicy: {set: [{name: x-who, value: service}]}""",
    )
    answer = world.get("site.test")
    assert (answer.seen.header("x-who"), answer.header("x-who")) == ("route", "route")
    assert answer.seen.header("x-of-service") is None


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("other.test", "other.test"),
        ("other.test:99", "other.test:99"),
        ("%REQ(x-target)%", "dynamic.test"),
        ("%REQ(X-Target)% and the rest", "dynamic.test"),
        ("%REQ(x-missing)%", "site.test"),
        ("50%", "50%"),  # nothing is escaped here
    ],
)
def test_host_rewrites(world: World, value: str, host: str) -> None:
    world.service("shop/web")
    proxy(world, f"requestHeadersPolicy: {{set: [{{name: host, value: {quoted(value)}}}]}}")
    assert world.get("site.test", "/", [("x-target", "dynamic.test")]).seen.header("host") == host


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("50%", "50%"),
        ("100%%", "100%%"),
        ("%", "%"),
        ("%FOO%", "%FOO%"),
        ("%START_TIME%", "%START_TIME%"),  # an operator of Envoy that is not on the list
        ("%REQ%", "%REQ%"),
        ("%REQ(x-in", "%REQ(x-in"),
        ("%CONTOUR_SERVICE_NAME%", "%CONTOUR_SERVICE_NAME%"),  # of a route there is no service
        ("%CONTOUR_NAMESPACE%/50%", "shop/50%"),
        ("%PROTOCOL%", "HTTP/1.1"),
        ("a %REQ(x-in)% b", "a in b"),
        ("%REQ(X-In):1%", "i"),
        ("%REQ(x-none?:authority)%", "site.test"),
        ("%REQ(:path)%", "/p?q"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "127.0.0.1"),
        ("%%REQ(x-in)%%", "%in%"),
    ],
)
def test_percent_signs(world: World, value: str, seen: str) -> None:
    world.service("shop/web")
    policy = f"{{set: [{{name: x-out, value: {quoted(value)}}}]}}"
    proxy(world, f"requestHeadersPolicy: {policy}\n          responseHeadersPolicy: {policy}")
    answer = world.get("site.test", "/p?q", [("x-in", "in")])
    assert answer.seen.header("x-out") == answer.header("x-out") == seen


# Printable text; Envoy refuses control characters, and blanks around a value are not part of it.
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
TRICKY = st.lists(
    st.sampled_from(["%", "%%", "%)%", "%REQ(", "]]", '"', "'", "\\", "{", "}", "$(", "${", "<%", "--", ";", "%s", "é", " x "]),
    min_size=1, max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES | TRICKY, min_size=1, max_size=4))
def test_values_come_back_as_they_were_written(world: World, values: list[str]) -> None:
    values = [value for value in values if value.strip() and not any(one in value for one in OPERATORS)]
    if not world.knows("Service", "shop/web"):
        world.service("shop/web")
    pairs = ", ".join(f"{{name: x-{i}, value: {quoted(value)}}}" for i, value in enumerate(values))
    proxy(
        world,
        f"requestHeadersPolicy: {{set: [{pairs}]}}\n          responseHeadersPolicy: {{set: [{pairs}]}}",
        services=f"[{{name: web, port: 80, requestHeadersPolicy: {{set: [{pairs.replace('name: x-', 'name: y-')}]}}}}]",
    )
    answer = world.get("site.test")
    for i, value in enumerate(values):
        wanted = value.strip(" \t").encode()
        assert (answer.header(f"x-{i}") or "").encode("latin-1") == wanted
        for name in ("x", "y"):
            assert (answer.seen.header(f"{name}-{i}") or "").encode("latin-1") == wanted


PIECES = st.sampled_from(
    ["%", "%", "%", "PROTOCOL", "HOSTNAME", "REQ(x-in)", "REQ(:path):2", "REQ(a?b)", "REQ(", "CONTOUR_NAMESPACE", "a", " ",
     "START_TIME", "ENVIRONMENT(PATH)", 'UPSTREAM_METADATA(["a"])', "(", ")", ":1", "?"]
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.lists(PIECES, min_size=1, max_size=10).map("".join), min_size=4, max_size=8))
def test_only_known_operators_are_evaluated(world: World, values: list[str]) -> None:
    """However they are mixed with percent signs, Envoy takes the value and finds no other command in it."""
    if not world.knows("Service", "shop/web"):
        world.service("shop/web")
    values = [value for value in values if value.strip()]
    pairs = ", ".join(f"{{name: x-{i}, value: {quoted(value)}}}" for i, value in enumerate(values))
    proxy(world, f"requestHeadersPolicy: {{set: [{pairs}]}}")
    seen = world.get("site.test", "/p", [("x-in", "in")]).seen
    for i, value in enumerate(values):
        # Envoy writes the old form of this operator's arguments in the new one, also where the percent signs are escaped.
        for unknown in ("START_TIME", "ENVIRONMENT(PATH)", "UPSTREAM_METADATA("):
            assert (seen.header(f"x-{i}") or "").count(unknown) == value.count(unknown)


# What a path or a host may hold that some template language would read as its own.
LITERAL = st.text(alphabet="ab/%{}$()[]*+.\\'\"-_~^|@!,;:", min_size=1, max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=LITERAL, host=LITERAL)
def test_replacements_are_taken_literally(world: World, path: str, host: str) -> None:
    if not world.knows("Service", "shop/web"):
        world.service("shop/web")
    path = "/" + path.strip("/")
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test}}
        routes:
        - conditions: [{{prefix: /from}}]
          services: [{{name: web, port: 80}}]
          pathRewritePolicy: {{replacePrefix: [{{replacement: {quoted(path)}}}]}}
          requestHeadersPolicy: {{set: [{{name: Host, value: {quoted(host)}}}]}}
        - conditions: [{{prefix: /moved}}]
          requestRedirectPolicy: {{path: {quoted(path)}}}
        - conditions: [{{prefix: /prefix}}]
          requestRedirectPolicy: {{prefix: {quoted(path)}}}
        """,
    )
    with world.session() as session:
        seen = session.get("site.test", "/from/x").seen
        assert (seen.path, seen.header("host")) == (f"{path}/x" if path != "/" else "/x", host)
        assert session.get("site.test", "/moved").header("location") == f"http://site.test{path}"
        assert session.get("site.test", "/prefix/x").header("location") == f"http://site.test{path}/x"


def test_request_start(world: World) -> None:
    world.service("shop/web")
    proxy(world, "")
    before = time.time()
    start = world.get("site.test").seen.header("x-request-start") or ""
    assert re.fullmatch(r"t=\d+\.\d{3}", start)
    assert before - 0.001 <= float(start[2:]) <= time.time()


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "replacement", "paths"),
    [
        ("/app", "/svc", {"/app": "/svc", "/app/": "/svc/", "/app/x?q": "/svc/x?q", "/apple": "/svcle"}),
        ("/app/", "/", {"/app": "/", "/app/": "/", "/app/x": "/x"}),
        ("/app", "/svc/", {"/app": "/svc", "/app/": "/svc/", "/app/x": "/svc/x"}),
        ("/", "/svc", {"/": "/svc", "/x": "/svcx"}),
        ("/app", "/", {"/app": "/", "/app/": "/", "/app/x": "/x"}),
    ],
)
def test_replace_prefix(world: World, prefix: str, replacement: str, paths: dict[str, str]) -> None:
    world.service("shop/web")
    proxy(
        world,
        f"conditions: [{{prefix: {prefix}}}]\n"
        f"          pathRewritePolicy: {{replacePrefix: [{{replacement: {replacement}}}]}}",
    )
    assert {path: world.get("site.test", path).seen.path for path in paths} == paths


def test_replace_prefix_of_two_routes_with_one_prefix(world: World) -> None:
    world.service("shop/web")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - conditions: [{prefix: /app}, {header: {name: x-a, present: true}}]
          services: [{name: web, port: 80}]
          pathRewritePolicy: {replacePrefix: [{replacement: /with}]}
        - conditions: [{prefix: /app}]
          services: [{name: web, port: 80}]
          pathRewritePolicy: {replacePrefix: [{replacement: /}]}
        """,
    )
    assert world.get("site.test", "/app/x", [("x-a", "")]).seen.path == "/with/x"
    assert world.get("site.test", "/app/x").seen.path == "//x"  # verbatim: no rule of slashes here


def test_replace_prefix_by_the_merged_prefix_of_an_include(world: World) -> None:
    world.service("shop/web")
    world.proxy(
        "shop/child",
        """
        routes:
        - conditions: [{prefix: /v1}]
          services: [{name: web, port: 80}]
          pathRewritePolicy:
            replacePrefix:
            - {prefix: /one/v1, replacement: /first}
            - {prefix: /two/v1, replacement: /second}
            - {replacement: /other}
        """,
        valid=False,
    )
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        includes:
        - {name: child, conditions: [{prefix: /one}]}
        - {name: child, conditions: [{prefix: /two}]}
        - {name: child, conditions: [{prefix: /three}]}
        """,
    )
    paths = {"/one/v1/x": "/first/x", "/two/v1": "/second", "/three/v1/x": "/other/x"}
    assert {path: world.get("site.test", path).seen.path for path in paths} == paths
