from typing import Any

import msgspec
import pytest

from contour.api.core import LoadBalancerIngress, LoadBalancerStatus, Secret, Service, ServiceSpec
from contour.api.core import ServicePort as Port
from contour.api.meta import ObjectMeta, ObjectRef, Ref
from contour.api.networking import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackend,
    IngressRule,
    IngressServiceBackend,
    IngressSpec,
    IngressStatus,
    IngressTLS,
    ServiceBackendPort,
    TypedLocalObjectReference,
)
from contour.api.projectcontour import (
    CertificateDelegation,
    TLSCertificateDelegation,
    TLSCertificateDelegationSpec,
)
from contour.dag.extension import evaluate
from contour.dag.graph import (
    CircuitBreakers,
    Cluster,
    Forward,
    HeaderKind,
    HeaderMatch,
    PathKind,
    PathMatch,
    Retry,
    ServicePort,
)
from contour.dag.ingress import NO_INGRESS, IngressHost, ingress_host
from contour.dag.options import Options
from contour.dag.sources import Sources
from contour.dag.verdict import Finding
from contour.reactive import Engine
from contour.store import Store
from contour.testing.certs import Authority

FORCE = {"ingress.kubernetes.io/force-ssl-redirect": "true"}
NO_HTTP = {"kubernetes.io/ingress.allow-http": "false"}
PAIR = Authority().sign("a.test")


def backend(name: str = "web", port: int | str = 80) -> IngressBackend:
    wanted = ServiceBackendPort(name=port) if isinstance(port, str) else ServiceBackendPort(number=port)
    return IngressBackend(service=IngressServiceBackend(name, wanted))


def path(value: str = "/", kind: str | None = "Exact", to: IngressBackend | None = None) -> HTTPIngressPath:
    return HTTPIngressPath(value, kind, to or backend())


def rule(host: str, *paths: HTTPIngressPath) -> IngressRule:
    return IngressRule(host, HTTPIngressRuleValue(paths or (path(),)))


def ingress(
    *rules: IngressRule,
    name: str = "main",
    namespace: str = "shop",
    created: str = "2026-01-01T00:00:00Z",
    annotations: dict[str, str] | None = None,
    tls: tuple[IngressTLS, ...] = (),
    default: IngressBackend | None = None,
) -> Ingress:
    metadata = ObjectMeta(name=name, namespace=namespace, creation_timestamp=created, annotations=annotations)
    return Ingress(metadata=metadata, spec=IngressSpec(default_backend=default, tls=tls, rules=rules))


def service(
    name: str = "web", *ports: Port, namespace: str = "shop", annotations: dict[str, str] | None = None, **spec: Any
) -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace, annotations=annotations),
        spec=ServiceSpec(ports=ports or (Port("http", 80),), **spec),
    )


def secret(name: str = "tls", namespace: str = "shop", data: dict[str, bytes] | None = None) -> Secret:
    pair = {"tls.crt": PAIR.certificate, "tls.key": PAIR.private_key}
    return Secret(
        metadata=ObjectMeta(name=name, namespace=namespace),
        type="kubernetes.io/tls",
        data=pair if data is None else data,
    )


HOSTS = frozenset({"a.test", "b.test", "*", "*.a.test"})


class World:
    def __init__(self, *objects: Any, options: Options = Options()):  # noqa: B008 - frozen
        self.engine = Engine()
        self.store = Store(self.engine)
        self.sources = Sources(self.engine, self.store, options, evaluate)
        self.runs = 0
        self.hosts = self.engine.collection("ingress hosts", keys=(HOSTS,), fn=self._host)
        self.commit(*objects)

    def _host(self, read: Any, host: str) -> IngressHost:
        self.runs += 1
        return ingress_host(read, self.sources, host)

    def commit(self, *objects: Any) -> dict[str, IngressHost]:
        for obj in objects:
            self.store.apply(obj)
        return dict(self.engine.commit()[self.hosts].set)

    def __getitem__(self, host: str) -> IngressHost:
        found = self.hosts.get(host)
        assert found is not None
        return found


def host(*objects: Any, name: str = "a.test", **options: Any) -> IngressHost:
    return World(*objects, options=Options(**options))[name]


def paths(routes: Any) -> dict[tuple[str, str], str]:
    """(kind, value) -> name of the service."""
    return {
        (route.path.kind.value, route.path.value): route.action.backends[0].cluster.service.service for route in routes
    }


def only_cluster(answer: IngressHost) -> Cluster:
    (route,) = answer.http_routes
    assert isinstance(route.action, Forward)
    (only,) = route.action.backends
    return only.cluster


def messages(answer: IngressHost) -> list[tuple[str, str]]:
    assert all(finding.type == "IngressError" for _, finding in answer.findings)
    return [(finding.reason, finding.message) for _, finding in answer.findings]


# --- paths and hosts ----------------------------------------------------------------------------------------------


def test_nothing_is_said_about_other_hosts():
    assert host(service(), ingress(rule("other.test"))) == NO_INGRESS


@pytest.mark.parametrize(
    ("written", "kind", "match"),
    [
        ("", None, PathMatch(PathKind.PREFIX, "/")),
        ("/foo", None, PathMatch(PathKind.PREFIX, "/foo")),
        ("/foo/", "ImplementationSpecific", PathMatch(PathKind.PREFIX, "/foo/")),
        ("/foo.(bar)?", "ImplementationSpecific", PathMatch(PathKind.PREFIX, "/foo.(bar)?")),
        ("/foo/.*", "ImplementationSpecific", PathMatch(PathKind.REGEX, "/foo/.*")),
        ("/a+b", None, PathMatch(PathKind.REGEX, "/a+b")),
        ("/a%20b", None, PathMatch(PathKind.REGEX, "/a%20b")),
        ("/[a-z]", None, PathMatch(PathKind.REGEX, "/[a-z]")),
        ("/]", None, PathMatch(PathKind.REGEX, "/]")),
        ("^/a", None, PathMatch(PathKind.REGEX, "^/a")),
        ("/foo", "Prefix", PathMatch(PathKind.SEGMENT, "/foo")),
        ("/foo//", "Prefix", PathMatch(PathKind.SEGMENT, "/foo")),
        ("/foo/.*", "Prefix", PathMatch(PathKind.SEGMENT, "/foo/.*")),
        ("/", "Prefix", PathMatch(PathKind.PREFIX, "/")),
        ("", "Prefix", PathMatch(PathKind.PREFIX, "/")),
        ("/foo", "Exact", PathMatch(PathKind.EXACT, "/foo")),
        ("/foo/", "Exact", PathMatch(PathKind.EXACT, "/foo/")),
        ("/.*", "Exact", PathMatch(PathKind.EXACT, "/.*")),
    ],
)
def test_path_types(written: str, kind: str | None, match: PathMatch):
    answer = host(service(), ingress(rule("a.test", path(written, kind))))
    assert [route.path for route in answer.http_routes] == [match]
    assert answer.findings == ()


def test_what_a_route_holds():
    answer = host(service(), ingress(rule("a.test")))
    (route,) = answer.http_routes
    assert route.origin == ObjectRef("Ingress", "shop", "main")
    assert isinstance(route.action, Forward)
    assert [backend.cluster for backend in route.action.backends] == [Cluster(ServicePort("shop", "web", 80, "http"))]
    assert (route.headers, route.https_redirect, route.action.websocket) == ((), False, False)
    assert (answer.https_routes, answer.secret) == ((), None)
    assert (answer.roots, answer.created) == ((route.origin,), "2026-01-01T00:00:00Z")


def test_a_wildcard_spans_one_label():
    answer = host(service(), ingress(rule("*.a.test")), name="*.a.test")
    value = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\.a\.test(:[0-9]+)?"
    assert [route.headers for route in answer.http_routes] == [(HeaderMatch(":authority", HeaderKind.REGEX, value),)]


@pytest.mark.parametrize("written", ["", "*"])
def test_no_host_is_any_host(written: str):
    answer = host(service(), ingress(rule(written)), name="*")
    assert paths(answer.http_routes) == {("exact", "/"): "web"}
    assert answer.http_routes[0].headers == ()


def test_the_default_backend_is_a_rule_before_the_others():
    answer = host(service(), service("rest"), ingress(default=backend("rest")), name="*")
    assert paths(answer.http_routes) == {("prefix", "/"): "rest"}
    rules = (rule("", path("/", None), path("/x")), rule("a.test"))
    answer = host(service(), service("rest"), ingress(*rules, default=backend("rest")), name="*")
    assert paths(answer.http_routes) == {("prefix", "/"): "web", ("exact", "/x"): "web"}


def test_rules_without_http_say_nothing():
    assert host(service(), ingress(IngressRule("a.test"))).http_routes == ()


def test_within_an_ingress_the_later_path_wins():
    objects = (service(), service("two"), ingress(rule("a.test"), rule("a.test", path(to=backend("two")))))
    assert paths(host(*objects).http_routes) == {("exact", "/"): "two"}


# --- services -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "reason", "message"),
    [
        (backend("none"), "ServiceUnresolvedReference", 'service "shop/none" not found'),
        (backend("web", 81), "ServiceUnresolvedReference", 'port "81" on service "shop/web" not matched'),
        (backend("web", "grpc"), "ServiceUnresolvedReference", 'port "grpc" on service "shop/web" not matched'),
        (backend("udp", 53), "ServiceUnresolvedReference", 'unsupported service protocol "UDP"'),
        (
            backend("ext"),
            "ServiceUnresolvedReference",
            (
                "shop/ext is an ExternalName service, these are not currently enabled. "
                "See the config.enableExternalNameService config file setting"
            ),
        ),
        (IngressBackend(), "BackendNotSupported", "backend is not a Service, which is all that is supported"),
        (
            IngressBackend(resource=TypedLocalObjectReference("k8s.example", "Bucket", "static")),
            "BackendNotSupported",
            'backend "Bucket/static" is not a Service, which is all that is supported',
        ),
    ],
)
def test_a_backend_that_cannot_be_used_costs_its_path_alone(to: IngressBackend, reason: str, message: str):
    world = World(
        service(),
        service("udp", Port("dns", 53, "UDP")),
        service("ext", type="ExternalName", external_name="example.com"),
        ingress(rule("a.test", path("/bad", to=to), path("/good")), default=to),
    )
    assert paths(world["a.test"].http_routes) == {("exact", "/good"): "web"}
    assert messages(world["a.test"]) == [(reason, f"spec.rules[0].http.paths[0]: {message}")]
    assert world["a.test"].findings[0][0] == ObjectRef("Ingress", "shop", "main")
    assert messages(world["*"]) == [(reason, f"spec.defaultBackend: {message}")]
    assert world["*"].http_routes == ()


def test_a_port_by_name_wins_over_its_number():
    to = IngressBackend(service=IngressServiceBackend("web", ServiceBackendPort("admin", 80)))
    answer = host(service("web", Port("http", 80), Port("admin", 81)), ingress(rule("a.test", path(to=to))))
    assert only_cluster(answer).service == ServicePort("shop", "web", 81, "admin")


@pytest.mark.parametrize("port", ["db", 80])
def test_a_port_whose_name_is_the_number_of_another(port: int | str):
    """Recorded from the reference (corpus mixed/0510): 8080, although `db` is 80."""
    ports = (Port("80", 8080), Port("db", 80))
    answer = host(service("web", *ports), ingress(rule("a.test", path(to=backend("web", port)))))
    assert only_cluster(answer).service == ServicePort("shop", "web", 8080, "80")


def test_what_the_service_says_about_its_cluster():
    annotations = {"projectcontour.io/upstream-protocol.tls": "http", "projectcontour.io/max-connections": "7"}
    answer = host(service(annotations=annotations), ingress(rule("a.test")))
    cluster = only_cluster(answer)
    assert (cluster.protocol, cluster.sni) == ("tls", "")
    assert cluster.circuit_breakers == CircuitBreakers(max_connections=7)


def test_external_names_have_no_sni_and_the_configured_dns_family():
    external = service(type="ExternalName", external_name="example.com")
    answer = host(external, ingress(rule("a.test")), enable_external_name=True, dns_lookup_family="v4")
    cluster = only_cluster(answer)
    assert (cluster.service.external_name, cluster.sni, cluster.dns_lookup_family) == ("example.com", "", "v4")


def test_a_bad_regex_takes_the_rest_of_its_rule():
    rules = (rule("a.test", path("/1"), path("/[", None), path("/2")), rule("a.test", path("/3")))
    answer = host(service(), ingress(*rules))
    assert paths(answer.http_routes) == {("exact", "/1"): "web", ("exact", "/3"): "web"}
    ((reason, message),) = messages(answer)
    assert reason == "PathNotValid"
    assert message.startswith('spec.rules[0].http.paths[1]: path "/[" is not a valid regular expression: ')


# --- TLS ----------------------------------------------------------------------------------------------------------


def tls(*hosts: str, name: str = "tls") -> tuple[IngressTLS, ...]:
    return (IngressTLS(hosts, name),)


@pytest.mark.parametrize(
    ("annotations", "http", "redirect"),
    [
        (None, True, False),
        (FORCE, True, True),
        (NO_HTTP, False, False),
        (FORCE | NO_HTTP, True, True),
        ({"ingress.kubernetes.io/force-ssl-redirect": "True"}, True, False),
        ({"kubernetes.io/ingress.allow-http": "no"}, True, False),
    ],
)
def test_where_routes_go(annotations: dict[str, str] | None, http: bool, redirect: bool):
    answer = host(service(), secret(), ingress(rule("a.test"), annotations=annotations, tls=tls("a.test")))
    assert [route.https_redirect for route in answer.http_routes] == ([redirect] if http else [])
    assert [route.https_redirect for route in answer.https_routes] == [False]
    assert (answer.secret, answer.min_tls, answer.max_tls) == (Ref("shop", "tls"), "1.2", "1.3")


def test_a_redirect_needs_no_certificate():
    answer = host(service(), ingress(rule("a.test"), annotations=FORCE))
    assert [route.https_redirect for route in answer.http_routes] == [True]
    assert answer.https_routes == ()


@pytest.mark.parametrize(
    ("entries", "name"),
    [(tls(), "a.test"), (tls("b.test"), "a.test"), (tls("*.a.test"), "a.test"), (tls("*"), "*")],
)
def test_hosts_without_tls(entries: tuple[IngressTLS, ...], name: str):
    answer = host(service(), secret(), ingress(rule(name), tls=entries), name=name)
    assert (len(answer.http_routes), answer.https_routes, answer.secret) == (1, (), None)


@pytest.mark.parametrize(
    ("name", "objects", "reason", "message"),
    [
        ("none", (), "SecretNotValid", 'Secret "shop/none": Secret not found'),
        ("", (), "SecretNotValid", 'Secret "shop/": Secret not found'),
        ("bad", (secret("bad", data={}),), "SecretNotValid", 'Secret "shop/bad": missing TLS certificate'),
        (
            "certs/tls",
            (secret(namespace="certs"),),
            "DelegationNotPermitted",
            'Secret "certs/tls": certificate delegation not permitted',
        ),
    ],
)
def test_secrets_that_may_not_be_used(name: str, objects: tuple[Any, ...], reason: str, message: str):
    answer = host(service(), *objects, ingress(rule("a.test"), tls=tls("a.test", name=name)))
    assert (answer.https_routes, answer.secret, len(answer.http_routes)) == ((), None, 1)
    assert messages(answer) == [(reason, f"spec.tls[0].secretName: {message}")]


def test_a_delegated_secret():
    entries = tls("a.test", name="certs/tls")
    answer = host(service(), secret(namespace="certs"), delegated("shop"), ingress(rule("a.test"), tls=entries))
    assert (answer.secret, len(answer.https_routes), answer.findings) == (Ref("certs", "tls"), 1, ())


def test_within_an_ingress_the_last_usable_certificate_wins():
    entries = tls("a.test", name="one") + tls("a.test", name="two") + tls("a.test", name="none")
    answer = host(service(), secret("one"), secret("two"), ingress(rule("a.test"), tls=entries))
    assert answer.secret == Ref("shop", "two")
    assert [reason for reason, _ in messages(answer)] == ["SecretNotValid"]


VERSION = "projectcontour.io/tls-{}-protocol-version"


def test_tls_versions_of_the_certificate_that_is_served():
    annotations = {VERSION.format("minimum"): "1.3"}
    entries = tls("a.test")
    answer = host(service(), secret(), ingress(rule("a.test"), annotations=annotations, tls=entries))
    assert (answer.min_tls, answer.max_tls) == ("1.3", "1.3")
    # The versions go with the certificate, whoever has the routes.
    other = ingress(rule("a.test"), name="a", annotations={VERSION.format("maximum"): "1.2"})
    answer = host(service(), secret(), other, ingress(rule("a.test"), annotations=annotations, tls=entries))
    assert (answer.min_tls, answer.max_tls) == ("1.3", "1.3")


def test_a_minimum_above_the_maximum_costs_that_entry_alone():
    annotations = {VERSION.format("minimum"): "1.3", VERSION.format("maximum"): "1.2"}
    bad = ingress(rule("a.test"), annotations=annotations, tls=tls("a.test"))
    good = ingress(rule("a.test"), name="other", tls=tls("a.test"))
    answer = host(service(), secret(), bad)
    assert (answer.secret, len(answer.http_routes), answer.https_routes) == (None, 1, ())
    told = "spec.tls[0]: the minimum protocol version is greater than the maximum protocol version"
    assert messages(answer) == [("TLSConfigNotValid", told)]
    assert host(service(), secret(), bad, good).secret == Ref("shop", "tls")


def delegated(*namespaces: str) -> TLSCertificateDelegation:
    spec = TLSCertificateDelegationSpec((CertificateDelegation("tls", namespaces),))
    return TLSCertificateDelegation(metadata=ObjectMeta(name="d", namespace="certs"), spec=spec)


def test_the_namespace_of_all_certificates():
    annotations = {"projectcontour.io/tls-cert-namespace": "certs"}
    objects = (service(), secret(namespace="certs"), secret("own"))
    one = ingress(rule("a.test"), annotations=annotations, tls=tls("a.test"))
    assert host(*objects, delegated("shop"), one).secret == Ref("certs", "tls")
    refused = host(*objects, delegated("other"), one)
    assert (refused.secret, [reason for reason, _ in messages(refused)]) == (None, ["DelegationNotPermitted"])
    # A name that says its namespace itself is left alone.
    own = ingress(rule("a.test"), annotations=annotations, tls=tls("a.test", name="shop/own"))
    assert host(*objects, own).secret == Ref("shop", "own")


# --- annotations --------------------------------------------------------------------------------------------------


def test_annotations_hold_for_every_route():
    annotations = {
        "projectcontour.io/response-timeout": "5s",
        "projectcontour.io/retry-on": "5xx",
        "projectcontour.io/websocket-routes": "/ws, /",
    }
    rules = (rule("a.test", path("/ws"), path("/x"), path("", None)),)
    answer = host(service(), ingress(*rules, annotations=annotations))
    actions = {route.path.value: route.action for route in answer.http_routes}
    assert {path: action.websocket for path, action in actions.items()} == {"/ws": True, "/x": False, "/": True}
    assert {(action.timeout, action.retry) for action in actions.values()} == {(5_000_000_000, Retry("5xx", 1))}


def test_a_websocket_path_is_compared_as_it_is_written():
    answer = host(
        service(),
        ingress(rule("a.test", path("/ws/", "Prefix")), annotations={"projectcontour.io/websocket-routes": "/ws"}),
    )
    assert [route.action.websocket for route in answer.http_routes] == [False]


def test_a_bad_annotation_is_told_and_the_rest_served():
    answer = host(service(), ingress(rule("a.test"), annotations={"projectcontour.io/response-timeout": "soon"}))
    assert len(answer.http_routes) == 1
    assert [reason for reason, _ in messages(answer)] == ["AnnotationNotValid"]


# --- several Ingresses --------------------------------------------------------------------------------------------


def test_the_oldest_wins_whatever_the_order_of_arrival():
    old = ingress(rule("a.test", path(to=backend("old"))), name="z", created="2026-01-01T00:00:00Z")
    new = ingress(rule("a.test", path(to=backend("new")), path("/new")), name="a", created="2026-01-02T00:00:00Z")
    services = (service("old"), service("new"), service())
    answer = host(*services, old, new)
    assert answer == host(new, old, *services)
    assert paths(answer.http_routes) == {("exact", "/"): "old", ("exact", "/new"): "web"}
    assert answer.roots == (ObjectRef("Ingress", "shop", "z"), ObjectRef("Ingress", "shop", "a"))
    assert answer.created == "2026-01-01T00:00:00Z"
    told = Finding("IngressError", "DuplicatePath", 'path "/" of host "a.test" is served by Ingress shop/z')
    assert answer.findings == ((ObjectRef("Ingress", "shop", "a"), told),)


def test_of_equal_age_the_first_by_namespace_and_name_wins():
    one = ingress(rule("a.test"), name="b", namespace="apps")
    two = ingress(rule("a.test"), name="a")
    three = ingress(rule("a.test"), name="a", namespace="apps")
    answer = host(service(), service(namespace="apps"), one, two, three)
    assert answer.roots[0] == answer.http_routes[0].origin == ObjectRef("Ingress", "apps", "a")


def test_the_certificate_of_one_serves_the_routes_of_all():
    with_tls = ingress(name="with", tls=tls("a.test"))
    other = ingress(rule("a.test"), name="other", namespace="apps", annotations=NO_HTTP)
    answer = host(service(namespace="apps"), secret(), with_tls, other)
    assert (answer.http_routes, paths(answer.https_routes)) == ((), {("exact", "/"): "web"})
    assert answer.secret == Ref("shop", "tls")


def test_the_oldest_usable_certificate_wins():
    broken = ingress(rule("a.test"), name="a", created="2025-01-01T00:00:00Z", tls=tls("a.test", name="none"))
    older = ingress(name="c", created="2025-01-02T00:00:00Z", tls=tls("a.test", name="older"))
    newer = ingress(name="b", created="2025-01-03T00:00:00Z", tls=tls("a.test", name="newer"))
    answer = host(service(), secret("older"), secret("newer"), newer, older, broken)
    assert answer.secret == Ref("shop", "older")


# --- changes ------------------------------------------------------------------------------------------------------


def test_a_change_runs_only_the_hosts_that_it_touches():
    world = World(service(), service("two"), secret(), ingress(rule("a.test"), tls=tls("a.test")))
    world.commit(ingress(rule("b.test", path(to=backend("two"))), name="two"))
    world.runs = 0
    changed = world.commit(service("two", Port("http", 80), annotations={"projectcontour.io/max-requests": "1"}))
    assert (world.runs, set(changed)) == (1, {"b.test"})


def test_a_rotated_certificate_changes_no_host():
    world = World(service(), secret(), ingress(rule("a.test"), tls=tls("a.test")))
    fresh = Authority().sign("a.test")
    world.runs = 0
    assert world.commit(secret(data={"tls.crt": fresh.certificate, "tls.key": fresh.private_key})) == {}
    assert world.runs == 0


def test_a_status_or_an_annotation_of_others_changes_no_host():
    world = World(service(), ingress(rule("a.test")))
    world.runs = 0
    before = ingress(rule("a.test"), annotations={"owner": "shop"})
    status = IngressStatus(LoadBalancerStatus((LoadBalancerIngress(ip="192.0.2.1"),)))
    assert world.commit(before) == world.commit(msgspec.structs.replace(before, status=status)) == {}
    assert world.runs == 0


def test_what_is_missing_is_noticed_when_it_comes():
    world = World(ingress(rule("a.test"), tls=tls("a.test")))
    assert len(world["a.test"].findings) == 2
    assert set(world.commit(service())) == {"a.test"}
    world.commit(secret())
    assert (len(world["a.test"].https_routes), world["a.test"].findings) == (1, ())
    world.store.delete("Ingress", Ref("shop", "main"))
    world.commit()
    assert world["a.test"] == NO_INGRESS
