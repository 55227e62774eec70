"""Rate limits of hosts and routes, and what the settings say for those without (httpproxy.md §2.16)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dag.world import Mapping, World, root, service, to

from contour.api.meta import Ref
from contour.api.projectcontour import GenericKeyDescriptor, GlobalRateLimitPolicy, RateLimitDescriptor
from contour.api.projectcontour import RateLimitDescriptorEntry as Entry
from contour.dag.graph import (
    Descriptor,
    Forward,
    GenericKey,
    HeaderKind,
    HeaderMatch,
    HeaderValueMatch,
    LocalRateLimit,
    RateLimits,
    RemoteAddress,
    RequestHeader,
)
from contour.dag.options import RateLimitService

LOCAL = {"requests": 10, "unit": "second"}
BUCKET = LocalRateLimit(10, 10, 1_000_000_000)
FOO = {"descriptors": [{"entries": [{"genericKey": {"value": "foo"}}]}]}
FOO_DESCRIPTORS: tuple[Descriptor, ...] = ((GenericKey("", "foo"),),)
DEFAULT: tuple[Descriptor, ...] = ((GenericKey("", "default"),),)
HEADER_NAME = (
    "[a valid HTTP header must consist of alphanumeric characters or '-' "
    "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')]"
)


def service_with(*entries: Entry) -> RateLimitService:
    policy = GlobalRateLimitPolicy(descriptors=(RateLimitDescriptor(entries),))
    return RateLimitService(Ref("shop", "limits"), default_policy=policy)


def site(policy: Mapping | None, route_policy: Mapping | None = None, **options: Any) -> World:
    virtualhost = {"rateLimitPolicy": policy} if policy is not None else {}
    routes = [to("web", **({"rateLimitPolicy": route_policy} if route_policy is not None else {}))]
    return World(service(), root("site", "shop.test", virtualhost=virtualhost, routes=routes), **options)


def of_host(policy: Mapping | None, **options: Any) -> RateLimits | None:
    http = site(policy, **options).host("shop.test").http
    assert http is not None
    return http.policies.rate_limits


def of_route(policy: Mapping) -> RateLimits | None:
    (route,) = site(None, policy).routes("shop.test")
    assert isinstance(route.action, Forward)
    return route.action.rate_limits


@pytest.mark.parametrize("of", [of_host, of_route])
@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        ({"local": LOCAL}, RateLimits(BUCKET)),
        (
            {"local": {"requests": 3, "unit": "hour", "burst": 4, "responseStatusCode": 503}},
            RateLimits(LocalRateLimit(7, 3, 3600 * 10**9, 503)),
        ),
        (
            {"local": {**LOCAL, "responseHeadersToAdd": [{"name": "x-b", "value": "50%"}, {"name": "X-A", "value": "%PROTOCOL%"}]}},
            RateLimits(LocalRateLimit(10, 10, 10**9, headers=(("X-A", "%PROTOCOL%"), ("X-B", "50%%")))),
        ),
        ({"global": FOO}, RateLimits(descriptors=FOO_DESCRIPTORS)),
        ({"local": LOCAL, "global": FOO}, RateLimits(BUCKET, FOO_DESCRIPTORS)),
        ({}, None),
        ({"global": {}}, None),
    ],
)  # fmt: skip
def test_what_hosts_and_routes_say(of: Any, policy: Mapping, limits: RateLimits | None) -> None:
    assert of(policy) == limits


def test_each_kind_of_entry() -> None:
    match = {"value": "v", "expectMatch": False, "headers": [{"name": "x-a", "notexact": "1"}, {"name": "x-b", "present": True}]}  # fmt: skip
    entries = [
        {"genericKey": {"key": "k", "value": "v"}},
        {"requestHeader": {"headerName": "X-H", "descriptorKey": "d"}},
        {"requestHeaderValueMatch": match},
        {"remoteAddress": {}},
    ]
    limits = of_host({"global": {"descriptors": [{"entries": entries}]}})
    assert limits is not None
    assert limits.descriptors == (
        (
            GenericKey("k", "v"),
            RequestHeader("X-H", "d"),
            HeaderValueMatch(
                "v",
                False,
                (HeaderMatch("x-a", HeaderKind.EXACT, "1", invert=True), HeaderMatch("x-b", HeaderKind.PRESENT)),
            ),
            RemoteAddress(),
        ),
    )


BAD = [
    ({"local": {"requests": 0, "unit": "second"}}, "invalid requests value 0 in local rate limit policy"),
    ({"local": {"requests": 1, "unit": "day"}}, 'invalid unit "day" in local rate limit policy'),
    (
        {"local": {**LOCAL, "responseHeadersToAdd": [{"name": "x-a", "value": "1"}, {"name": "X-A", "value": "2"}]}},
        'duplicate header addition: "X-A"',
    ),
    (
        {"local": {**LOCAL, "responseHeadersToAdd": [{"name": "x_a", "value": "1"}]}},
        f'invalid header name "X_a": {HEADER_NAME}',
    ),
    (
        {"global": {"descriptors": [{"entries": [{}]}]}},
        "rate limit descriptor entry must have exactly one field set",
    ),
    (
        {"global": {"descriptors": [{"entries": [{"genericKey": {"value": "a"}, "remoteAddress": {}}]}]}},
        "rate limit descriptor entry must have exactly one field set",
    ),
]


@pytest.mark.parametrize(("policy", "text"), BAD)
def test_each_error(policy: Mapping, text: str) -> None:
    world = site(policy)
    message = f"Spec.VirtualHost.RateLimitPolicy is invalid: {text}"
    assert world.errors("site") == [("VirtualHostError", "RateLimitPolicyNotValid", message)]
    assert world.host("shop.test").http is None
    world = site(None, policy)
    assert world.errors("site") == [
        ("RouteError", "RateLimitPolicyNotValid", f"route.rateLimitPolicy is invalid: {text}")
    ]


def test_a_route_may_refuse_what_its_host_says() -> None:
    assert of_route({"global": {"disabled": True, **FOO}}) == RateLimits(without_host=True)
    assert of_route({"local": LOCAL, "global": {"disabled": True}}) == RateLimits(BUCKET, without_host=True)


@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        (None, RateLimits(descriptors=DEFAULT)),
        ({"local": LOCAL}, RateLimits(BUCKET, DEFAULT)),
        ({"global": {}}, RateLimits(descriptors=DEFAULT)),
        ({"global": FOO}, RateLimits(descriptors=FOO_DESCRIPTORS)),
        ({"global": {"disabled": True}}, None),
        ({"local": LOCAL, "global": {"disabled": True}}, RateLimits(BUCKET)),
        ({"local": LOCAL, "global": {}}, RateLimits(BUCKET)),  # httpproxy.md §5, quirk 12
    ],
)
def test_the_settings_policy_is_for_hosts_that_have_none(policy: Mapping | None, limits: RateLimits | None) -> None:
    entry = Entry(generic_key=GenericKeyDescriptor(value="default"))
    assert of_host(policy, rate_limit_service=service_with(entry)) == limits


def test_a_bad_policy_of_the_settings_stops_the_hosts_that_would_have_it() -> None:
    world = site(None, rate_limit_service=service_with(Entry()))
    text = "rate limit descriptor entry must have exactly one field set"
    message = f"Default Global RateLimit Policy is invalid: {text}"
    assert world.errors("site") == [("VirtualHostError", "RateLimitPolicyNotValid", message)]
    assert site({"global": FOO}, rate_limit_service=service_with(Entry())).errors("site") == []
