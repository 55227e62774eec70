"""Authorization that is switched on, moved or mistaken while clients hold connections: nobody gets past it, and 421 says
that another connection is to be opened.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.authorizing import extension
from tests.traffic.world import World

from contour.testing.authorization import Authorizer, Deny
from contour.testing.clients import Http1, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("authorization")]

REFUSED_BY_ENVOY = "{extensionRef: {name: strict}, serviceType: http, httpSettings: {pathPrefix: check}}"
# Behind the certificate's wildcard name with other hosts, or alone behind its own.
HOSTS = ("a.tenant.test", "alone.test", "x.wild.test")


@pytest.fixture
def strict(world: World) -> Iterator[Authorizer]:
    with Authorizer(lambda _: Deny(401)) as strict:
        extension(world, "strict", strict)
        yield strict


def site(world: World, host: str, authorization: str = "") -> None:
    world.certificate("shop/tls", "*.tenant.test", "alone.test", "*.wild.test")
    world.service("shop/web")
    fqdn = "*.wild.test" if host == "x.wild.test" else host
    for name, domain in (("other", "other.tenant.test"), ("site", fqdn)):
        asks = f", authorization: {authorization}" if authorization and name == "site" else ""
        world.apply(
            f"""
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {{name: {name}, namespace: shop}}
spec:
  virtualhost: {{fqdn: "{domain}", tls: {{secretName: tls}}{asks}}}
  routes: [{{services: [{{name: web, port: 80}}]}}]
""",
            valid=authorization != REFUSED_BY_ENVOY or name == "other",
        )


@pytest.mark.parametrize("host", HOSTS)
def test_switched_on(world: World, strict: Authorizer, host: str) -> None:
    site(world, host)
    with Http1(connect(world.https, sni=host)) as held:
        assert held.get(host).status == 200
        site(world, host, "{extensionRef: {name: strict}}")
        assert held.get(host).status == 421
        assert world.get_tls(host).status == 401
    assert [check.host for check in strict.checks] == [host]


@pytest.mark.parametrize("host", HOSTS)
def test_another_server(world: World, strict: Authorizer, host: str) -> None:
    with Authorizer() as lax:
        extension(world, "lax", lax)
        site(world, host, "{extensionRef: {name: lax}}")
        with Http1(connect(world.https, sni=host)) as held:
            assert held.get(host).status == 200
            site(world, host, "{extensionRef: {name: strict}}")
            assert held.get(host).status == 421
            assert world.get_tls(host).status == 401
    assert strict.checks


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("before", ["", "{extensionRef: {name: strict}}"], ids=["without", "with"])
@pytest.mark.usefixtures("strict")
def test_a_mistake_that_envoy_would_refuse(world: World, host: str, before: str) -> None:
    """The host is not served over TLS; others are."""
    site(world, host, before)
    with Http1(connect(world.https, sni=host)) as held:
        assert held.get(host).status == (401 if before else 200)
        site(world, host, REFUSED_BY_ENVOY)
        assert held.get(host).status == 421
        assert world.get_tls(host).status == 421
    message = (
        f"{'*.wild.test' if host == 'x.wild.test' else host}: authorization.httpSettings.pathPrefix: must start with /"
    )
    assert world.errors("shop/site") == [("EnvoyError", "Rejected", message)]
    assert world.get_tls("other.tenant.test").status == 200
    site(world, host, "{extensionRef: {name: strict}}")
    assert world.get_tls(host).status == 401
