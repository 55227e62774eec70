"""httpproxy.md §2.12 and operations.md §5.6: headers that the administrator sets or removes everywhere."""

from __future__ import annotations

import pytest
from tests.dag.world import World, ingress, root, secret, service, to

from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.dag.graph import NO_HEADERS, Forward, Headers
from contour.dag.options import HeaderDefaults
from contour.dag.policy.default_headers import with_default_request, with_default_response

NAMES = {"CONTOUR_SERVICE_NAME": "web"}


def defaults(*remove: str, **values: str) -> HeaderDefaults:
    found = {name.replace("_", "-"): value for name, value in values.items()}
    return HeaderDefaults(tuple(sorted(found.items())), remove)


def test_what_an_object_says_itself_is_left_alone() -> None:
    own = Headers(set=(("X-A", "own"),), remove=("X-Gone",), host_rewrite="own.test")
    given = defaults("X-Gone", "x-also-gone", x_a="default", x_b="%CONTOUR_SERVICE_NAME% 50%", host="default.test")
    assert with_default_request(own, given, NAMES) == Headers(
        set=(("X-A", "own"), ("X-B", "web 50%%")), remove=("X-Gone", "X-Also-Gone"), host_rewrite="own.test"
    )
    assert with_default_request(NO_HEADERS, defaults(host="default.test"), {}) == Headers(host_rewrite="default.test")
    assert with_default_response(own, defaults(x_b="b"), {}) == Headers(
        set=(("X-A", "own"), ("X-B", "b")), remove=("X-Gone",), host_rewrite="own.test"
    )


@pytest.mark.parametrize(
    ("given", "on", "text"),
    [
        (defaults(host="h"), with_default_response, 'rewriting "Host" header is not supported'),
        (
            defaults(host="%REQ(x-host)%"),
            with_default_request,
            'rewriting "Host" host header with dynamic value is not supported on service',
        ),
        (defaults("x y"), with_default_request, 'invalid set header "x y": '),
        (HeaderDefaults((("x y", "v"),)), with_default_response, 'invalid set header "x y": '),
    ],
)
def test_what_cannot_be_a_default(given: HeaderDefaults, on: object, text: str) -> None:
    found = on(NO_HEADERS, given, {})  # type: ignore[operator]
    assert isinstance(found, Invalid)
    assert found.text.startswith(text)


GIVEN = {
    "request_headers": defaults(x_to="%CONTOUR_NAMESPACE%/%CONTOUR_SERVICE_NAME%:%CONTOUR_SERVICE_PORT%"),
    "response_headers": defaults("Server"),
}


def headers(world: World, host: str) -> tuple[Headers, Headers]:
    (route,) = world.routes(host)
    assert isinstance(route.action, Forward)
    (backend,) = route.action.backends
    return backend.request_headers, backend.response_headers


def test_every_service_of_a_proxy_has_them_and_those_of_ingresses_only_if_so_set() -> None:
    own = {"requestHeadersPolicy": {"set": [{"name": "x-to", "value": "own"}]}}
    objects = (
        service(),
        root("a", "a.test"),
        root("b", "b.test", routes=[{"services": [{"name": "web", "port": 80, **own}]}]),
        root("c", "c.test", routes=[to("web", services=[], directResponsePolicy={"statusCode": 200})]),
        ingress("i", "i.test"),
    )
    mine = (Headers(set=(("X-To", "shop/web:80"),)), Headers(remove=("Server",)))
    world = World(*objects, **GIVEN)
    assert headers(world, "a.test") == mine
    assert headers(world, "b.test") == (Headers(set=(("X-To", "own"),)), mine[1])
    assert headers(world, "i.test") == (NO_HEADERS, NO_HEADERS)
    named = ingress("n", "n.test")
    named["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = {"name": "http"}
    world = World(*objects, named, headers_apply_to_ingress=True, **GIVEN)
    assert headers(world, "i.test") == headers(world, "n.test") == mine


def test_a_default_that_cannot_be_costs_the_rest_of_a_rule_of_an_ingress() -> None:
    paths = {"/a": "web", "/b": "web"}
    world = World(
        service(),
        ingress("i", "i.test", paths=paths),
        headers_apply_to_ingress=True,
        response_headers=defaults(host="h"),
    )
    assert world.routes("i.test") == ()
    ((_, finding),) = world.host("i.test").findings
    assert (finding.reason, finding.message) == (
        "DefaultHeadersNotValid",
        'spec.rules[0].http.paths[0]: rewriting "Host" header is not supported; it and what follows it is ignored',
    )


def test_a_client_certificate_that_cannot_be_shown_does_so_too() -> None:
    site = ingress("i", "i.test")
    world = World(service(), site, secret("certs/envoy"), client_certificate=Ref("certs", "envoy"))
    assert world.routes("i.test") == ()
    ((_, finding),) = world.host("i.test").findings
    assert finding.reason == "ClientCertificateNotValid"
    assert 'tls.envoy-client-certificate Secret "certs/envoy" is invalid: missing TLS certificate' in finding.message
