"""ExtensionServices as an Envoy reaches them: TLS, certificates, weights, limits, edits (httpproxy.md §2.22)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.authorizing import extension
from tests.traffic.world import World, until

from contour.api.meta import Ref
from contour.dag.options import Options
from contour.testing.authorization import Authorizer, Deny
from contour.testing.certs import Authority

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("authorization")]

SITE = """
virtualhost: {fqdn: site.test, tls: {secretName: tls}, authorization: {extensionRef: {name: auth}}}
routes: [{directResponsePolicy: {statusCode: 200}}]
"""


def site(world: World) -> None:
    """A host that needs no Service but that of its authorization server."""
    world.certificate("shop/tls", "site.test")
    world.secret("shop/ca", "Opaque", {"ca.crt": world.authority.certificate})
    world.proxy("shop/site", SITE)


@pytest.mark.parametrize(
    ("validation", "foreign", "status"),
    [
        (None, True, 200),
        ({"caSecret": "ca", "subjectName": "auth.internal"}, False, 200),
        ({"caSecret": "ca", "subjectName": "auth.internal"}, True, 403),
        ({"caSecret": "ca", "subjectName": "other.internal"}, False, 403),
        ({"caSecret": "ca", "subjectName": "a.internal", "subjectNames": ["a.internal", "auth.internal"]}, False, 200),
    ],
    ids=["not-checked", "right", "another-authority", "another-name", "one-of-two-names"],
)
def test_tls_unless_it_says_otherwise(
    world: World, validation: dict[str, object] | None, foreign: bool, status: int
) -> None:
    pair = (Authority("other") if foreign else world.authority).sign("auth.internal")
    with Authorizer(tls=pair) as server:
        given = {"validation": validation} if validation else {}
        world.secret("shop/ca", "Opaque", {"ca.crt": world.authority.certificate})
        extension(world, "auth", server, "h2", **given)
        site(world)
        assert world.get_tls("site.test").status == status
        assert len(server.checks) == (status == 200)


@pytest.fixture
def introduced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose Envoys show a certificate."""
    world = World(tmp_path_factory.mktemp("i"), Options(client_certificate=Ref("vault", "client")))
    pair = world.authority.sign("envoy.test", client=True)
    world.secret("vault/client", "kubernetes.io/tls", {"tls.crt": pair.certificate, "tls.key": pair.private_key})
    try:
        world.envoy()
        yield world
    finally:
        world.close()


def test_it_is_shown_the_client_certificate(introduced: World) -> None:
    """Also where no Service has a use for it."""
    world = introduced
    authority = world.authority
    with Authorizer(tls=authority.sign("auth.internal"), clients=authority.certificate) as server:
        extension(world, "auth", server, "h2")
        site(world)
        assert world.get_tls("site.test").status == 200
        assert len(server.checks) == 1


def test_services_by_weight(world: World) -> None:
    with Authorizer() as first, Authorizer() as second, Authorizer() as none:
        for name, server in (("first", first), ("second", second), ("none", none)):
            world.service(f"shop/{name}", backends=[server])  # type: ignore[list-item]  # its port is all that counts
        extension(world, "auth", first)
        services = [
            {"name": "first", "port": 80, "weight": 1},
            {"name": "second", "port": 80, "weight": 3},
            {"name": "none", "port": 80, "weight": 0},
        ]
        extension(world, "auth", first, services=services)
        site(world)
        for _ in range(40):
            assert world.get_tls("site.test").status == 200
        counts = [len(server.checks) for server in (first, second, none)]
        assert sum(counts) == 40
        assert counts[2] == 0
        assert 0 < counts[0] < counts[1]


def test_edits_of_its_service_arrive(world: World) -> None:
    """Although no route uses it (§5, quirk 19)."""
    with Authorizer() as old, Authorizer(lambda _: Deny(402)) as new:
        extension(world, "auth", old)
        site(world)
        assert world.get_tls("site.test").status == 200
        world.endpoints("shop/auth-server", new)  # type: ignore[arg-type]  # its port is all that counts
        assert world.get_tls("site.test").status == 402
        world.delete("Service", "shop/auth-server")
        until(lambda: world.errors("shop/site"))
        assert [error[1] for error in world.errors("shop/site")] == ["ExtensionServiceNotFound"]
        extension(world, "auth", old)
        assert world.errors("shop/site") == []
        assert world.get_tls("site.test").status == 200


def test_limits_of_what_is_asked_at_once(world: World) -> None:
    with Authorizer() as server:
        extension(world, "auth", server, circuitBreakerPolicy={"maxRequests": 1})
        site(world)
        assert world.get_tls("site.test").status == 200
        stats = world.envoys[0].admin("/clusters")
        assert "extension_shop_auth" in stats or "extension/shop/auth" in stats
        assert "extension/shop/auth::default_priority::max_requests::1" in stats
