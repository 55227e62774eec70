"""Clients that say no server name, or one that nobody has: the fallback certificate (httpproxy.md §2.5, §4.10)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509
from tests.traffic.live import until
from tests.traffic.world import World

from contour.api.meta import Ref
from contour.dag.options import Options
from contour.envoy.resource import SCOPED_ROUTE
from contour.testing import clients
from contour.testing.certs import Authority
from contour.testing.clients import Address, Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tls-fallback")]

DELEGATION = """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {name: fallback, namespace: certs}
spec: {delegations: [{secretName: fallback, targetNamespaces: [shop]}]}
---
"""
NO_NAMES = ["", "unknown.test"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    options = Options(fallback_certificate=Ref("certs", "fallback"))
    world = World(tmp_path_factory.mktemp("w"), options)
    try:
        world.envoy()
        world.envoy(shape="classic")
        yield world
    finally:
        world.close()


@pytest.fixture
def site(world: World) -> World:
    world.apply(DELEGATION.rstrip("-\n"))
    world.certificate("certs/fallback", "fallback.test")
    world.certificate("shop/tls", "one.test", "two.test", "*.wild.test")
    world.service("shop/web")
    host(world, "one")
    host(world, "two", fallback=False)
    return world


def host(world: World, name: str, *, fallback: bool = True, fqdn: str = "", valid: bool = True, more: str = "") -> None:
    asked = "enableFallbackCertificate: true" if fallback else ""
    world.proxy(
        f"shop/{name}",
        f"""
        virtualhost: {{fqdn: {fqdn or name + ".test"}, tls: {{secretName: tls, {asked}}}{more}}}
        routes: [{{services: [{{name: web, port: 80}}]}}]
        """,
        valid=valid,
    )


def each(world: World) -> list[Address]:
    """Both shapes."""
    return [world.opened(envoy, "base.test") for envoy in world.envoys]


def shown(address: Address, sni: str) -> list[str]:
    certificate = x509.load_der_x509_certificate(clients.certificate(address, sni))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("sni", NO_NAMES)
def test_hosts_that_asked_for_it_are_reached_by_the_host_of_the_request(site: World, sni: str) -> None:
    for address in each(site):
        until(lambda at=address: shown(at, sni) == ["fallback.test"])
        for spelled in ("one.test", "one.test:8443", "ONE.test", "One.Test:1"):
            assert clients.get_tls(address, sni, host=spelled).backend == "shop/web"
        for spelled in ("two.test", "TWO.test", "base.test", "unknown.test", "", "*"):
            assert clients.get_tls(address, sni, host=spelled).status == 404
        with Http2(connect(address, sni=sni, alpn="h2")) as client:
            assert [client.get(name).status for name in ("one.test", "two.test", "ONE.test")] == [200, 404, 200]


def test_nobody_s_server_name_is_taken(site: World) -> None:
    for address in each(site):
        until(lambda at=address: shown(at, "") == ["fallback.test"])
        assert "one.test" in shown(address, "one.test")
        assert clients.get_tls(address, "one.test").backend == "shop/web"
        assert clients.get_tls(address, "two.test").backend == "shop/web"
        assert clients.get_tls(address, "two.test", host="one.test").status == 421
        assert clients.get_tls(address, "one.test", host="two.test").status == 421


def test_a_client_that_does_not_trust_it(site: World) -> None:
    context = Authority("another").client_context()
    context.check_hostname = False
    for address in each(site):
        until(lambda at=address: shown(at, "") == ["fallback.test"])
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(address, sni="", context=context)
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            connect(address, sni="unknown.test", context=site.authority.client_context())


def test_the_private_header_opens_nothing(site: World) -> None:
    address = site.https
    groups = {name.split("/")[0] for name in site.ask(lambda: list(site.pipeline.shape("scoped")[SCOPED_ROUTE]))}
    with Http1(connect(address, sni="")) as client:
        for group in groups:
            headers = [("x-contour-scope", f"{group}/two.test")]
            assert client.get("two.test", "/", headers).status == 404
            assert client.get("one.test", "/", headers).backend == "shop/web"


def test_wildcard_hosts(site: World) -> None:
    host(site, "wild", fqdn="'*.wild.test'")
    host(site, "below", fqdn="below.wild.test", fallback=False)
    for address in each(site):
        until(lambda at=address: clients.get_tls(at, "", host="a.wild.test").backend == "shop/web")
        assert clients.get_tls(address, "", host="a.wild.test:1").backend == "shop/web"
        assert clients.get_tls(address, "unknown.test", host="a.b.wild.test").status == 404
    assert clients.get_tls(site.https, "", host="A.WILD.test").backend == "shop/web"  # a 404 by the reference
    # It has an exact host of its own, which did not ask. (The reference answers with the wildcard's routes.)
    assert [clients.get_tls(site.https, "", host=name).status for name in ("below.wild.test", "BELOW.wild.test")] == [
        421,
        421,
    ]


def test_it_goes_with_the_last_host_that_asked(site: World) -> None:
    host(site, "two")
    for address in each(site):
        until(lambda at=address: clients.get_tls(at, "", host="two.test").status == 200)
    host(site, "one", fallback=False)
    for address in each(site):
        until(lambda at=address: clients.get_tls(at, "", host="one.test").status == 404)
        assert clients.get_tls(address, "", host="two.test").status == 200
    host(site, "two", fallback=False)
    for address in each(site):
        until(lambda at=address: refused(at, ""))
        assert refused(address, "unknown.test")
        assert clients.get_tls(address, "two.test").status == 200


def test_who_is_not_delegated_to_has_no_part_in_it(site: World) -> None:
    site.delete("TLSCertificateDelegation", "certs/fallback")
    message = 'Spec.VirtualHost.TLS Secret "certs/fallback" is not configured for certificate delegation'
    assert site.errors("shop/one") == [("TLSError", "FallbackNotDelegated", message)]
    assert site.errors("shop/two") == []
    for address in each(site):
        until(lambda at=address: refused(at, ""))
        assert clients.get_tls(address, "two.test").status == 200


def test_a_new_certificate_closes_no_connection(site: World) -> None:
    with Http1(connect(site.https, sni="")) as held:
        assert held.get("one.test").status == 200
        site.certificate("certs/fallback", "renewed.test")
        until(lambda: shown(site.https, "") == ["renewed.test"])
        answer = held.get("one.test")
        assert (answer.status, answer.header("connection")) == (200, None)


def test_what_needs_to_know_who_is_meant_cannot_have_it(site: World) -> None:
    host(site, "strict", valid=False, more=", jwtProviders: [{name: a, remoteJWKS: {uri: 'http://keys.test/'}}]")
    assert [one[1] for one in site.errors("shop/strict")] == ["TLSIncompatibleFeatures"]
    assert clients.get_tls(site.https, "", host="strict.test").status == 404


def refused(address: Address, sni: str) -> bool:
    try:
        connect(address, sni=sni).close()
    except OSError:
        return True
    return False
