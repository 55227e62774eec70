"""httpproxy.md §4.6, §4.7 and §4.9."""

from __future__ import annotations

from typing import Any

import pytest

from contour.api.meta import ObjectRef
from contour.dag import graph
from contour.dag.graph import Backend, Forward, HashPolicy, HeaderKind, HeaderMatch, Headers, PathKind, QueryKind
from contour.envoy import pb, rules, virtualhost
from contour.envoy.route import route

SECOND = 1_000_000_000
ORIGIN = ObjectRef("HTTPProxy", "shop", "site")
PREFIX = graph.PathMatch(PathKind.PREFIX, "/")
A = graph.Cluster(graph.ServicePort("shop", "a", 80))
B = graph.Cluster(graph.ServicePort("shop", "b", 80))
A_NAME, B_NAME = "shop/a/80/da39a3ee5e", "shop/b/80/da39a3ee5e"


def fields(action: Any = None, *, secure: bool = True, **settings: Any) -> dict[str, Any]:
    one = graph.Route(
        path=settings.pop("path", PREFIX), action=action or Forward((Backend(A),)), origin=ORIGIN, **settings
    )
    message = route(one, host="shop.test", secure=secure)
    assert rules.violations(message) == []
    return pb.to_dict(message)


def forwarded(**settings: Any) -> dict[str, Any]:
    action: dict[str, Any] = fields(Forward(settings.pop("backends", (Backend(A),)), **settings))["route"]
    return action


def test_the_smallest_route() -> None:
    origin = {
        "io.projectcontour.kind": "HTTPProxy",
        "io.projectcontour.namespace": "shop",
        "io.projectcontour.name": "site",
    }
    assert fields() == {
        "match": {"prefix": "/"},
        "route": {"cluster": A_NAME},
        "metadata": {"filter_metadata": {"envoy.access_loggers.file": origin}},
    }


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (PathKind.PREFIX, {"prefix": "/x"}),
        (PathKind.SEGMENT, {"path_separated_prefix": "/x"}),
        (PathKind.EXACT, {"path": "/x"}),
        (PathKind.REGEX, {"safe_regex": {"regex": "^/x"}}),
    ],
)
def test_paths(kind: PathKind, wanted: dict[str, Any]) -> None:
    assert fields(path=graph.PathMatch(kind, "/x"))["match"] == wanted


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        (HeaderMatch("a", HeaderKind.EXACT, "x"), {"string_match": {"exact": "x"}}),
        (
            HeaderMatch("a", HeaderKind.EXACT, "x", ignore_case=True),
            {"string_match": {"exact": "x", "ignore_case": True}},
        ),
        (
            HeaderMatch("a", HeaderKind.CONTAINS, "x", invert=True, treat_missing_as_empty=True),
            {"string_match": {"contains": "x"}, "invert_match": True, "treat_missing_header_as_empty": True},
        ),
        (HeaderMatch("a", HeaderKind.CONTAINS, "x", treat_missing_as_empty=True), {"string_match": {"contains": "x"}}),
        (HeaderMatch("a", HeaderKind.REGEX, "x+"), {"string_match": {"safe_regex": {"regex": "x+"}}}),
        (HeaderMatch("a", HeaderKind.PRESENT, invert=True), {"present_match": True, "invert_match": True}),
    ],
)
def test_header_matches(match: HeaderMatch, wanted: dict[str, Any]) -> None:
    assert fields(headers=(match,))["match"]["headers"] == [{"name": "a", **wanted}]


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        (graph.QueryMatch("q", QueryKind.EXACT, "x"), {"string_match": {"exact": "x"}}),
        (graph.QueryMatch("q", QueryKind.PREFIX, "x"), {"string_match": {"prefix": "x"}}),
        (graph.QueryMatch("q", QueryKind.SUFFIX, "x"), {"string_match": {"suffix": "x"}}),
        (
            graph.QueryMatch("q", QueryKind.CONTAINS, "x", ignore_case=True),
            {"string_match": {"contains": "x", "ignore_case": True}},
        ),
        (graph.QueryMatch("q", QueryKind.REGEX, "x+"), {"string_match": {"safe_regex": {"regex": "x+"}}}),
        (graph.QueryMatch("q", QueryKind.PRESENT), {"present_match": True}),
    ],
)
def test_query_matches(match: graph.QueryMatch, wanted: dict[str, Any]) -> None:
    assert fields(query=(match,))["match"]["query_parameters"] == [{"name": "q", **wanted}]


# --- which action -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [None, graph.Redirect(hostname="x"), graph.DirectResponse(200)])
def test_the_plain_copy_of_a_route_that_wants_tls(action: Any) -> None:
    plain = fields(action, secure=False, https_redirect=True)
    assert plain["redirect"] == {"https_redirect": True}
    assert plain["typed_per_filter_config"] == {
        "envoy.filters.http.ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "disabled": True,
        }
    }
    assert fields(action, secure=True, https_redirect=True) == fields(action, secure=True)


def test_direct_responses() -> None:
    assert fields(graph.DirectResponse(404))["direct_response"] == {"status": 404}
    assert fields(graph.DirectResponse(200, "ok"))["direct_response"] == {
        "status": 200,
        "body": {"inline_string": "ok"},
    }


@pytest.mark.parametrize(
    ("redirect", "wanted"),
    [
        (graph.Redirect(), {}),
        (
            graph.Redirect(hostname="new.test", scheme="https", port=8443, status=302, path="/x"),
            {
                "host_redirect": "new.test",
                "scheme_redirect": "https",
                "port_redirect": 8443,
                "response_code": "FOUND",
                "path_redirect": "/x",
            },
        ),
        (graph.Redirect(prefix="/p", status=303), {"prefix_rewrite": "/p", "response_code": "SEE_OTHER"}),
        (graph.Redirect(status=301), {}),
        (graph.Redirect(status=307), {"response_code": "TEMPORARY_REDIRECT"}),
        (graph.Redirect(status=308), {"response_code": "PERMANENT_REDIRECT"}),
    ],
)
def test_redirects(redirect: graph.Redirect, wanted: dict[str, Any]) -> None:
    assert fields(redirect)["redirect"] == wanted


# --- clusters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"request_headers": Headers(set=(("X-A", "1"),))}, "request_headers_to_add"),
        ({"request_headers": Headers(remove=("X-A",))}, "request_headers_to_remove"),
        ({"request_headers": Headers(host_rewrite="h")}, "host_rewrite_literal"),
        ({"response_headers": Headers(set=(("X-A", "1"),))}, "response_headers_to_add"),
        ({"response_headers": Headers(remove=("X-A",))}, "response_headers_to_remove"),
        ({"cookie_rewrites": (graph.CookieRewrite("a", path="/"),)}, "typed_per_filter_config"),
    ],
)
def test_one_cluster_with_policies_of_its_own_is_weighted(settings: dict[str, Any], wanted: str) -> None:
    (entry,) = forwarded(backends=(Backend(A, **settings),))["weighted_clusters"]["clusters"]
    assert entry.keys() == {"name", "weight", wanted}
    assert entry["weight"] == 1


def test_a_header_that_names_the_host_does_nothing_on_a_service() -> None:
    assert forwarded(backends=(Backend(A, request_headers=Headers(host_rewrite_header="X-Host")),)) == {
        "cluster": A_NAME
    }


def test_weighted_clusters_by_name_then_weight() -> None:
    backends = (Backend(B, 10), Backend(A, 90), Backend(A, 0))
    clusters = forwarded(backends=backends)["weighted_clusters"]["clusters"]
    assert [(entry["name"], entry["weight"]) for entry in clusters] == [(A_NAME, 0), (A_NAME, 90), (B_NAME, 10)]


def test_no_weights_are_equal_weights() -> None:
    clusters = forwarded(backends=(Backend(A), Backend(B)))["weighted_clusters"]["clusters"]
    assert [entry["weight"] for entry in clusters] == [1, 1]


def test_cookie_rules_hold_what_the_policy_names_only() -> None:
    rewrites = (
        graph.CookieRewrite("a", path="/", secure=False),
        graph.CookieRewrite("b", domain="x.test", same_site="Lax", secure=True),
    )
    (entry,) = forwarded(backends=(Backend(A, cookie_rewrites=rewrites),))["weighted_clusters"]["clusters"]
    config = entry["typed_per_filter_config"]["envoy.filters.http.lua"]
    assert config["name"] == "cookie_rewrite.lua"
    assert config["filter_context"] == {
        "cookie_rewrite_rules": {
            "a": {"Path": "/", "Secure": False},
            "b": {"Domain": "x.test", "SameSite": "Lax", "Secure": True},
        }
    }


# --- the rest of a forwarding route -------------------------------------------------------------------------------


def test_headers_of_a_route_replace() -> None:
    found = fields(
        Forward(
            (Backend(A),),
            request_headers=Headers(set=(("X-A", "1"), ("X-B", "2")), remove=("X-C",), host_rewrite="h"),
            response_headers=Headers(set=(("X-D", "3"),), remove=("X-E",)),
        )
    )
    overwrite = "OVERWRITE_IF_EXISTS_OR_ADD"
    assert found["request_headers_to_add"] == [
        {"header": {"key": "X-A", "value": "1"}, "append_action": overwrite},
        {"header": {"key": "X-B", "value": "2"}, "append_action": overwrite},
    ]
    assert found["request_headers_to_remove"] == ["X-C"]
    assert found["response_headers_to_add"] == [{"header": {"key": "X-D", "value": "3"}, "append_action": overwrite}]
    assert found["response_headers_to_remove"] == ["X-E"]
    assert found["route"]["host_rewrite_literal"] == "h"


def test_the_fixed_host_wins() -> None:
    header = Headers(host_rewrite_header="X-Host")
    assert forwarded(request_headers=header)["host_rewrite_header"] == "X-Host"
    both = forwarded(request_headers=Headers(host_rewrite="h", host_rewrite_header="X-Host"))
    assert both == {"cluster": A_NAME, "host_rewrite_literal": "h"}


@pytest.mark.parametrize(("timeout", "wanted"), [(None, None), (0, "0s"), (5 * SECOND, "5s"), (1_500_000, "0.001500s")])
def test_timeouts_have_three_states(timeout: int | None, wanted: str | None) -> None:
    found = forwarded(timeout=timeout, idle_timeout=timeout)
    assert (found.get("timeout"), found.get("idle_timeout")) == (wanted, wanted)


def test_retries() -> None:
    assert forwarded(retry=graph.Retry("5xx", 0))["retry_policy"] == {"retry_on": "5xx", "num_retries": 0}
    full = graph.Retry("reset,5xx", 3, per_try_timeout=SECOND, status_codes=(503, 502))
    assert forwarded(retry=full)["retry_policy"] == {
        "retry_on": "reset,5xx",
        "num_retries": 3,
        "per_try_timeout": "1s",
        "retriable_status_codes": [503, 502],
    }


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (HashPolicy(header="X-A", terminal=True), {"header": {"header_name": "X-A"}, "terminal": True}),
        (HashPolicy(query_parameter="q"), {"query_parameter": {"name": "q"}}),
        (HashPolicy(cookie="c", cookie_path="/"), {"cookie": {"name": "c", "ttl": "0s", "path": "/"}}),
        (HashPolicy(source_ip=True), {"connection_properties": {"source_ip": True}}),
    ],
)
def test_hash_policies(policy: HashPolicy, wanted: dict[str, Any]) -> None:
    assert forwarded(hash_policies=(policy,))["hash_policy"] == [wanted]


def test_mirror_rewrite_and_websocket() -> None:
    assert forwarded(mirrors=(graph.Mirror(B, 30),), prefix_rewrite="/new", websocket=True) == {
        "cluster": A_NAME,
        "request_mirror_policies": [
            {"cluster": B_NAME, "runtime_fraction": {"default_value": {"numerator": 30}}},
        ],
        "prefix_rewrite": "/new",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }


# --- virtual hosts ------------------------------------------------------------------------------------------------


def routes() -> tuple[graph.Route, ...]:
    paths = ("/long", "/")
    return tuple(
        graph.Route(graph.PathMatch(PathKind.PREFIX, path), Forward((Backend(A),)), ORIGIN, https_redirect=True)
        for path in paths
    )


def test_a_virtual_host_keeps_the_order_of_its_routes() -> None:
    message = virtualhost.virtual_host("x.test", routes(), secure=True)
    assert (message.name, list(message.domains)) == ("x.test", ["x.test"])
    assert [one.match.prefix for one in message.routes] == ["/long", "/"]
    assert all(one.HasField("route") for one in message.routes)
    plain = virtualhost.virtual_host("x.test", routes(), secure=False)
    assert all(one.redirect.https_redirect for one in plain.routes)


def test_a_long_name_is_hashed_but_not_the_domain() -> None:
    name = "a" * 60 + ".test"
    message = virtualhost.virtual_host(name, (), secure=True)
    assert list(message.domains) == [name]
    assert len(message.name) == 60


def test_a_route_configuration_from_messages_and_from_bytes() -> None:
    hosts = [virtualhost.virtual_host(name, routes(), secure=True) for name in ("a.test", "b.test")]
    message = virtualhost.route_configuration("ingress_http", hosts)
    encoded = virtualhost.encoded_route_configuration("ingress_http", [pb.serialize(host) for host in hosts])
    assert pb.RouteConfiguration.FromString(encoded) == message
    assert rules.violations(message) == []
    assert pb.to_dict(virtualhost.route_configuration("ingress_http")) == {
        "name": "ingress_http",
        "ignore_port_in_host_matching": True,
        "request_headers_to_add": [{"header": {"key": "x-request-start", "value": "t=%START_TIME(%s.%3f)%"}}],
    }
