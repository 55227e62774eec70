"""What Envoy shows to upstreams, with which versions it speaks TLS, and upstreams that are names (httpproxy.md §2.20)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.traffic.live import until
from tests.traffic.world import World

from contour.api.meta import Ref
from contour.dag.options import Options
from contour.envoy.options import TLSParameters
from contour.testing import clients
from contour.testing.backends import Backend, server_context
from contour.testing.certs import Authority, Pair
from contour.testing.names import Names

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tls-upstream")]

CALLERS = Authority("callers")
UPSTREAMS = Authority("upstreams")
NAME = "upstream.example"


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with Names({NAME: "127.0.0.1"}) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, names: Names) -> Iterator[World]:
    """Envoy speaks TLS 1.2 alone to upstreams."""
    options = Options(client_certificate=Ref("projectcontour", "client"), enable_external_name=True)
    only = TLSParameters(max_tls="1.2")
    world = World(tmp_path_factory.mktemp("w"), options, envoy={"upstream_tls": only})
    try:
        world.envoy(resolver=("127.0.0.1", names.port))
        yield world
    finally:
        world.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    identity(running, CALLERS.sign("envoy.test", client=True))
    yield running
    running.clear()


def identity(world: World, pair: Pair) -> None:
    data = {"tls.crt": pair.certificate, "tls.key": pair.private_key}
    world.secret("projectcontour/client", "kubernetes.io/tls", data)


def strict(directory: Path, *, alpn: tuple[str, ...] = (), version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A server that lets nobody in whom the callers' authority does not know."""
    directory.mkdir(exist_ok=True)
    pair = UPSTREAMS.sign("web.internal", NAME)
    context = server_context(pair.certificate, pair.private_key, str(directory), alpn=alpn, clients=CALLERS.certificate)
    if version is not None:
        context.minimum_version = version
    return context


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with Backend("strict", tls=strict(tmp_path)) as one:
        yield one


def site(world: World, service: str, **kwargs: bool) -> None:
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{service}]}}]", **kwargs)


@pytest.mark.parametrize(("protocol", "alpn", "seen"), [("tls", (), "HTTP/1.1"), ("h2", ("h2",), "HTTP/2")])
def test_envoy_shows_its_certificate(
    world: World, tmp_path: Path, protocol: str, alpn: tuple[str, ...], seen: str
) -> None:
    with Backend("strict", tls=strict(tmp_path, alpn=alpn)) as backend:
        world.service("shop/web", backends=[backend])
        site(world, f"{{name: web, port: 80, protocol: {protocol}}}")
        assert world.get("site.test").seen.protocol == seen


def test_so_do_ingress_and_connections(world: World, backend: Backend) -> None:
    world.service("shop/web", backends=[backend], protocol="tls")
    world.ingress(
        "shop/site",
        """
        rules:
        - host: ingress.test
          http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
        """,
    )
    assert world.get("ingress.test").backend == "strict"
    world.certificate("shop/tls", "db.test")
    world.proxy(
        "shop/db",
        """
        virtualhost: {fqdn: db.test, tls: {secretName: tls}}
        tcpproxy: {services: [{name: web, port: 80, protocol: tls}]}
        """,
    )
    assert clients.get_tls(world.https, "db.test").backend == "strict"


def test_a_new_one_is_shown_from_the_next_connection_on(world: World, backend: Backend, tmp_path: Path) -> None:
    world.service("shop/web", backends=[backend])
    site(world, "{name: web, port: 80, protocol: tls}")
    assert world.get("site.test").backend == "strict"
    updates = world.envoys[0].stats("cluster_manager.cluster_(added|modified)")
    stranger = Authority("strangers").sign("envoy.test", client=True)
    identity(world, stranger)
    # A backend that has no connection from before.
    with Backend("new", tls=strict(tmp_path / "new")) as new:
        world.endpoints("shop/web", new)
        until(lambda: world.get("site.test").status == 503)
        identity(world, CALLERS.sign("envoy.test", client=True))
        until(lambda: world.get("site.test").backend == "new")
    assert world.envoys[0].stats("cluster_manager.cluster_(added|modified)") == updates


def test_without_it_nothing_is_served_unsigned(world: World, backend: Backend) -> None:
    world.service("shop/web", backends=[backend])
    site(world, "{name: web, port: 80, protocol: tls}")
    world.delete("Secret", "projectcontour/client")
    text = 'tls.envoy-client-certificate Secret "projectcontour/client" is invalid: Secret not found'
    assert world.errors("shop/site") == [("TLSError", "SecretNotValid", text)]
    until(lambda: world.get("site.test").status == 404)
    identity(world, CALLERS.sign("envoy.test", client=True))
    until(lambda: world.get("site.test").backend == "strict")


def test_versions_of_the_settings(world: World, tmp_path: Path) -> None:
    with Backend("new", tls=strict(tmp_path, version=ssl.TLSVersion.TLSv1_3)) as backend:
        world.service("shop/web", backends=[backend])
        site(world, "{name: web, port: 80, protocol: tls}")
        assert world.get("site.test").status == 503


# --- names --------------------------------------------------------------------------------------------------------


def named(world: World, name: str, port: int) -> None:
    world.apply(
        f"""
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{type: ExternalName, externalName: {name}, ports: [{{name: http, port: {port}}}]}}
"""
    )


def test_a_name(world: World, names: Names) -> None:
    backend = world.backend("named")
    named(world, NAME, backend.port)
    site(world, f"{{name: web, port: {backend.port}}}")
    until(lambda: world.get("site.test").backend == "named")
    assert world.get("site.test").seen.header("host") == "site.test"
    assert NAME in names.asked


def test_a_name_over_tls_is_the_server_name(world: World, tmp_path: Path) -> None:
    told: list[str | None] = []
    context = strict(tmp_path)
    context.sni_callback = lambda _, name, __: told.append(name)
    world.secret("shop/ca", "Opaque", {"ca.crt": UPSTREAMS.certificate})
    with Backend("named", tls=context) as backend:
        named(world, NAME, backend.port)
        validation = f"validation: {{caSecret: ca, subjectName: {NAME}}}"
        service = f"{{name: web, port: {backend.port}, protocol: tls, {validation}}}"
        world.proxy(
            "shop/site",
            f"""
            virtualhost: {{fqdn: site.test}}
            routes:
            - services: [{service}]
              requestHeadersPolicy: {{set: [{{name: Host, value: {NAME}}}]}}
            """,
        )
        until(lambda: world.get("site.test").backend == "named")
        assert world.get("site.test").seen.header("host") == NAME
        assert set(told) == {NAME}


def test_connections_to_a_name(world: World) -> None:
    backend = world.backend("named")
    world.certificate("shop/tls", "db.test")
    named(world, NAME, backend.port)
    world.proxy(
        "shop/db",
        f"""
        virtualhost: {{fqdn: db.test, tls: {{secretName: tls}}}}
        tcpproxy: {{services: [{{name: web, port: {backend.port}}}]}}
        """,
    )
    until(lambda: clients.get_tls(world.https, "db.test").backend == "named")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST.", "0x7f000001"])
def test_no_name_leads_to_this_machine(world: World, name: str) -> None:
    backend = world.backend("own")
    named(world, f"'{name}'", backend.port)
    site(world, f"{{name: web, port: {backend.port}}}", valid=False)
    assert [one[1] for one in world.errors("shop/site")] == ["ServiceUnresolvedReference"]
    assert world.get("site.test").status == 503
    assert backend.seen == []
