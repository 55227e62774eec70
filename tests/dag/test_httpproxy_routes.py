"""What HTTPProxy objects make of a host: paths, actions, clusters (httpproxy.md §2.5 to §2.10)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.dag.world import AUTHORITY, VALID, World, delegation, ingress, proxy, root, secret, service, serving, to

from contour.api.meta import ObjectRef, Ref
from contour.dag.graph import (
    CircuitBreakers,
    Cluster,
    DirectResponse,
    Forward,
    HeaderKind,
    HeaderMatch,
    Headers,
    HealthCheck,
    Mirror,
    PathKind,
    Redirect,
    Route,
    ServicePort,
    UpstreamValidation,
)

SECOND = 1_000_000_000
SERVICES = (service("web"), service("other"), service("api/backend"))


def paths(world: World, host: str = "shop.test") -> list[str]:
    return [f"{route.path.kind} {route.path.value}" for route in world.routes(host)]


def only_route(*objects: dict[str, Any], host: str = "shop.test", **options: Any) -> Route:
    (route,) = World(*SERVICES, *objects, **options).routes(host)
    return route


def forwarded(*objects: dict[str, Any], **options: Any) -> Forward:
    action = only_route(*objects, **options).action
    assert type(action) is Forward
    return action


def cluster(*objects: dict[str, Any], **options: Any) -> Cluster:
    (backend,) = forwarded(*objects, **options).backends
    return backend.cluster


# --- includes ------------------------------------------------------------------------------------------------------


def test_children_across_namespaces_under_nested_prefixes() -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "api", "namespace": "api", "conditions": [{"prefix": "/api/"}]}]),
        proxy(
            "api/api",
            includes=[{"name": "v2", "conditions": [{"prefix": "/v2"}, {"header": {"name": "x", "present": True}}]}],
            routes=[to("backend"), to("backend") | {"conditions": [{"exact": "/health"}]}],
        ),
        proxy("api/v2", routes=[to("backend", "/carts"), to("backend") | {"conditions": [{"regex": "/[0-9]+"}]}]),
    )
    assert paths(world) == ["exact /api/health", "regex /api/v2/[0-9]+", "prefix /api/v2/carts", "prefix /api/"]
    assert [len(route.headers) for route in world.routes("shop.test")] == [0, 1, 1, 0]
    assert [route.origin for route in world.routes("shop.test")][2:] == [
        ObjectRef("HTTPProxy", "api", "v2"),
        ObjectRef("HTTPProxy", "api", "api"),
    ]
    assert {ref for ref, _ in world.host("shop.test").verdicts} == {
        Ref("shop", "site"),
        Ref("api", "api"),
        Ref("api", "v2"),
    }


def test_services_are_looked_up_where_the_route_stands() -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "api", "namespace": "api"}]),
        proxy("api/api", routes=[to("web")]),
    )
    assert world.errors("api/api")[0][2] == 'Spec.Routes unresolved service reference: service "api/web" not found'


def test_one_child_serves_two_hosts() -> None:
    world = World(
        *SERVICES,
        root("a", "a.test", includes=[{"name": "child"}]),
        root("b", "b.test", includes=[{"name": "child"}]),
        proxy("child", routes=[to("web", "/child")]),
    )
    assert world.routes("a.test") == world.routes("b.test") != ()
    assert world.verdict("child") == VALID


def test_an_include_that_leads_nowhere_answers_502_by_its_own_conditions() -> None:
    header = {"header": {"name": "x", "exact": "1"}}
    world = World(
        *SERVICES,
        serving("cert"),
        root(
            "site",
            "*.shop.test",
            virtualhost={"tls": {"secretName": "cert"}},
            includes=[{"name": "child", "conditions": [{"prefix": "/outer"}]}],
        ),
        proxy("child", includes=[{"name": "absent", "conditions": [{"prefix": "/inner"}, header]}, {"name": "absent"}]),
    )
    (route,) = world.routes("*.shop.test")
    assert route == Route(
        path=route.path,
        action=DirectResponse(502),
        origin=ObjectRef("HTTPProxy", "shop", "child"),
        headers=(HeaderMatch("x", HeaderKind.EXACT, "1"),),
    )
    assert route.path.value == "/inner"
    assert not route.https_redirect


def test_of_equal_matches_the_later_one_wins_and_own_ones_over_included_ones() -> None:
    def served(*routes: dict[str, Any], includes: list[dict[str, Any]] | None = None) -> str:
        action = only_route(
            root("site", "shop.test", includes=includes or [], routes=list(routes)),
            proxy("first", routes=[to("web")]),
            proxy("second", routes=[to("other")]),
        ).action
        assert isinstance(action, Forward)
        return action.backends[0].cluster.service.service

    first, second = {"name": "first"}, {"name": "second"}
    assert served(to("web"), to("other")) == "other"
    assert served(includes=[first, second]) == "other"
    assert served(includes=[second, first]) == "web"
    assert served(to("web"), includes=[first, second]) == "web"


def test_includes_may_nest_deeper_than_python_calls() -> None:
    depth = 3000
    chain = [proxy(f"p{i}", includes=[{"name": f"p{i + 1}"}]) for i in range(depth)]
    world = World(
        *SERVICES, root("site", "shop.test", includes=[{"name": "p0"}]), *chain, proxy(f"p{depth}", routes=[to("web")])
    )
    assert paths(world) == ["prefix /"]
    assert world.verdict(f"p{depth}") == VALID


def test_includes_that_multiply_beyond_reason_are_refused() -> None:
    def twice(name: str) -> list[dict[str, Any]]:
        return [{"name": name, "conditions": [{"prefix": prefix}]} for prefix in ("/a", "/b")]

    tree = [proxy(f"p{i}", includes=twice(f"p{i + 1}")) for i in range(40)]
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=twice("p0"), routes=[to("web")]),
        *tree,
        proxy("p40", routes=[to("web")]),
        root("good", "good.test"),
    )
    assert world.errors("site") == [
        ("IncludeError", "TooManyIncludes", "includes and routes of this HTTPProxy are more than 300000")
    ]
    assert world.routes("shop.test") == ()
    assert len(world.routes("good.test")) == 1


# --- actions -------------------------------------------------------------------------------------------------------


def test_a_route_without_a_service_that_exists_answers_503() -> None:
    world = World(*SERVICES, root("site", "shop.test", routes=[to("absent", "/a"), to("web", "/b", services=[])]))
    assert world.routes("shop.test") == ()  # no action at all is an error of its own
    world.apply(root("site", "shop.test", routes=[to("absent", "/a"), to("web", "/bb")]))
    assert [type(route.action) for route in world.routes("shop.test")] == [Forward, DirectResponse]
    assert world.routes("shop.test")[1].action == DirectResponse(503)


def test_a_mirror_alone_answers_503() -> None:
    services = [{"name": "web", "port": 80, "mirror": True}]
    action = only_route(root("site", "shop.test", routes=[{"services": services}])).action
    assert isinstance(action, DirectResponse)
    assert (action.status, [mirror.cluster.service.service for mirror in action.mirrors]) == (503, ["web"])


def test_redirects_and_direct_responses() -> None:
    redirect = {"hostname": "a.test", "scheme": "https", "port": 8443, "statusCode": 301, "path": "/x"}
    route = only_route(root("site", "shop.test", routes=[{"requestRedirectPolicy": redirect}]))
    assert route.action == Redirect("a.test", "https", 8443, 301, "/x")
    answer = {"statusCode": 200, "body": "ok"}
    route = only_route(root("site", "shop.test", routes=[{"directResponsePolicy": answer}]))
    assert route.action == DirectResponse(200, "ok")


@pytest.mark.parametrize(
    "action",
    [
        {"services": [{"name": "web", "port": 80}]},
        {"services": [{"name": "absent", "port": 80}]},
        {"requestRedirectPolicy": {"hostname": "a.test"}},
        {"directResponsePolicy": {"statusCode": 200}},
    ],
)
def test_a_rewritten_prefix_is_split_whatever_the_route_does(action: dict[str, Any]) -> None:
    rewrite = {"replacePrefix": [{"replacement": "/svc"}]}
    world = World(
        *SERVICES,
        root(
            "site", "shop.test", routes=[{"conditions": [{"prefix": "/app"}], "pathRewritePolicy": rewrite, **action}]
        ),
    )
    assert paths(world) == ["prefix /app/", "prefix /app"]
    if "absent" in str(action):
        assert {route.action for route in world.routes("shop.test")} == {DirectResponse(503)}


def test_one_child_is_rewritten_by_the_prefix_it_is_included_under() -> None:
    rewrite = {"replacePrefix": [{"prefix": "/a", "replacement": "/one"}, {"prefix": "/b", "replacement": "/two"}]}
    world = World(
        *SERVICES,
        root(
            "site",
            "shop.test",
            includes=[{"name": "child", "conditions": [{"prefix": prefix}]} for prefix in ("/a", "/b", "/c")],
        ),
        proxy("child", routes=[to("web", pathRewritePolicy=rewrite)]),
    )
    rewrites = {route.path.value: route.action.prefix_rewrite for route in world.routes("shop.test")}
    assert rewrites == {"/a": "/one", "/a/": "/one/", "/b": "/two", "/b/": "/two/", "/c": ""}


def test_policies_of_a_route() -> None:
    forward = forwarded(
        root(
            "site",
            "shop.test",
            routes=[
                to(
                    "web",
                    enableWebsockets=True,
                    timeoutPolicy={"response": "5s", "idle": "infinity", "idleConnection": "90s"},
                    retryPolicy={"count": 3, "perTryTimeout": "1s"},
                    loadBalancerPolicy={"strategy": "Cookie"},
                    requestHeadersPolicy={"set": [{"name": "x-ns", "value": "%CONTOUR_NAMESPACE%"}]},
                    responseHeadersPolicy={"remove": ["server"]},
                )
            ],
        )
    )
    assert forward.websocket
    assert (forward.timeout, forward.idle_timeout) == (5 * SECOND, 0)
    assert forward.retry is not None
    assert (forward.retry.num_retries, forward.retry.per_try_timeout) == (3, SECOND)
    assert [policy.cookie for policy in forward.hash_policies] == ["X-Contour-Session-Affinity"]
    assert forward.request_headers == Headers(set=(("X-Ns", "shop"),))
    assert forward.response_headers == Headers(remove=("Server",))
    assert forward.backends[0].cluster == Cluster(
        ServicePort("shop", "web", 80, "http"), lb_policy="Cookie", idle_timeout=90 * SECOND
    )


# --- upstreams -----------------------------------------------------------------------------------------------------


def backend(**fields: Any) -> dict[str, Any]:
    """A root whose only route goes to one service."""
    return root("site", "shop.test", routes=[{"services": [{"name": "web", "port": 80, **fields}]}])


def test_weights_and_a_mirror() -> None:
    services = [
        {"name": "web", "port": 80, "weight": 90},
        {"name": "absent", "port": 80, "weight": 5},
        {"name": "other", "port": 80, "weight": 10},
    ]
    mirror = {"name": "other", "port": 80, "mirror": True}
    forward = forwarded(root("site", "shop.test", routes=[{"services": [*services, mirror]}]))
    assert [(found.cluster.service.service, found.weight) for found in forward.backends] == [("web", 90), ("other", 10)]
    assert forward.mirrors == (Mirror(forward.backends[1].cluster, 100),)
    forward = forwarded(root("site", "shop.test", routes=[{"services": [*services, mirror | {"weight": 5}]}]))
    assert forward.mirrors[0].percent == 5


def test_the_protocol_of_a_service() -> None:
    annotated = service("web", metadata={"annotations": {"projectcontour.io/upstream-protocol.tls": "80"}})
    assert cluster(backend()).protocol == ""
    assert cluster(annotated, backend()).protocol == "tls"
    assert cluster(annotated, backend(protocol="h2c")).protocol == "h2c"


def test_circuit_breakers_of_a_service() -> None:
    annotated = service("web", metadata={"annotations": {"projectcontour.io/max-requests": "7"}})
    assert cluster(annotated, backend()).circuit_breakers == CircuitBreakers(max_requests=7)


def test_headers_of_a_service() -> None:
    value = "%CONTOUR_NAMESPACE%/%CONTOUR_SERVICE_NAME%:%CONTOUR_SERVICE_PORT% 50%"
    policy = {"set": [{"name": "x-to", "value": value}], "remove": ["x-b", "x-a"]}
    (found,) = forwarded(backend(requestHeadersPolicy=policy, responseHeadersPolicy={"remove": ["server"]})).backends
    assert found.request_headers == Headers(set=(("X-To", "shop/web:80 50%%"),), remove=("X-A", "X-B"))
    assert found.response_headers == Headers(remove=("Server",))


def test_the_server_name_towards_the_upstream() -> None:
    def host(value: str) -> dict[str, Any]:
        return {"set": [{"name": "Host", "value": value}]}

    def sni(of_route: str = "", of_service: str = "", external: str = "") -> str:
        spec = {"type": "ExternalName", "externalName": external} if external else {}
        route = {
            "services": [{"name": "web", "port": 80, "requestHeadersPolicy": host(of_service) if of_service else {}}],
            "requestHeadersPolicy": host(of_route) if of_route else {},
        }
        site = root("site", "shop.test", routes=[route])
        return cluster(service("web", spec=spec), site, enable_external_name=True).sni

    assert sni() == ""
    assert sni(external="e.test") == "e.test"
    assert sni("r.test", external="e.test") == "r.test"
    assert sni("r.test", "s.test", "e.test") == "s.test"
    assert sni("%REQ(X-Host)%", "%REQ(X-Host)%") == ""


def test_upstream_validation() -> None:
    ca = secret("vault/ca", "Opaque", **{"ca.crt": AUTHORITY.certificate})
    grant = delegation("vault/grant", "ca", "shop")
    policy = {"caSecret": "vault/ca", "subjectName": "a.test", "subjectNames": ["a.test", "b.test"]}
    found = cluster(ca, grant, backend(protocol="tls", validation=policy)).validation
    assert found == UpstreamValidation(Ref("vault", "ca"), AUTHORITY.certificate, ("a.test", "b.test"))
    del policy["subjectNames"]
    found = cluster(ca, grant, backend(protocol="h2", validation=policy)).validation
    assert found is not None
    assert found.subject_names == ("a.test",)


def test_health_checks_and_their_port() -> None:
    ports = ({"name": "http", "port": 80}, {"name": "health", "port": 8081})
    site = root(
        "site",
        "shop.test",
        routes=[
            {
                "services": [{"name": "web", "port": 80, "healthPort": 8081}, {"name": "other", "port": 80}],
                "healthCheckPolicy": {"path": "/ready", "intervalSeconds": 5},
            }
        ],
    )
    first, second = forwarded(service("web", *ports), site).backends
    check = HealthCheck(path="/ready", interval=5 * SECOND)
    assert second.cluster.health_check == check
    assert first.cluster.health_check == msgspec.structs.replace(check, port=8081, port_name="health")
    # Without a policy nobody asks for the port.
    assert cluster(backend(healthPort=9999)).health_check is None


def test_the_dns_family_is_a_setting() -> None:
    assert cluster(backend(), dns_lookup_family="v4").dns_lookup_family == "v4"


def test_clusters_of_a_host_are_listed_once_in_order_of_use() -> None:
    mirror = {"name": "other", "port": 80, "mirror": True}
    world = World(
        *SERVICES,
        root(
            "site",
            "shop.test",
            routes=[to("web"), {"conditions": [{"prefix": "/a"}], "services": [{"name": "web", "port": 80}, mirror]}],
        ),
    )
    assert [found.service.service for found in world.host("shop.test").clusters] == ["web", "other"]


# --- hosts ---------------------------------------------------------------------------------------------------------


def test_a_wildcard_host_matches_one_label() -> None:
    route = only_route(root("site", "*.shop.test"), host="*.shop.test")
    assert [match.name for match in route.headers] == [":authority"]
    assert route.path.kind is PathKind.PREFIX


def test_a_tls_host() -> None:
    site = root(
        "site",
        "shop.test",
        virtualhost={"tls": {"secretName": "cert", "minimumProtocolVersion": "1.3", "maximumProtocolVersion": "x"}},
        routes=[to("web"), to("web", "/open", permitInsecure=True)],
    )
    world = World(*SERVICES, serving("cert"), site)
    host = world.host("shop.test")
    assert host.https is not None
    assert (host.https.secret, host.https.min_tls, host.https.max_tls) == (Ref("shop", "cert"), "1.3", "1.3")
    assert host.http is not None
    assert [(route.path.value, route.https_redirect) for route in host.http.routes] == [("/open", False), ("/", True)]
    assert host.https.routes == host.http.routes
    assert host.roots == (ObjectRef("HTTPProxy", "shop", "site"),)
    assert all(
        route.https_redirect
        for route in World(*SERVICES, serving("cert"), site, disable_permit_insecure=True).routes("shop.test")
    )


def test_a_proxy_wins_over_an_ingress_of_the_same_host() -> None:
    early, late = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    old = ingress("old", "shop.test", early, tls="ingress-cert", paths={"/": "web", "/ingress": "web"})
    site = root("site", "shop.test", late, virtualhost={"tls": {"secretName": "cert"}}, routes=[to("other")])
    world = World(*SERVICES, serving("cert"), serving("ingress-cert"), old, site)
    host = world.host("shop.test")
    assert host.http is not None
    assert host.https is not None
    origins = [(route.path.value, route.origin.kind) for route in host.http.routes]
    assert origins == [("/ingress", "Ingress"), ("/", "HTTPProxy")]
    assert [route.path.value for route in host.https.routes] == ["/ingress", "/"]
    assert host.https.secret == Ref("shop", "cert")
    assert host.roots == (ObjectRef("Ingress", "shop", "old"), ObjectRef("HTTPProxy", "shop", "site"))
    assert host.created == early
    world.apply(root("site", "shop.test", "2024-01-01T00:00:00Z", routes=[to("other")]))
    host = world.host("shop.test")
    assert host.roots[0].kind == "HTTPProxy"
    assert host.https is not None
    assert [route.origin.kind for route in host.https.routes] == ["Ingress", "Ingress"]  # the root has no TLS now
    assert host.https.secret == Ref("shop", "ingress-cert")


def test_a_root_that_stops_leaves_the_ingress_alone() -> None:
    world = World(
        *SERVICES,
        ingress("old", "shop.test"),
        root("site", "shop.test", virtualhost={"tls": {"secretName": "absent"}}),
    )
    assert [route.origin.kind for route in world.routes("shop.test")] == ["Ingress"]
    assert world.host("shop.test").roots == (ObjectRef("Ingress", "shop", "old"),)
    assert not world.verdict("site").valid


def test_duplicate_roots_leave_the_ingress_alone() -> None:
    world = World(*SERVICES, ingress("old", "shop.test"), root("a", "shop.test"), root("b", "shop.test"))
    assert [route.origin.kind for route in world.routes("shop.test")] == ["Ingress"]
