"""Rate limits: those that each Envoy keeps by itself, and those that the real service counts (httpproxy.md §2.16)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.traffic.world import World, until

from contour.api.meta import Ref
from contour.api.projectcontour import (
    GenericKeyDescriptor,
    GlobalRateLimitPolicy,
    RateLimitDescriptor,
    RateLimitDescriptorEntry,
)
from contour.dag.options import Options, RateLimitService
from contour.testing.backends import Backend
from contour.testing.clients import Http1, Response, connect
from contour.testing.ratelimit import RateLimits, UnavailableError

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("ratelimit")]

SERVICES = "services: [{name: web, port: 80}]"
# A minute is longer than the test, but may begin within it: each descriptor is asked for at once, and once.
LIMITS = """
domain: contour
descriptors:
- {key: generic_key, value: all, rate_limit: {unit: hour, requests_per_unit: 2}}
- {key: path, value: limited, rate_limit: {unit: hour, requests_per_unit: 1}}
- {key: user, rate_limit: {unit: hour, requests_per_unit: 1}}
- {key: header_match, value: robot, rate_limit: {unit: hour, requests_per_unit: 0}}
- {key: remote_address, rate_limit: {unit: hour, requests_per_unit: 1}}
- {key: generic_key, value: default, rate_limit: {unit: hour, requests_per_unit: 1}}
- key: generic_key
  value: both
  descriptors: [{key: user, rate_limit: {unit: hour, requests_per_unit: 1}}]
"""


@pytest.fixture
def web(world: World) -> None:
    world.service("shop/web")


def site(world: World, name: str, policy: str = "", routes: str = "", tls: str = "") -> None:
    """`NAME.test` in front of `shop/web`."""
    policy = f", rateLimitPolicy: {policy}" if policy else ""
    tls = f", tls: {{secretName: {tls}}}" if tls else ""
    world.proxy(
        f"shop/{name}",
        f"""
        virtualhost: {{fqdn: {name}.test{tls}{policy}}}
        routes: {routes or f"[{{{SERVICES}}}]"}
        """,
    )


def statuses(world: World, name: str, count: int, path: str = "/", **kwargs: Any) -> list[int]:
    return [world.get(f"{name}.test", path, **kwargs).status for _ in range(count)]


# --- local ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("web")
def test_a_bucket_of_a_host(world: World) -> None:
    local = "{requests: 1, unit: hour, burst: 1, responseHeadersToAdd: [{name: x-limit, value: 100% full}]}"
    site(world, "site", f"{{local: {local}}}")
    assert statuses(world, "site", 2) == [200, 200]
    answer = world.get("site.test")
    assert (answer.status, answer.body) == (429, b"local_rate_limited")
    assert answer.header("x-limit") == "100% full"
    site(world, "other")
    assert statuses(world, "other", 3) == [200, 200, 200]


@pytest.mark.usefixtures("web")
def test_a_bucket_of_a_route_and_another_status(world: World) -> None:
    limited = "rateLimitPolicy: {local: {requests: 1, unit: hour, responseStatusCode: 503}}"
    site(world, "route", routes=f"[{{{SERVICES}}}, {{conditions: [{{prefix: /limited}}], {SERVICES}, {limited}}}]")
    assert statuses(world, "route", 2, "/limited") == [200, 503]
    assert statuses(world, "route", 2) == [200, 200]


@pytest.mark.usefixtures("web")
def test_a_bucket_over_tls_is_another_one(world: World) -> None:
    world.certificate("shop/tls", "secure.test")
    routes = f"[{{permitInsecure: true, {SERVICES}}}]"
    site(world, "secure", "{local: {requests: 1, unit: hour}}", routes, tls="tls")
    assert [world.get_tls("secure.test").status for _ in range(2)] == [200, 429]
    assert statuses(world, "secure", 2) == [200, 429]


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("host", ["WILD.TEST", "a.wild.test"])
def test_a_bucket_of_a_host_that_the_second_look_finds(world: World, host: str) -> None:
    site(world, "wild", "{local: {requests: 1, unit: hour}}")
    world.proxy(
        "shop/below",
        f"""
        virtualhost: {{fqdn: "*.wild.test", rateLimitPolicy: {{local: {{requests: 1, unit: hour}}}}}}
        routes: [{{{SERVICES}}}]
        """,
    )
    assert [world.get(host).status for _ in range(2)] == [200, 429]


@pytest.mark.usefixtures("web")
def test_a_bucket_fills_again(world: World) -> None:
    site(world, "refilled", "{local: {requests: 1, unit: second}}")
    assert 429 in statuses(world, "refilled", 20)
    until(lambda: statuses(world, "refilled", 1) == [200])


@pytest.mark.usefixtures("web")
def test_descriptors_without_a_service_mean_nothing(world: World) -> None:
    limit = _descriptors("{genericKey: {value: all}}")
    site(world, "nobody", limit, f"[{{{SERVICES}, rateLimitPolicy: {limit}}}]")
    assert statuses(world, "nobody", 4) == [200, 200, 200, 200]


# --- global ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[RateLimits]:
    try:
        with RateLimits(LIMITS) as service:
            yield service
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED, the global rate limit: {error}")


OPTIONS = RateLimitService(
    extension=Ref("shop", "limits"),
    x_ratelimit_headers=True,
    resource_exhausted_code=True,
    default_policy=GlobalRateLimitPolicy(
        descriptors=(
            RateLimitDescriptor((RateLimitDescriptorEntry(generic_key=GenericKeyDescriptor(value="default")),)),
        )
    ),
)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, service: RateLimits) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("l"), Options(rate_limit_service=OPTIONS))
    try:
        world.envoy()
        _ask(world, service)
        world.service("shop/web")
        world.certificate("shop/tls", "*.test")
        yield world
    finally:
        world.close()


def _ask(world: World, service: RateLimits | Backend) -> None:
    """The ExtensionService of the settings."""
    world.service("shop/limits-server", backends=[service])  # type: ignore[list-item]  # its port is all that counts
    services = [{"name": "limits-server", "port": 80}]
    # Envoy's own limit is 20 ms, which a busy machine exceeds.
    body = {"protocol": "h2c", "services": services, "timeoutPolicy": {"response": "20s"}}
    world.apply(
        msgspec.json.encode(
            {
                "apiVersion": "projectcontour.io/v1alpha1",
                "kind": "ExtensionService",
                "metadata": {"name": "limits", "namespace": "shop"},
                "spec": body,
            }
        ).decode()
    )


def _descriptors(*entries: str) -> str:
    return f"{{global: {{descriptors: [{{entries: [{', '.join(entries)}]}}]}}}}"


def test_a_generic_key_of_a_host(limited: World) -> None:
    site(limited, "all", _descriptors("{genericKey: {value: all}}"), tls="tls")
    answers = [limited.get_tls("all.test") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].header("x-ratelimit-remaining") == "1"
    assert answers[0].header("x-ratelimit-limit") == "2, 2;w=3600"
    assert answers[2].header("x-envoy-ratelimited") == "true"


def test_a_named_key_of_a_route_instead_of_the_host_s(limited: World) -> None:
    policy = _descriptors("{genericKey: {key: path, value: limited}}")
    site(
        limited,
        "route",
        _descriptors("{genericKey: {value: nobody limits this}}"),
        f"[{{{SERVICES}}}, {{conditions: [{{prefix: /limited}}], {SERVICES}, rateLimitPolicy: {policy}}}]",
    )
    assert statuses(limited, "route", 2, "/limited") == [200, 429]
    assert statuses(limited, "route", 3) == [200, 200, 200]


def test_the_value_of_a_header(limited: World) -> None:
    site(limited, "header", _descriptors("{requestHeader: {headerName: X-User, descriptorKey: user}}"))
    assert statuses(limited, "header", 2, headers=[("x-user", "a")]) == [200, 429]
    assert statuses(limited, "header", 2, headers=[("x-user", "b")]) == [200, 429]
    assert statuses(limited, "header", 2) == [200, 200]


@pytest.mark.parametrize(("expect", "matching", "other"), [("true", 429, 200), ("false", 200, 429)])
def test_a_match_of_headers(limited: World, expect: str, matching: int, other: int) -> None:
    match = f"{{value: robot, expectMatch: {expect}, headers: [{{name: user-agent, contains: bot}}]}}"
    site(limited, f"match-{expect}", _descriptors(f"{{requestHeaderValueMatch: {match}}}"))
    assert statuses(limited, f"match-{expect}", 1, headers=[("user-agent", "a robot")]) == [matching]
    assert statuses(limited, f"match-{expect}", 1, headers=[("user-agent", "a person")]) == [other]


def test_the_address_of_the_client(limited: World) -> None:
    site(limited, "address", _descriptors("{remoteAddress: {}}"))
    assert statuses(limited, "address", 2) == [200, 429]


def test_several_entries_are_one_descriptor(limited: World) -> None:
    header = "{requestHeader: {headerName: X-User, descriptorKey: user}}"
    site(limited, "both", _descriptors("{genericKey: {value: both}}", header))
    assert statuses(limited, "both", 2, headers=[("x-user", "one")]) == [200, 429]
    assert statuses(limited, "both", 2, headers=[("x-user", "two")]) == [200, 429]


def test_hosts_without_a_policy_have_that_of_the_settings(limited: World) -> None:
    """All of them count together; one that says no is not counted, nor a route that does not want its host's."""
    site(limited, "refuses", "{global: {disabled: true}}")
    assert statuses(limited, "refuses", 3) == [200, 200, 200]
    off = "rateLimitPolicy: {global: {disabled: true}}"
    site(limited, "default", routes=f"[{{{SERVICES}}}, {{conditions: [{{prefix: /off}}], {SERVICES}, {off}}}]")
    assert statuses(limited, "default", 2) == [200, 429]
    site(limited, "another")
    assert statuses(limited, "another", 1) == [429]
    assert statuses(limited, "default", 2, "/off") == [200, 200]


@pytest.mark.parametrize("spelled", ["LOOKED-AT.test", "x.looked-at.test", "X.Looked-At.test"])
def test_a_host_that_the_second_look_finds(limited: World, spelled: str) -> None:
    policy = _descriptors("{requestHeader: {headerName: X-User, descriptorKey: user}}")
    limited.certificate("shop/wild", "*.looked-at.test")
    site(limited, "looked-at", policy, f"[{{permitInsecure: true, {SERVICES}}}]", tls="tls")
    limited.proxy(
        "shop/below",
        f"""
        virtualhost: {{fqdn: "*.looked-at.test", tls: {{secretName: wild}}, rateLimitPolicy: {policy}}}
        routes: [{{permitInsecure: true, {SERVICES}}}]
        """,
    )
    for ask in (limited.get, limited.get_tls):
        user = [("x-user", f"{ask.__name__} {spelled}")]
        assert [ask(spelled, "/", user).status for _ in range(2)] == [200, 429]


def test_both_kinds_on_a_route_over_tls(limited: World) -> None:
    """Who is over the local limit is not counted by the service."""
    both = _descriptors("{requestHeader: {headerName: X-User, descriptorKey: user}}").removesuffix("}")
    both += ", local: {requests: 2, unit: hour, responseStatusCode: 503}}"
    routes = f"[{{{SERVICES}}}, {{conditions: [{{prefix: /limited}}], {SERVICES}, rateLimitPolicy: {both}}}]"
    site(limited, "twice", "{global: {disabled: true}}", routes, tls="tls")
    users = ["first", "first", "second"]
    answers = [limited.get_tls("twice.test", "/limited", [("x-user", f"twice {user}")]).status for user in users]
    assert answers == [200, 429, 503]
    assert [limited.get_tls("twice.test").status for _ in range(3)] == [200, 200, 200]


def test_a_call_over_grpc_is_told_what_it_is(limited: World) -> None:
    site(limited, "grpc", _descriptors("{requestHeader: {headerName: X-User, descriptorKey: user}}"))
    headers = [("x-user", "grpc"), ("content-type", "application/grpc")]
    answers: list[Response] = []
    for _ in range(2):
        with Http1(connect(limited.http)) as client:
            answers.append(client.request("POST", "grpc.test", "/a.B/C", headers))
    assert answers[1].header("grpc-status") == "8"


def test_without_the_service_nobody_passes_who_would_be_counted(limited: World, service: RateLimits) -> None:
    site(limited, "gone", _descriptors("{genericKey: {value: nobody limits this}}"))
    site(limited, "uncounted", "{global: {disabled: true}}")
    assert statuses(limited, "gone", 1) == [200]
    with Backend("gone") as backend:
        port = backend.port
    try:
        backend.port = port
        _ask(limited, backend)
        assert statuses(limited, "gone", 1) == [500]
        assert statuses(limited, "uncounted", 1) == [200]
    finally:
        _ask(limited, service)
    assert statuses(limited, "gone", 1) == [200]


def test_where_nobody_is_held_back_without_the_service(tmp_path: Path) -> None:
    options = RateLimitService(extension=Ref("shop", "limits"), fail_open=True)
    world = World(tmp_path, Options(rate_limit_service=options))
    try:
        world.envoy()
        world.service("shop/web")
        world.certificate("shop/tls", "open.test")
        routes = f"[{{permitInsecure: true, {SERVICES}}}]"
        site(world, "open", _descriptors("{remoteAddress: {}}"), routes, tls="tls")
        assert statuses(world, "open", 2) == [200, 200]  # nobody has said yet where it is
        with Backend("gone") as backend:
            port = backend.port
        backend.port = port
        _ask(world, backend)
        for ask in (world.get, world.get_tls):
            answer = ask("open.test")
            assert (answer.status, answer.header("x-ratelimit-limit")) == (200, None)
    finally:
        world.close()
