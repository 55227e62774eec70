"""operations.md §12.3 and §12.4: what an IngressRoute serves, and what is found about it."""

from __future__ import annotations

import pytest
from tests.dag.world import (
    AUTHORITY,
    World,
    delegate,
    delegation,
    ingress,
    ingressroute,
    obj,
    prefix,
    root,
    secret,
    service,
    serving,
    to,
)

from contour.api.meta import ObjectRef, Ref
from contour.dag.graph import (
    CircuitBreakers,
    Cluster,
    Forward,
    HashPolicy,
    HealthCheck,
    PathKind,
    PathMatch,
    Retry,
    ServicePort,
    UpstreamValidation,
)
from contour.dag.ingressroute_routes import matches_prefix

SECOND = 1_000_000_000
SERVICES = tuple(service(name) for name in ("web", "blue", "green", "team/web"))
ORPHANED = "this IngressRoute is not part of a delegation chain from a root IngressRoute"


def served(world: World, host: str = "shop.test") -> dict[str, list[str]]:
    """Prefix -> services, of the plain listener."""
    return {
        route.path.value: [backend.cluster.service.service for backend in route.action.backends]
        for route in world.routes(host)
        if isinstance(route.action, Forward)
    }


def action(**route: object) -> Forward:
    world = World(*SERVICES, ingressroute("site", "shop.test", routes=[prefix("/", "web", **route)]))
    (only,) = world.routes("shop.test")
    assert isinstance(only.action, Forward)
    return only.action


def cluster(*objects: object, **fields: object) -> Cluster:
    services = [{"name": "web", "port": 80, **fields}]
    world = World(*SERVICES, *objects, ingressroute("site", "shop.test", routes=[{"match": "/", "services": services}]))  # type: ignore[arg-type]
    assert world.description("site") == ""
    (only,) = world.host("shop.test").clusters
    return only


# --- routes -------------------------------------------------------------------------------------------------------


def test_what_a_route_holds() -> None:
    world = World(*SERVICES, ingressroute("site", "shop.test", "2026-01-01T00:00:00Z"))
    host = world.host("shop.test")
    (route,) = world.routes("shop.test")
    assert (route.path, route.origin) == (PathMatch(PathKind.PREFIX, "/"), ObjectRef("IngressRoute", "shop", "site"))
    assert isinstance(route.action, Forward)
    assert [one.cluster for one in route.action.backends] == [Cluster(ServicePort("shop", "web", 80, "http"))]
    assert (host.https, host.roots, host.created) == (None, (route.origin,), "2026-01-01T00:00:00Z")
    assert world.description("site") == ""


def test_what_a_route_can_say() -> None:
    assert action(enableWebsockets=True).websocket
    assert action(prefixRewrite="/new").prefix_rewrite == "/new"
    assert action(retryPolicy={}).retry == Retry("5xx", 1)
    assert action(retryPolicy={"count": 3, "perTryTimeout": "1s"}).retry == Retry("5xx", 3, SECOND)


@pytest.mark.parametrize(
    ("written", "timeout"),
    [("", None), ("5s", 5 * SECOND), ("infinity", 0), ("soon", 0), ("0s", None)],
)
def test_a_timeout_that_cannot_be_read_is_no_limit(written: str, timeout: int | None) -> None:
    assert action(timeoutPolicy={"request": written}).timeout == timeout


def test_weights_and_strategies() -> None:
    services = [
        {"name": "blue", "port": 80, "weight": 90, "strategy": "Random"},
        {"name": "green", "port": 80, "weight": 10, "strategy": "Cookie"},
        {"name": "web", "port": 80, "strategy": "RoundRobin"},
        {"name": "web", "port": 80, "strategy": "RequestHash"},  # of HTTPProxy only
    ]
    got = action(services=services)
    assert [one.weight for one in got.backends] == [90, 10, 0, 0]
    assert [one.cluster.lb_policy for one in got.backends] == ["Random", "Cookie", "", ""]
    assert got.hash_policies == (HashPolicy(cookie="X-Contour-Session-Affinity", cookie_path="/"),)
    assert action().hash_policies == ()


def test_health_checks() -> None:
    assert cluster(healthCheck={"path": "/up"}).health_check == HealthCheck(path="/up")
    check = {"path": "/up", "host": "h", "intervalSeconds": 1, "timeoutSeconds": 2, "unhealthyThresholdCount": 3}
    assert cluster(healthCheck=check | {"healthyThresholdCount": 4}).health_check == HealthCheck(
        path="/up", host="h", interval=SECOND, timeout=2 * SECOND, unhealthy_threshold=3, healthy_threshold=4
    )


CA = secret("ca", "Opaque", **{"ca.crt": AUTHORITY.certificate})
CHECKED = {"caSecret": "ca", "subjectName": "web.test"}


def annotated(**annotations: str) -> object:
    return service("web", metadata={"annotations": {f"projectcontour.io/{k}": v for k, v in annotations.items()}})


def test_what_the_service_says() -> None:
    tls = annotated(**{"upstream-protocol.tls": "80", "max-requests": "5"})
    found = cluster(CA, tls, validation=CHECKED)
    assert (found.protocol, found.circuit_breakers) == ("tls", CircuitBreakers(max_requests=5))
    assert found.validation == UpstreamValidation(Ref("shop", "ca"), AUTHORITY.certificate, ("web.test",))
    # Only `tls` is checked: not h2, although that has TLS, too.
    assert cluster(annotated(**{"upstream-protocol.h2": "80"}), validation=CHECKED).validation is None
    assert cluster(validation=CHECKED).validation is None


# --- delegation ---------------------------------------------------------------------------------------------------


def test_delegation_keeps_whole_prefixes() -> None:
    world = World(
        *SERVICES,
        ingressroute("site", "shop.test", routes=[prefix("/", "web"), delegate("/team", "child", "team")]),
        ingressroute("team/child", routes=[prefix("/team", "web"), delegate("/team/a", "more")]),
        ingressroute("team/more", routes=[prefix("/team/a/b", "web")]),
    )
    assert served(world) == {"/": ["web"], "/team": ["web"], "/team/a/b": ["web"]}
    origins = {route.path.value: route.origin.namespace for route in world.routes("shop.test")}
    assert origins == {"/": "shop", "/team": "team", "/team/a/b": "team"}
    assert [world.description(name) for name in ("site", "team/child", "team/more")] == ["", "", ""]


def test_blue_and_green_by_delegation() -> None:
    """Two children for one prefix: the later one in the root's list holds."""
    children = [ingressroute(name, routes=[prefix("/app", name)]) for name in ("blue", "green")]
    routes = [delegate("/app", "blue"), delegate("/app", "green")]
    world = World(*SERVICES, *children, ingressroute("site", "shop.test", routes=routes))
    assert served(world) == {"/app": ["green"]}
    world.apply(ingressroute("site", "shop.test", routes=list(reversed(routes))))
    assert served(world) == {"/app": ["blue"]}
    world.apply(ingressroute("site", "shop.test", routes=routes[1:]))
    assert served(world) == {"/app": ["green"]}
    assert world.description("blue") == ORPHANED


def test_what_is_not_there_is_not_missed() -> None:
    world = World(*SERVICES, ingressroute("site", "shop.test", routes=[delegate("/a", "nobody"), prefix("/b", "web")]))
    assert (served(world), world.description("site")) == ({"/b": ["web"]}, "")
    world.apply(ingressroute("nobody", routes=[prefix("/a", "web")]))
    assert served(world) == {"/a": ["web"], "/b": ["web"]}


@pytest.mark.parametrize(
    ("path", "parent", "covers"),
    [
        ("/foo", "", True),
        ("", "", True),
        ("/foo", "/", True),
        ("/foo", "/foo", True),
        ("/foo/", "/foo", True),
        ("/foo", "/foo/", True),
        ("/foo/bar", "/foo", True),
        ("/foobar", "/foo", False),
        ("/", "/foo", False),
        ("", "/foo", False),
    ],
)
def test_a_prefix_covers_whole_segments(path: str, parent: str, covers: bool) -> None:
    assert matches_prefix(path, parent) is covers


def test_nobody_serves_more_than_was_delegated() -> None:
    text = 'the path prefix "{}" does not match the parent\'s path prefix "/foo"'
    child = ingressroute("child", routes=[prefix("/foo/x", "web"), prefix("/bar", "web"), prefix("/foo/y", "web")])
    parent = ingressroute("site", "shop.test", routes=[delegate("/foo", "child"), prefix("/", "web")])
    world = World(*SERVICES, parent, child)
    assert served(world) == {"/": ["web"], "/foo/x": ["web"]}
    assert (world.description("child"), world.description("site")) == (text.format("/bar"), "")
    # Nor does it hand on what it has not got.
    world.apply(ingressroute("child", routes=[delegate("/bar", "more")]), ingressroute("more"))
    assert served(world) == {"/": ["web"]}
    assert (world.description("child"), world.description("more")) == (text.format("/bar"), ORPHANED)


def test_a_cycle_ends_where_it_closes() -> None:
    world = World(
        *SERVICES,
        ingressroute("site", "shop.test", routes=[delegate("/a", "a"), prefix("/", "web")]),
        ingressroute("a", routes=[delegate("/a", "b"), prefix("/a", "web")]),
        ingressroute("b", routes=[prefix("/a/b", "web"), delegate("/a", "a"), prefix("/a/c", "web")]),
    )
    assert served(world) == {"/": ["web"], "/a": ["web"], "/a/b": ["web"]}
    cycle = "route creates a delegation cycle: shop/site -> shop/a -> shop/b -> shop/a"
    assert [world.description(name) for name in ("site", "a", "b")] == ["", "", cycle]


def test_the_first_visit_of_a_child_speaks() -> None:
    routes = [delegate("/a", "child"), delegate("/b", "child")]
    child = ingressroute("child", routes=[prefix("/a", "web")])
    world = World(*SERVICES, ingressroute("site", "shop.test", routes=routes), child)
    assert (served(world), world.description("child")) == ({"/a": ["web"]}, "")
    world.apply(ingressroute("site", "shop.test", routes=list(reversed(routes))))
    assert served(world) == {"/a": ["web"]}
    assert world.description("child") == 'the path prefix "/a" does not match the parent\'s path prefix "/b"'


def test_of_two_roots_the_one_that_finds_something_speaks() -> None:
    child = ingressroute("child", routes=[prefix("/a", "web")])
    one = ingressroute("one", "one.test", "2026-01-01T00:00:00Z", routes=[delegate("/a", "child")])
    two = ingressroute("two", "two.test", "2026-01-02T00:00:00Z", routes=[delegate("/b", "child")])
    three = ingressroute("three", "three.test", "2025-01-02T00:00:00Z", routes=[delegate("/c", "child")])
    text = 'the path prefix "/a" does not match the parent\'s path prefix "/{}"'
    world = World(*SERVICES, child, one, two)
    assert (served(world, "one.test"), world.description("child")) == ({"/a": ["web"]}, text.format("b"))
    world.apply(three)
    assert world.description("child") == text.format("c")
    world.delete("IngressRoute", "three")
    world.delete("IngressRoute", "two")
    assert world.description("child") == ""


def test_delegations_without_end_are_cut() -> None:
    objects = [
        ingressroute(f"n{level}", routes=[delegate("/", f"n{level + 1}"), delegate("/", f"n{level + 1}")])
        for level in range(30)
    ]
    world = World(*SERVICES, *objects, ingressroute("site", "shop.test", routes=[delegate("/", "n0")]))
    assert world.description("site") == "routes and delegations of this IngressRoute are more than 300000"
    assert world.routes("shop.test") == ()


def test_a_long_chain_is_no_deep_recursion() -> None:
    last = 3000
    objects = [
        ingressroute(f"n{level}", routes=[delegate("/", f"n{level + 1}")] if level < last else [prefix("/", "web")])
        for level in range(last + 1)
    ]
    world = World(*SERVICES, *objects, ingressroute("site", "shop.test", routes=[delegate("/", "n0")]))
    assert served(world) == {"/": ["web"]}


# --- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"routes": [{**prefix("/foo", "web"), "delegate": {"name": "child"}}]},
            'route "/foo": cannot specify services and delegate in the same route',
        ),
        ({"routes": [prefix("/foo", "none")]}, "Service [none:80] is invalid or missing"),
        (
            {"routes": [{"match": "/foo", "services": [{"name": "web", "port": 12345}]}]},
            "Service [web:12345] is invalid or missing",
        ),
        (
            {"routes": [{"match": "/foo", "services": [{"name": "web", "port": 0}]}]},
            'route "/foo": service "web": port must be in the range 1-65535',
        ),
        (
            {"routes": [{"match": "/foo", "services": [{"name": "web", "port": 80, "weight": -1}]}]},
            'route "/foo": service "web": weight must be greater than or equal to zero',
        ),
        (
            {"routes": [delegate("/foo", "other")]},
            "root ingressroute cannot delegate to another root ingressroute",
        ),
        ({"routes": [delegate("/", "site")]}, "root ingressroute cannot delegate to another root ingressroute"),
    ],
)
def test_a_mistake_ends_the_routes_of_its_object(spec: dict[str, list[object]], text: str) -> None:
    routes = [prefix("/first", "web"), *spec["routes"], prefix("/last", "web")]
    world = World(*SERVICES, ingressroute("site", "shop.test", routes=routes), ingressroute("other", "other.test"))
    assert (served(world), world.description("site")) == ({"/first": ["web"]}, text)


@pytest.mark.parametrize(
    ("validation", "text"),
    [
        ({"caSecret": "none", "subjectName": "x"}, 'invalid CA Secret "shop/none": Secret not found'),
        ({"caSecret": "cert", "subjectName": "x"}, 'invalid CA Secret "shop/cert": empty "ca.crt" key'),
        ({"caSecret": "ca", "subjectName": ""}, "missing subject alternative name"),
        # Secrets of other namespaces are not for this.
        ({"caSecret": "shop/ca", "subjectName": "x"}, 'invalid CA Secret "shop/shop/ca": Secret not found'),
    ],
)
def test_upstream_validation_that_cannot_be_done(validation: object, text: str) -> None:
    services = [{"name": "web", "port": 80, "validation": validation}]
    tls = annotated(**{"upstream-protocol.tls": "80"})
    site = ingressroute("site", "shop.test", routes=[{"match": "/", "services": services}])
    world = World(CA, serving("cert"), tls, site)  # type: ignore[arg-type]
    assert world.description("site") == f"Service [web:80] TLS upstream validation policy error: {text}"
    assert world.routes("shop.test") == ()


def test_names_of_hosts() -> None:
    world = World(*SERVICES, ingressroute("blank", " "), ingressroute("wild", "*.shop.test"))
    assert world.description("blank") == "Spec.VirtualHost.Fqdn must be specified"
    assert world.description("wild") == 'Spec.VirtualHost.Fqdn "*.shop.test" cannot use wildcards'
    assert world.routes("*.shop.test") == ()
    world = World(*SERVICES, ingressroute("none", "", virtualhost={}))
    assert world.description("none") == "Spec.VirtualHost.Fqdn must be specified"


def test_root_namespaces() -> None:
    objects = (*SERVICES, ingressroute("site", "shop.test"), ingressroute("team/child"))
    world = World(*objects, root_namespaces=("team",))
    assert world.description("site") == "root IngressRoute cannot be defined in this namespace"
    assert world.routes("shop.test") == ()
    world = World(
        *SERVICES,
        ingressroute("site", "shop.test", routes=[delegate("/", "child", "team")]),
        ingressroute("team/child"),
        root_namespaces=("shop",),
    )
    assert served(world) == {"/": ["web"]}  # children may be anywhere


def test_a_name_that_several_roots_claim_serves_none_of_them() -> None:
    roots = (ingressroute("team/b", "shop.test"), ingressroute("a", "Shop.test"))
    world = World(*SERVICES, *roots)
    text = 'fqdn "shop.test" is used in multiple IngressRoutes: shop/a, team/b'
    assert [world.description(name) for name in ("a", "team/b")] == [text, text]
    assert world.routes("shop.test") == ()
    world.delete("IngressRoute", "team/b")
    assert (world.description("a"), served(world, "shop.test")) == ("", {"/": ["web"]})


# --- TLS ----------------------------------------------------------------------------------------------------------


def tls(name: str = "cert", **fields: object) -> dict[str, object]:
    return {"tls": {"secretName": name, **fields}}


def test_with_tls_plain_requests_are_redirected_unless_permitted() -> None:
    routes = [prefix("/", "web"), prefix("/open", "web", permitInsecure=True)]
    objects = (*SERVICES, serving("cert"), ingressroute("site", "shop.test", virtualhost=tls(), routes=routes))
    for options, open_ in (({}, False), ({"disable_permit_insecure": True}, True)):
        world = World(*objects, **options)
        host = world.host("shop.test")
        assert host.http is not None
        assert {route.path.value: route.https_redirect for route in host.http.routes} == {"/": True, "/open": open_}
        assert host.https is not None
        assert (host.https.secret, host.https.min_tls, len(host.https.routes)) == (Ref("shop", "cert"), "1.2", 2)


@pytest.mark.parametrize(("written", "least"), [("", "1.2"), ("1.1", "1.2"), ("1.2", "1.2"), ("1.3", "1.3")])
def test_minimum_protocol_version(written: str, least: str) -> None:
    virtualhost = tls(minimumProtocolVersion=written)
    host = World(*SERVICES, serving("cert"), ingressroute("site", "shop.test", virtualhost=virtualhost)).host(
        "shop.test"
    )
    assert host.https is not None
    assert (host.https.min_tls, host.https.max_tls) == (least, "1.3")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", 'Spec.VirtualHost.TLS Secret "none" is invalid: Secret not found'),
        ("empty", 'Spec.VirtualHost.TLS Secret "empty" is invalid: missing TLS certificate'),
        ("", 'Spec.VirtualHost.TLS Secret "" is invalid: Secret not found'),
        ("vault/cert", 'Spec.VirtualHost.TLS Secret "vault/cert" certificate delegation not permitted'),
        ("vault/none", 'Spec.VirtualHost.TLS Secret "vault/none" certificate delegation not permitted'),
    ],
)
def test_secrets_that_may_not_be_used(name: str, text: str) -> None:
    site = ingressroute("site", "shop.test", virtualhost=tls(name))
    world = World(*SERVICES, secret("empty"), serving("vault/cert"), site)
    assert (world.description("site"), world.routes("shop.test")) == (text, ())


HEPTIO_GRANT = obj(
    "TLSCertificateDelegation",
    "contour.heptio.com/v1beta1",
    "vault/grant",
    spec={"delegations": [{"secretName": "cert", "targetNamespaces": ["shop"]}]},
)


@pytest.mark.parametrize("grant", [HEPTIO_GRANT, delegation("vault/grant", "cert", "shop")], ids=["v1beta1", "v1"])
def test_a_delegation_of_either_group_is_for_all_kinds(grant: dict[str, object]) -> None:
    world = World(
        *SERVICES,
        serving("vault/cert"),
        ingressroute("site", "route.test", virtualhost=tls("vault/cert")),
        root("site", "proxy.test", virtualhost=tls("vault/cert")),
        ingress("site", "ingress.test", tls="vault/cert"),
    )
    names = ("route.test", "proxy.test", "ingress.test")
    assert [world.host(name).https for name in names] == [None, None, None]
    world.apply(grant)
    assert all(world.host(name).https for name in names)
    world.delete(
        "TLSCertificateDelegation.contour.heptio.com" if grant is HEPTIO_GRANT else "TLSCertificateDelegation",
        "vault/grant",
    )
    assert [world.host(name).https for name in names] == [None, None, None]


def test_delegations_of_both_groups_may_have_one_name() -> None:
    other = delegation("vault/grant", "cert", "team")
    world = World(*SERVICES, serving("vault/cert"), HEPTIO_GRANT, other)
    world.apply(ingressroute("site", "shop.test", virtualhost=tls("vault/cert")))
    assert world.description("site") == ""


# --- beside other kinds -------------------------------------------------------------------------------------------


def test_precedence_is_by_kind_whatever_the_age() -> None:
    """Ingress, then IngressRoute, then HTTPProxy: each wins where it matches the same as those before it."""
    world = World(
        *SERVICES,
        root("site", "shop.test", "2026-03-01T00:00:00Z", routes=[to("web", "/c")]),
        ingressroute("site", "shop.test", "2026-02-01T00:00:00Z", routes=[prefix("/b", "blue"), prefix("/c", "blue")]),
        ingress("site", "shop.test", "2026-01-01T00:00:00Z", paths={"/a": "green", "/b": "green", "/c": "green"}),
    )
    assert served(world) == {"/a": ["green"], "/b": ["blue"], "/c": ["web"]}
    kinds = [ref.kind for ref in world.host("shop.test").roots]
    assert (kinds, world.host("shop.test").created) == (
        ["Ingress", "IngressRoute", "HTTPProxy"],
        "2026-01-01T00:00:00Z",
    )


def test_of_certificates_the_later_kind_wins() -> None:
    route = ingressroute("site", "shop.test", virtualhost=tls("two"))
    world = World(*SERVICES, *map(serving, ("one", "two", "three")), ingress("site", "shop.test", tls="one"), route)
    host = world.host("shop.test")
    assert host.https is not None
    assert (host.https.secret, [one.origin.kind for one in host.https.routes]) == (Ref("shop", "two"), ["IngressRoute"])
    world.apply(root("site", "shop.test", virtualhost=tls("three")))
    host = world.host("shop.test")
    assert host.https is not None
    assert (host.https.secret, [one.origin.kind for one in host.https.routes]) == (Ref("shop", "three"), ["HTTPProxy"])


def test_roots_of_other_kinds_are_no_duplicates() -> None:
    world = World(
        *SERVICES, root("site", "shop.test"), ingressroute("site", "shop.test", routes=[prefix("/b", "blue")])
    )
    assert world.description("site") == ""
    assert world.verdict("site").valid
    assert served(world) == {"/": ["web"], "/b": ["blue"]}


def test_duplicate_roots_leave_the_host_to_the_other_kinds() -> None:
    roots = (ingressroute("a", "shop.test"), ingressroute("b", "shop.test"))
    world = World(*SERVICES, *roots, ingress("site", "shop.test", paths={"/a": "green"}))
    assert served(world) == {"/a": ["green"]}


# --- class, changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "ours"),
    [
        ({}, True),
        ({"contour.heptio.com/ingress.class": "contour"}, True),
        ({"contour.heptio.com/ingress.class": "other"}, False),
        ({"kubernetes.io/ingress.class": "other"}, False),
        ({"contour.heptio.com/ingress.class": "contour", "kubernetes.io/ingress.class": "other"}, True),
        ({"projectcontour.io/ingress.class": "other", "contour.heptio.com/ingress.class": "contour"}, False),
    ],
)
def test_class_annotations(annotations: dict[str, str], ours: bool) -> None:
    world = World(*SERVICES, ingressroute("site", "shop.test", metadata={"annotations": annotations}))
    assert (world.graph.hosts.get("shop.test") is not None) is ours


def test_an_edit_runs_the_hosts_that_it_takes_part_in() -> None:
    roots = [ingressroute(f"r{n}", f"r{n}.test", routes=[delegate("/", f"c{n}")]) for n in range(50)]
    children = [ingressroute(f"c{n}", routes=[prefix("/", "blue")]) for n in range(50)]
    world = World(*SERVICES, *roots, *children)
    world.apply(ingressroute("c7", routes=[prefix("/", "green")]))
    assert set(world.changes[world.graph.hosts].set) == {"r7.test"}
    before = world.engine.runs
    world.apply(ingressroute("c7", routes=[prefix("/", "green")], metadata={"annotations": {"note": "x"}}))
    assert world.engine.runs - before <= 3  # the object's facts, and its verdict
    assert not world.changes[world.graph.hosts]
