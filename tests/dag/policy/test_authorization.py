"""External authorization: which server a host asks, what its routes say to it, what can be wrong (httpproxy.md §2.14)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dag.world import Mapping, World, extension, proxy, root, service, serving, to

from contour.api.meta import Ref
from contour.api.projectcontour import (
    AuthorizationPolicy,
    AuthorizationServer,
    ExtensionServiceReference,
)
from contour.dag.graph import Authorization, HeaderPattern, RequestBody, RouteAuthorization

OBJECTS = (service(), serving("cert"), extension("auth"))
REF = {"extensionRef": {"name": "auth"}}
TLS = {"secretName": "cert"}
DEFAULT = AuthorizationServer(
    extension_ref=ExtensionServiceReference(namespace="shop", name="auth"),
    auth_policy=AuthorizationPolicy(context={"from": "settings", "only": "settings"}),
)


def site(policy: Mapping | None, *objects: Mapping, tls: Mapping | None = TLS, **given: Any) -> World:
    """`given`: options of the graph, and `routes`."""
    routes = given.pop("routes", [to("web")])
    virtualhost = {key: value for key, value in (("tls", tls), ("authorization", policy)) if value is not None}
    return World(*OBJECTS, *objects, root("site", "shop.test", virtualhost=virtualhost, routes=routes), **given)


def asked(world: World) -> Authorization | None:
    https = world.host("shop.test").https
    assert https is not None, world.verdict("site")
    return https.authorization


def said(world: World, prefix: str = "/") -> RouteAuthorization | None:
    (found,) = [route for route in world.routes("shop.test") if route.path.value == prefix]
    return found.authorization


def test_the_least_that_can_be_said() -> None:
    assert asked(site(REF)) == Authorization(Ref("shop", "auth"))


def test_everything_about_a_grpc_server() -> None:
    policy = {
        "extensionRef": {"apiVersion": "projectcontour.io/v1alpha1", "namespace": "other", "name": "auth"},
        "responseTimeout": "3s",
        "failOpen": True,
        "withRequestBody": {"maxRequestBytes": 7, "allowPartialMessage": True, "packAsBytes": True},
    }
    world = site(policy, service("other/web"), extension("other/auth"))
    assert asked(world) == Authorization(
        Ref("other", "auth"), timeout=3_000_000_000, fail_open=True, body=RequestBody(7, True, True)
    )


def test_everything_about_an_http_server() -> None:
    settings = {
        "pathPrefix": "/check",
        "allowedAuthorizationHeaders": [{"exact": "x-a", "ignoreCase": True}, {"prefix": "x-b"}],
        "allowedUpstreamHeaders": [{"suffix": "-c"}, {"contains": "d"}],
    }
    policy = {**REF, "serviceType": "http", "httpSettings": settings, "withRequestBody": {}}
    assert asked(site(policy)) == Authorization(
        Ref("shop", "auth"),
        http=True,
        path_prefix="/check",
        sent_headers=(HeaderPattern("exact", "x-a", True), HeaderPattern("prefix", "x-b")),
        upstream_headers=(HeaderPattern("suffix", "-c"), HeaderPattern("contains", "d")),
        body=RequestBody(1024),
    )


def _http(**settings: Any) -> Mapping:
    return {**REF, "serviceType": "http", "httpSettings": settings}


FIELD = "Spec.Virtualhost.Authorization"
SETTINGS = f"{FIELD}.HTTPServerSettings"
ONE = "one of prefix, suffix, exact or contains is required for each allowedHeader"
MANY = "only one of prefix, suffix, exact, and contains should be set in the allowedHeader"


@pytest.mark.parametrize(
    ("policy", "reason", "message"),
    [
        (
            {"extensionRef": {"name": "auth", "apiVersion": "projectcontour.io/v1"}},
            "AuthBadResourceVersion",
            f'{FIELD}.extensionRef specifies an unsupported resource version "projectcontour.io/v1"',
        ),
        (
            {"extensionRef": {"name": "none"}},
            "ExtensionServiceNotFound",
            f'{FIELD}.ServiceRef extension service "shop/none" not found',
        ),
        (
            {"extensionRef": {"name": "broken"}},
            "ExtensionServiceNotFound",
            f'{FIELD}.ServiceRef extension service "shop/broken" not found',
        ),
        (
            {**REF, "responseTimeout": "h"},
            "AuthResponseTimeoutInvalid",
            f'{FIELD}.ResponseTimeout is invalid: unable to parse timeout string "h": time: invalid duration "h"',
        ),
        (
            {**REF, "serviceType": "http", "authPolicy": {"context": {"a": "b"}}},
            "AuthContextForHTTP",
            f"{FIELD}.AuthPolicy.Context are only applied to grpc service type",
        ),
        (
            _http(allowedAuthorizationHeaders=[{"ignoreCase": True}]),
            "AuthBadAllowedHeader",
            f"{SETTINGS}.AllowedAuthorizationHeaders is invalid: {ONE}",
        ),
        (
            _http(allowedUpstreamHeaders=[{"exact": "a", "prefix": "b"}]),
            "AuthBadAllowedHeader",
            f"{SETTINGS}.AllowedUpstreamHeaders is invalid: {MANY}",
        ),
    ],
)
def test_each_error_stops_the_host(policy: Mapping, reason: str, message: str) -> None:
    world = site(policy, extension("broken", {"name": "none", "port": 80}))
    assert world.errors("site") == [("AuthError", reason, message)]
    assert world.host("shop.test").http is None
    assert world.host("shop.test").https is None


def test_a_host_without_tls_has_no_server_of_its_own() -> None:
    message = (
        "Spec.VirtualHost.Authorization.ExtensionServiceRef can only be defined for root HTTPProxies that terminate TLS"
    )
    assert site(REF, tls=None).errors("site") == [("AuthError", "AuthNotPermitted", message)]


def test_routes_start_from_the_host_and_may_say_otherwise() -> None:
    routes = [
        to("web"),
        to("web", "/off", authPolicy={"disabled": True}),
        to("web", "/more", authPolicy={"context": {"b": "route", "c": "route"}}),
    ]
    world = site({**REF, "authPolicy": {"context": {"a": "host", "b": "host"}}}, routes=routes)
    host = (("a", "host"), ("b", "host"))
    assert said(world) == RouteAuthorization(context=host)
    assert said(world, "/off") == RouteAuthorization(disabled=True, context=host)
    assert said(world, "/more") == RouteAuthorization(context=(("a", "host"), ("b", "route"), ("c", "route")))


def test_a_route_may_ask_where_its_host_does_not() -> None:
    routes = [to("web"), to("web", "/on", authPolicy={"disabled": False})]
    world = site({**REF, "authPolicy": {"disabled": True}}, routes=routes)
    assert said(world) == RouteAuthorization(disabled=True)
    assert said(world, "/on") is None


def test_an_included_route_starts_from_the_root() -> None:
    child = proxy("child", routes=[to("web")])
    virtualhost = {"tls": TLS, "authorization": {**REF, "authPolicy": {"disabled": True}}}
    world = World(*OBJECTS, child, root("site", "shop.test", virtualhost=virtualhost, includes=[{"name": "child"}]))
    assert said(world) == RouteAuthorization(disabled=True)


def test_without_anybody_to_ask_a_route_s_policy_means_nothing() -> None:
    assert said(site(None, routes=[to("web", authPolicy={"disabled": True})])) is None


# --- the settings' own ----------------------------------------------------------------------------------------------


def test_a_host_over_tls_asks_the_settings_server() -> None:
    world = site(None, authorization=DEFAULT)
    assert asked(world) == Authorization(Ref("shop", "auth"))
    assert said(world) == RouteAuthorization(context=(("from", "settings"), ("only", "settings")))


def test_a_host_with_its_own_server_does_not() -> None:
    world = site(
        {"extensionRef": {"name": "own"}, "authPolicy": {"context": {"from": "host"}}},
        extension("own"),
        authorization=DEFAULT,
    )
    assert asked(world) == Authorization(Ref("shop", "own"))
    assert said(world) == RouteAuthorization(context=(("from", "host"),))


def test_a_host_that_only_has_a_policy_asks_the_settings_server() -> None:
    world = site({"authPolicy": {"context": {"from": "host"}}}, authorization=DEFAULT)
    assert asked(world) == Authorization(Ref("shop", "auth"))
    assert said(world) == RouteAuthorization(context=(("from", "host"),))


@pytest.mark.parametrize("tls", [None, TLS])
def test_each_host_says_what_is_wrong_with_the_settings_server(tls: Mapping | None) -> None:
    gone = AuthorizationServer(extension_ref=ExtensionServiceReference(namespace="shop", name="none"))
    world = site(None, tls=tls, authorization=gone)
    message = f'{FIELD}.ServiceRef extension service "shop/none" not found'
    assert world.errors("site") == [("AuthError", "ExtensionServiceNotFound", message)]
    # Over plain HTTP it is the listener that asks, and lets nobody pass.
    assert (world.host("shop.test").http is not None) == (tls is None)


def test_an_edit_of_the_server_touches_no_host() -> None:
    world = site(REF)
    world.apply(extension("auth", timeoutPolicy={"response": "9s"}, circuitBreakerPolicy={"maxRequests": 1}))
    assert not world.changes[world.graph.hosts]
    assert world.changes[world.graph.extensions]
    world.delete("ExtensionService", "auth")
    assert world.changes[world.graph.hosts]
    assert world.host("shop.test").https is None
