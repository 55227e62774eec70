"""How a backend is spoken to: protocols and certificates of upstreams, gRPC (httpproxy.md §2.10, §2.21)."""

from __future__ import annotations

import pytest
from tests.traffic.world import World

from contour.testing.backends import Backend, server_context
from contour.testing.certs import Authority
from contour.testing.clients import Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-upstream")]


def tls_backend(
    world: World, directory: str, *names: str, authority: Authority | None = None, alpn: tuple[str, ...] = ()
) -> Backend:
    """The backend of shop/web, with a certificate of these names."""
    pair = (authority or world.authority).sign(*names)
    return world.backend("shop/web", tls=server_context(pair.certificate, pair.private_key, directory, alpn=alpn))


def site(world: World, service: str) -> None:
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{service}]}}]")


@pytest.mark.parametrize(("protocol", "seen"), [("", "HTTP/1.1"), ("h2c", "HTTP/2")])
def test_clear(world: World, protocol: str, seen: str) -> None:
    world.service("shop/field")
    world.service("shop/annotated", protocol=protocol)
    site(world, "{name: field, port: 80" + (f", protocol: {protocol}" if protocol else "") + "}")
    assert world.get("site.test").seen.protocol == seen
    site(world, "{name: annotated, port: 80}")
    assert world.get("site.test").seen.protocol == seen


def test_app_protocol_replaces_the_annotation(world: World) -> None:
    backend = world.service("shop/web", protocol="tls")
    world.apply(
        """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {projectcontour.io/upstream-protocol.tls: "80"}}
spec: {ports: [{name: http, port: 80, appProtocol: kubernetes.io/h2c}]}
"""
    )
    site(world, "{name: web, port: 80}")
    assert world.get("site.test").seen.protocol == "HTTP/2"
    assert len(backend.seen) == 1


@pytest.mark.parametrize(("protocol", "alpn", "seen"), [("tls", (), "HTTP/1.1"), ("h2", ("h2",), "HTTP/2")])
def test_tls(world: World, tmp_path_factory, protocol: str, alpn: tuple[str, ...], seen: str) -> None:
    """Without `validation` any certificate will do."""
    backend = tls_backend(world, str(tmp_path_factory.mktemp("t")), "whoever", authority=Authority("other"), alpn=alpn)
    world.service("shop/web", backends=[backend])
    site(world, f"{{name: web, port: 80, protocol: {protocol}}}")
    assert world.get("site.test").seen.protocol == seen
    world.service("shop/web", backends=[backend], protocol=protocol)
    site(world, "{name: web, port: 80}")
    assert world.get("site.test").seen.protocol == seen
    site(world, "{name: web, port: 80, protocol: h2c}")  # the field wins; nothing of it is TLS
    assert world.get("site.test").status == 503


@pytest.mark.parametrize("protocol", ["tls", "h2"])
@pytest.mark.parametrize(
    ("names", "wanted", "foreign", "status"),
    [
        (("web.internal",), "{subjectName: web.internal}", False, 200),
        (("web.internal",), "{subjectName: other.internal}", False, 503),
        (("web.internal",), "{subjectName: web.internal}", True, 503),
        (("b.internal",), "{subjectName: a.internal, subjectNames: [a.internal, b.internal]}", False, 200),
        (("c.internal",), "{subjectName: a.internal, subjectNames: [a.internal, b.internal]}", False, 503),
        (("*.internal",), "{subjectName: web.internal}", False, 200),
    ],
)
def test_validation(
    world: World, tmp_path_factory, protocol: str, names: tuple[str, ...], wanted: str, foreign: bool, status: int
) -> None:
    backend = tls_backend(
        world, str(tmp_path_factory.mktemp("t")), *names,
        authority=Authority() if foreign else None, alpn=("h2",) if protocol == "h2" else (),
    )  # fmt: skip
    world.service("shop/web", backends=[backend])
    world.secret("shop/ca", "Opaque", {"ca.crt": world.authority.certificate})
    validation = wanted.replace("{", "{caSecret: ca, ")
    site(world, f"{{name: web, port: 80, protocol: {protocol}, validation: {validation}}}")
    assert world.get("site.test").status == status


def test_an_authority_of_another_namespace_has_to_be_delegated(world: World, tmp_path) -> None:
    world.service("shop/web", backends=[tls_backend(world, str(tmp_path), "web.internal")])
    world.secret("certs/ca", "Opaque", {"ca.crt": world.authority.certificate})
    service = "{name: web, port: 80, protocol: tls, validation: {caSecret: certs/ca, subjectName: web.internal}}"
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{service}]}}]", valid=False)
    assert world.get("site.test").status == 404
    assert [error[:2] for error in world.errors("shop/site")] == [("TLSError", "CACertificateNotDelegated")]
    world.apply(
        """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {name: ca, namespace: certs}
spec: {delegations: [{secretName: ca, targetNamespaces: [shop]}]}
"""
    )
    assert world.errors("shop/site") == []
    assert world.get("site.test").status == 200


@pytest.mark.parametrize("protocol", ["", "tls"])
def test_websockets(world: World, tmp_path, protocol: str) -> None:
    """With clients over HTTP and TLS."""
    backend = tls_backend(world, str(tmp_path), "web.internal") if protocol else world.backend("shop/web")
    world.service("shop/web", backends=[backend], protocol=protocol)
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test, tls: {secretName: tls}}
        routes: [{permitInsecure: true, enableWebsockets: true, services: [{name: web, port: 80}]}]
        """,
    )
    for connection in (connect(world.http), connect(world.https, sni="site.test")):
        with Http1(connection) as client:
            answer = client.websocket("site.test", "/chat", text="over")
            assert (answer.status, answer.backend, answer.body) == (101, "shop/web", b"over")
    assert {seen.protocol for seen in backend.seen} == {"websocket"}


def test_grpc(world: World, tmp_path) -> None:
    world.service("shop/clear", protocol="h2c")
    secure = tls_backend(world, str(tmp_path), "grpc.internal", alpn=("h2",))
    world.service("shop/secure", backends=[secure], protocol="h2")
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        """
        virtualhost: {fqdn: site.test, tls: {secretName: tls}}
        routes:
        - permitInsecure: true
          conditions: [{prefix: /clear.Service/}]
          services: [{name: clear, port: 80}]
        - permitInsecure: true
          conditions: [{prefix: /secure.Service/}]
          services: [{name: secure, port: 80}]
        """,
    )
    for connection in (connect(world.http), connect(world.https, sni="site.test", alpn="h2")):
        with Http2(connection) as client:
            for service, backend in (("clear", "shop/clear"), ("secure", "shop/web")):
                answer = client.grpc("site.test", f"/{service}.Service/Method", b"message")
                assert (answer.status, answer.backend, answer.trailers) == (200, backend, (("grpc-status", "0"),))
                assert answer.body[5:] == b"message"
            assert client.grpc("site.test", "/none.Service/Method", b"").header("grpc-status") == "12"  # UNIMPLEMENTED
