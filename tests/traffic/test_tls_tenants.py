"""Hosts whose clients must show a certificate are reached by nobody who did not (security.md, envoy.md §2).

`bank` asks for certificates. `mall` has the names around it, `evil` has certificates with names that are not its own.
Every way around: another host's connection, over HTTP/1.1 and HTTP/2, another authority's clients, no server name and
the fallback certificate, wildcard hosts, upper case, ports, forged headers, sessions of others, connections from before.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from tests.traffic.live import until
from tests.traffic.world import World

from contour.api.meta import Ref
from contour.dag.options import Options
from contour.envoy.resource import SCOPED_ROUTE
from contour.testing import certs, clients
from contour.testing.certs import Authority, Pair
from contour.testing.clients import Address, Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tls-tenants")]

STAFF, GUESTS = Authority("staff"), Authority("guests")
ALICE = STAFF.sign("alice.test", client=True)
GUEST = GUESTS.sign("alice.test", client=True)

DELEGATION = """
apiVersion: projectcontour.io/v1
kind: TLSCertificateDelegation
metadata: {name: fallback, namespace: certs}
spec: {delegations: [{secretName: fallback, targetNamespaces: ["*"]}]}
"""
# Asked for a certificate of the staff, of the guests, of nobody.
STRICT = ["pay.shop.test", "own.test", "any.bank.test"]
GUARDED = ["vault.test"]
OPEN = ["www.shop.test", "other.shop.test", "open.bank.test", "evil.test", "x.evil.test", "unknown.evil.test"]
SPELLINGS = [str, str.upper, str.title, "{}:443".format, "{}:8443".format]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("w"), Options(fallback_certificate=Ref("certs", "fallback")))
    try:
        world.envoy()
        world.envoy(shape="classic")
        yield world
    finally:
        world.close()


@pytest.fixture
def tenants(world: World) -> World:
    world.apply(DELEGATION)
    world.certificate("certs/fallback", "fallback.test")
    for tenant in ("bank", "mall", "evil"):
        world.service(f"{tenant}/web")
    world.certificate("bank/tls", "pay.shop.test", "*.bank.test", "own.test", "vault.test")
    world.certificate("mall/tls", "*.shop.test", "open.bank.test", "*.bank.test")
    world.certificate("evil/tls", "evil.test", "*.evil.test", "pay.shop.test", "*.shop.test", "*.bank.test", "own.test")
    world.secret("bank/staff", "Opaque", {"ca.crt": STAFF.certificate})
    world.secret("bank/guests", "Opaque", {"ca.crt": GUESTS.certificate})
    for name, fqdn in (("pay", "pay.shop.test"), ("own", "own.test"), ("any", "*.bank.test")):
        host(world, "bank", name, fqdn, "clientValidation: {caSecret: staff}")
    host(world, "bank", "vault", "vault.test", "clientValidation: {caSecret: guests}")
    for name, fqdn in (("www", "www.shop.test"), ("any", "*.shop.test"), ("open", "open.bank.test")):
        host(world, "mall", name, fqdn, "enableFallbackCertificate: true")
    for name, fqdn in (("evil", "evil.test"), ("any", "*.evil.test")):
        host(world, "evil", name, fqdn, "enableFallbackCertificate: true")
    return world


def host(world: World, tenant: str, name: str, fqdn: str, more: str = "") -> None:
    world.proxy(
        f"{tenant}/{name}",
        f"""
        virtualhost: {{fqdn: "{fqdn}", tls: {{secretName: tls, {more}}}}}
        routes: [{{services: [{{name: web, port: 80}}], enableWebsockets: true}}]
        """,
    )


def each(world: World) -> list[Address]:
    """Both shapes."""
    return [world.opened(envoy, "base.test") for envoy in world.envoys]


def showing(pair: Pair | None, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        certs.show(context, pair)
    if version is not None:
        context.maximum_version = version
    return context


def answers(address: Address, name: str, pair: Pair | None) -> str | None:
    """Who answers for a host over its own connection; None if it is refused."""
    try:
        return clients.get_tls(address, name, context=showing(pair)).backend
    except OSError:
        return None


def test_each_over_its_own_connection(tenants: World) -> None:
    for address in each(tenants):
        assert [answers(address, name, ALICE) for name in STRICT] == ["bank/web"] * 3
        for name in STRICT:
            assert [answers(address, name, pair) for pair in (None, GUEST)] == [None, None]
        for name in GUARDED:
            assert [answers(address, name, pair) for pair in (None, ALICE, GUEST)] == [None, None, "bank/web"]
    assert [answers(tenants.https, name, None) for name in OPEN] == ["mall/web"] * 3 + ["evil/web"] * 3


# Over whose connection, with what, for which hosts.
WAYS = [
    *((sni, None, [*STRICT, *GUARDED]) for sni in [*OPEN, "", "unknown.test"]),
    *((sni, ALICE, [*STRICT, *GUARDED]) for sni in ["www.shop.test", "", "evil.test"]),
    *((sni, ALICE, [*GUARDED, *(other for other in STRICT if other != sni)]) for sni in STRICT),
    *((sni, GUEST, STRICT) for sni in GUARDED),
]


@pytest.mark.parametrize(("sni", "pair", "hosts"), WAYS, ids=range(len(WAYS)))
def test_nobody_reaches_them_over_another_connection(
    tenants: World, sni: str, pair: Pair | None, hosts: list[str]
) -> None:
    groups = {name.split("/")[0] for name in tenants.ask(lambda: list(tenants.pipeline.shape("scoped")[SCOPED_ROUTE]))}
    forged = [("x-contour-scope", f"{group}/{name}") for group in sorted(groups) for name in (hosts[0], "*")]
    for address in each(tenants):
        with Http1(connect(address, sni=sni, context=showing(pair))) as client:
            for name in hosts:
                for spelled in (spell(name) for spell in SPELLINGS):
                    answer = client.get(spelled)
                    assert answer.backend != "bank/web", (sni, spelled)
                    assert answer.status in (404, 421) or answer.backend in ("mall/web", "evil/web")
                    if address == tenants.https:
                        assert answer.status in (404, 421), (sni, spelled)
            for header in forged:
                assert client.get(hosts[0], "/", [header]).backend != "bank/web"
            absolute = client.raw(f"GET https://{hosts[0]}/ HTTP/1.1\r\nHost: {sni}\r\n\r\n".encode())
            assert absolute.backend != "bank/web"
        with Http2(connect(address, sni=sni, context=showing(pair), alpn="h2")) as http2:
            for name in hosts:
                for spelled in (name, name.upper()):
                    assert http2.get(spelled).backend != "bank/web", (sni, spelled)
                assert http2.grpc(name, "/x/Method", b"").backend != "bank/web"
        with Http1(connect(address, sni=sni, context=showing(pair))) as client:
            answer = client.websocket(hosts[0])
            assert answer.backend != "bank/web"
            assert address != tenants.https or answer.status != 101


@pytest.mark.parametrize("pair", [None, ALICE], ids=["nobody", "alice"])
def test_nobody_takes_another_s_session_along(tenants: World, pair: Pair | None) -> None:
    for address in each(tenants):
        context = showing(pair, version=ssl.TLSVersion.TLSv1_2)
        with connect(address, sni="www.shop.test", context=context) as connection:
            assert isinstance(connection, ssl.SSLSocket)
            assert Http1(connection).get("www.shop.test").backend == "mall/web"
            session = connection.session
        for name in ("vault.test", *(STRICT if pair is None else ())):
            raw = connect(address)
            try:
                with context.wrap_socket(raw, server_hostname=name, session=session) as resumed:
                    assert Http1(resumed).get(name).backend is None
            except OSError:
                pass  # refused: as good
            finally:
                raw.close()


@pytest.mark.parametrize("fqdn", ["www.shop.test", "solo.test"])
@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_a_connection_from_before(tenants: World, fqdn: str, alpn: str) -> None:
    """Validation is switched on while connections are held, below a wildcard and with a chain of its own."""
    tenants.secret("mall/staff", "Opaque", {"ca.crt": STAFF.certificate})
    host(tenants, "mall", "www", fqdn)
    for address in each(tenants):
        until(lambda at=address: answers(at, fqdn, None) == "mall/web")
    held = [connect(address, sni=fqdn, alpn=alpn) for address in each(tenants)]
    sessions = [Http2(one) if alpn == "h2" else Http1(one) for one in held]
    assert [one.get(fqdn).backend for one in sessions] == ["mall/web", "mall/web"]
    host(tenants, "mall", "www", fqdn, "clientValidation: {caSecret: staff}")
    until(lambda: answers(tenants.https, fqdn, ALICE) == "mall/web" and answers(tenants.https, fqdn, None) is None)
    scoped, _ = sessions  # the reference goes on serving what it drains
    until(lambda: closed_or_sent_away(scoped, fqdn))
    for one in sessions:
        one.close()


def closed_or_sent_away(session: Http1 | Http2, name: str) -> bool:
    try:
        return session.get(name).status == 421
    except ConnectionError:
        return True


def test_an_open_host_below_a_strict_wildcard(tenants: World) -> None:
    """The wildcard's connections are no way to the open host either: its tenant may count on what its own chain does."""
    for address in each(tenants):
        with Http1(connect(address, sni="any.bank.test", context=showing(ALICE))) as client:
            assert client.get("any.bank.test").backend == "bank/web"
            for spelled in ("open.bank.test", "OPEN.bank.test", "open.bank.test:443"):
                assert client.get(spelled).status == 421
