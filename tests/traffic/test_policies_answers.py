"""Answers without a backend: redirects to https, redirects of every kind, direct responses (httpproxy.md §2.5, §4.9)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.traffic.world import World, quoted

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-answers")]


def redirected(world: World, path: str, host: str = "site.test") -> tuple[int, str | None]:
    response = world.get(host, path)
    return response.status, response.header("location")


def test_permit_insecure(world: World) -> None:
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test, tls: {secretName: tls}}
        routes:
        - services: [{name: web, port: 80}]
        - conditions: [{prefix: /open}]
          permitInsecure: true
          services: [{name: web, port: 80}]
        - conditions: [{prefix: /no}]
          permitInsecure: false
          directResponsePolicy: {statusCode: 200}
        - conditions: [{prefix: /old}]
          requestRedirectPolicy: {hostname: new.test}
        - conditions: [{prefix: /ping}]
          permitInsecure: true
          directResponsePolicy: {statusCode: 200, body: pong}
        """,
    )
    assert redirected(world, "/x?q=1") == (301, "https://site.test/x?q=1")
    assert redirected(world, "/no") == (301, "https://site.test/no")
    assert redirected(world, "/old") == (301, "https://site.test/old")
    assert world.get("site.test", "/open").backend == "shop/web"
    assert world.get("site.test", "/ping").body == b"pong"
    assert redirected(world, "/x", "SITE.test:80") == (301, "https://SITE.test/x")
    assert redirected(world, "/x", "site.test:8080") == (301, "https://site.test:8080/x")  # Envoy's: not its scheme's
    for path in ("/x", "/open"):
        assert world.get_tls("site.test", path).backend == "shop/web"
    assert world.get_tls("site.test", "/ping").body == b"pong"
    assert world.get_tls("site.test", "/no").status == 200
    assert world.get_tls("site.test", "/old").header("location") == "https://new.test/old"


@pytest.mark.parametrize(
    ("policy", "status", "location"),
    [
        ("{hostname: new.test}", 302, "http://new.test/from/x?q=1"),
        ("{scheme: https}", 302, "https://site.test/from/x?q=1"),
        ("{port: 8443}", 302, "http://site.test:8443/from/x?q=1"),
        ("{scheme: https, port: 443}", 302, "https://site.test:443/from/x?q=1"),
        ("{path: /to}", 302, "http://site.test/to?q=1"),
        ("{path: '/to?r=2'}", 302, "http://site.test/to?r=2"),
        ("{prefix: /to}", 302, "http://site.test/to/x?q=1"),
        ("{hostname: new.test, statusCode: 301}", 301, "http://new.test/from/x?q=1"),
        ("{hostname: new.test, statusCode: 303}", 303, "http://new.test/from/x?q=1"),
        ("{hostname: new.test, statusCode: 307}", 307, "http://new.test/from/x?q=1"),
        ("{hostname: new.test, statusCode: 308}", 308, "http://new.test/from/x?q=1"),
        (
            "{scheme: https, hostname: new.test, port: 444, path: /to, statusCode: 308}",
            308,
            "https://new.test:444/to?q=1",
        ),
    ],
)
def test_request_redirects(world: World, policy: str, status: int, location: str) -> None:
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test}}
        routes: [{{conditions: [{{prefix: /from}}], requestRedirectPolicy: {policy}}}]
        """,
    )
    assert redirected(world, "/from/x?q=1") == (status, location)


def test_a_redirect_of_a_request_with_a_port(world: World) -> None:
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test}
        routes:
        - requestRedirectPolicy: {path: /to}
        - conditions: [{prefix: /host}]
          requestRedirectPolicy: {hostname: new.test}
        """,
    )
    assert redirected(world, "/from", "site.test:8080") == (302, "http://site.test:8080/to")
    assert redirected(world, "/host", "site.test:8080") == (302, "http://new.test/host")


@pytest.mark.parametrize(("status", "body"), [(200, "hello\n"), (404, "nothing here"), (503, ""), (599, "%FOO% 50%")])
def test_direct_responses(world: World, status: int, body: str) -> None:
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test}}
        routes: [{{directResponsePolicy: {{statusCode: {status}, body: {quoted(body)}}}}}]
        """,
    )
    answer = world.get("site.test", "/any")
    assert (answer.status, answer.body.decode()) == (status, body)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
def test_a_body_comes_back_as_it_was_written(world: World, body: str) -> None:
    world.apply(
        f"""
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {{name: site, namespace: shop}}
spec:
  virtualhost: {{fqdn: site.test}}
  routes: [{{directResponsePolicy: {{statusCode: 200, body: {quoted(body)}}}}}]
"""
    )
    assert world.get("site.test").body.decode() == body
