"""TLS termination: versions, certificates by server name, delegation, what invalid settings leave (httpproxy.md §2.5)."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from tests.traffic.world import World

from contour.testing import clients
from contour.testing.clients import Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-tls")]

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def site(world: World, name: str, *, valid: bool = True, **tls: str) -> None:
    """`NAME.test`, which answers with its name."""
    settings = ", ".join(f'{key}: "{value}"' for key, value in tls.items())
    world.proxy(
        f"shop/{name}",
        f"""
        virtualhost: {{fqdn: {name}.test, tls: {{{settings}}}}}
        routes: [{{directResponsePolicy: {{statusCode: 200, body: {name}}}}}]
        """,
        valid=valid,
    )


def negotiated(world: World, name: str, version: ssl.TLSVersion) -> str | None:
    """The version of a connection by a client that knows no other one; None if it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    try:
        with connect(world.https, sni=name, context=context) as connection:
            assert isinstance(connection, ssl.SSLSocket)
            return connection.version()
    except ssl.SSLError:
        return None


@pytest.mark.parametrize(
    ("settings", "versions"),
    [
        ({}, ["TLSv1.2", "TLSv1.3"]),
        ({"minimumProtocolVersion": "1.3"}, [None, "TLSv1.3"]),
        ({"maximumProtocolVersion": "1.2"}, ["TLSv1.2", None]),
        ({"minimumProtocolVersion": "1.2", "maximumProtocolVersion": "1.3"}, ["TLSv1.2", "TLSv1.3"]),
        ({"minimumProtocolVersion": "1.1"}, ["TLSv1.2", "TLSv1.3"]),
    ],
)
def test_versions(world: World, settings: dict[str, str], versions: list[str | None]) -> None:
    world.certificate("shop/tls", "site.test")
    site(world, "site", secretName="tls", **settings)
    assert [negotiated(world, "site.test", version) for version in (V12, V13)] == versions
    assert world.get_tls("site.test", context=world.authority.client_context()).body == b"site"


def test_versions_are_each_hosts_own_behind_one_certificate(world: World) -> None:
    world.certificate("shop/tls", "*.test")
    site(world, "old", secretName="tls")
    site(world, "new", secretName="tls", minimumProtocolVersion="1.3")
    assert [negotiated(world, f"{name}.test", V12) for name in ("old", "new")] == ["TLSv1.2", None]
    assert [world.get_tls(f"{name}.test").body for name in ("old", "new")] == [b"old", b"new"]


def test_an_impossible_range_is_not_served(world: World) -> None:
    world.certificate("shop/tls", "site.test")
    site(world, "site", valid=False, secretName="tls", minimumProtocolVersion="1.3", maximumProtocolVersion="1.2")
    assert [error[:2] for error in world.errors("shop/site")] == [("TLSError", "TLSConfigNotValid")]
    assert world.get("site.test").status == 404
    with pytest.raises(OSError):
        world.get_tls("site.test")


def test_a_certificate_for_each_host(world: World) -> None:
    for name in ("one", "two", "three"):
        world.certificate(f"shop/{name}", f"{name}.test")
        site(world, name, secretName=name)
    context = world.authority.client_context()
    for name in ("one", "two", "three"):
        assert world.get_tls(f"{name}.test", context=context).body == name.encode()
        assert world.get_tls(f"{name.upper()}.TEST", host=f"{name}.test").body == name.encode()
    with pytest.raises(OSError):
        world.get_tls("four.test")
    with pytest.raises(OSError):
        world.get_tls("", host="one.test")
    with Http2(connect(world.https, sni="one.test", alpn="h2")) as client:
        assert [client.get(f"{name}.test").status for name in ("one", "two", "one")] == [200, 421, 200]


def test_a_rotated_certificate_is_shown_at_once(world: World) -> None:
    world.certificate("shop/tls", "site.test")
    site(world, "site", secretName="tls")
    with Http1(connect(world.https, sni="site.test")) as held:
        for _ in range(5):
            pair = world.certificate("shop/tls", "site.test")
            shown = x509.load_der_x509_certificate(clients.certificate(world.https, "site.test"))
            assert shown == x509.load_pem_x509_certificate(pair.certificate)
            assert held.get("site.test").status == 200


DELEGATION = """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {{name: grants, namespace: certs}}
spec: {{delegations: [{{secretName: {secret}, targetNamespaces: [{targets}]}}]}}
"""


def test_delegation(world: World) -> None:
    world.certificate("certs/tls", "site.test")
    site(world, "site", secretName="certs/tls", valid=False)
    refused = [("TLSError", "DelegationNotPermitted",
                'Spec.VirtualHost.TLS Secret "certs/tls" certificate delegation not permitted')]  # fmt: skip

    def served() -> bool:
        try:
            secure = world.get_tls("site.test").status == 200
        except OSError:
            secure = False
        assert world.get("site.test").status == (301 if secure else 404)
        assert world.errors("shop/site") == ([] if secure else refused)
        return secure

    assert not served()
    for secret, targets, permitted in (
        ("tls", "elsewhere", False),
        ("other", "shop", False),
        ("tls", "elsewhere, shop", True),
        ("tls", "'*', elsewhere", False),
        ("tls", "'*'", True),
    ):
        world.apply(DELEGATION.format(secret=secret, targets=targets))
        assert served() == permitted
    world.delete("TLSCertificateDelegation", "certs/grants")
    assert not served()


def test_of_a_missing_or_broken_secret_only_its_host_suffers(world: World) -> None:
    world.certificate("shop/good", "good.test")
    site(world, "good", secretName="good")
    site(world, "bad", secretName="bad", valid=False)
    messages = []

    def unserved() -> None:
        messages.append(world.errors("shop/bad")[0][2])
        assert world.get_tls("good.test").body == b"good"
        assert world.get("bad.test").status == 404
        with pytest.raises(OSError):
            world.get_tls("bad.test")

    unserved()
    pair = world.authority.sign("bad.test")
    world.secret("shop/bad", "kubernetes.io/tls", {"tls.crt": pair.certificate, "tls.key": b"no key"})
    unserved()
    world.secret("shop/bad", "Opaque", {"tls.key": pair.private_key})
    unserved()
    world.secret("shop/bad", "kubernetes.io/tls", {"tls.crt": pair.certificate, "tls.key": pair.private_key})
    assert world.errors("shop/bad") == []
    assert world.get_tls("bad.test").body == b"bad"
    world.delete("Secret", "shop/bad")
    unserved()
    prefix = 'Spec.VirtualHost.TLS Secret "bad" is invalid: '
    assert [message.removeprefix(prefix) for message in messages] == [
        "Secret not found",
        "invalid TLS private key: failed to locate private key",
        "missing TLS certificate",
        "Secret not found",
    ]
