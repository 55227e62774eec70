"""Certificates of clients, with a real Envoy: required, optional, unchecked, revoked, forwarded (httpproxy.md §2.5)."""

from __future__ import annotations

import ssl
from urllib.parse import unquote

import pytest
from tests.traffic.live import until
from tests.traffic.world import World

from contour.testing import certs, clients
from contour.testing.certs import Authority, Pair
from contour.testing.clients import Http1, Http2, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tls-clients")]

CLIENTS = Authority("clients")
STRANGERS = Authority("strangers")
ALICE = CLIENTS.sign("alice.test", client=True)
BOB = CLIENTS.sign("bob.test", client=True)
STRANGER = STRANGERS.sign("alice.test", client=True)


def host(world: World, validation: str, *, name: str = "site", valid: bool = True) -> None:
    world.certificate("shop/tls", f"{name}.test")
    world.proxy(
        f"shop/{name}",
        f"""
        virtualhost: {{fqdn: {name}.test, tls: {{secretName: tls, clientValidation: {{{validation}}}}}}}
        routes: [{{services: [{{name: web, port: 80}}]}}]
        """,
        valid=valid,
    )


def authority(world: World, *of: Authority) -> None:
    world.secret("shop/ca", "Opaque", {"ca.crt": b"".join(one.certificate for one in of)})


def revoked(world: World, *lists: bytes) -> None:
    world.secret("shop/crl", "Opaque", {"crl.pem": b"".join(lists)})


def status(world: World, pair: Pair | None, name: str = "site.test") -> int | None:
    """What the client is answered; None if its connection is refused."""
    try:
        return clients.get_tls(world.https, name, context=world.authority.client_context(pair)).status
    except (ssl.SSLError, ConnectionError):
        return None


@pytest.mark.parametrize(
    ("validation", "wanted"),
    [  # nobody, Alice, a stranger
        ("caSecret: ca", (None, 200, None)),
        ("caSecret: ca, optionalClientCertificate: true", (200, 200, None)),
        ("caSecret: ca, skipClientCertValidation: true", (None, 200, 200)),
        ("caSecret: ca, skipClientCertValidation: true, optionalClientCertificate: true", (200, 200, 200)),
        ("skipClientCertValidation: true", (200, 200, 200)),  # Envoy asks, and insists only with a CA
        ("skipClientCertValidation: true, optionalClientCertificate: true", (200, 200, 200)),
    ],
)
def test_who_may_connect(world: World, validation: str, wanted: tuple[int | None, ...]) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, validation)
    assert tuple(status(world, pair) for pair in (None, ALICE, STRANGER)) == wanted


@pytest.mark.parametrize("optional", ["true", "false"])
def test_nobody_is_checked_against_nothing(world: World, optional: str) -> None:
    """The reference, and Envoy, let everybody in."""
    world.service("shop/web")
    host(world, f"optionalClientCertificate: {optional}", valid=False)
    message = "Spec.VirtualHost.TLS client validation is invalid: CA Secret must be specified"
    assert world.errors("shop/site") == [("TLSError", "ClientValidationInvalid", message)]
    assert [status(world, pair) for pair in (None, ALICE)] == [None, None]


def test_a_list_without_an_authority_is_no_reason_to_let_everybody_in(world: World) -> None:
    """Envoy refuses such a list."""
    world.service("shop/web")
    revoked(world, CLIENTS.revoked(BOB))
    host(world, "skipClientCertValidation: true, crlSecret: crl", valid=False)
    message = "Secret shop/crl: Failed to load CRL from <inline> without trusted CA"
    assert world.errors("shop/site") == [("EnvoyError", "Rejected", message)]
    assert [status(world, pair) for pair in (None, ALICE, BOB)] == [None, None, None]


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_both_protocols(world: World, alpn: str) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, "caSecret: ca")
    with connect(world.https, sni="site.test", context=world.authority.client_context(ALICE), alpn=alpn) as connection:
        client = Http2(connection) if alpn == "h2" else Http1(connection)
        assert client.get("site.test").status == 200


def test_revoked_certificates(world: World) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    revoked(world, CLIENTS.revoked())
    host(world, "caSecret: ca, crlSecret: crl")
    assert [status(world, pair) for pair in (ALICE, BOB)] == [200, 200]
    session = _session(world, BOB)
    revoked(world, CLIENTS.revoked(BOB))
    until(lambda: status(world, BOB) is None)
    assert status(world, ALICE) == 200
    # Nor may it resume what it had when it was still good.
    context = session.context
    with pytest.raises(OSError):  # noqa: SIM117 (either of the two may be what fails)
        with context.wrap_socket(connect(world.https), server_hostname="site.test", session=session.ticket) as one:
            Http1(one).get("site.test")


def test_a_list_of_another_authority_speaks_for_nobody(world: World) -> None:
    """With a list, Envoy wants one of each authority in the chain."""
    world.service("shop/web")
    authority(world, CLIENTS)
    revoked(world, STRANGERS.revoked(STRANGER))
    host(world, "caSecret: ca, crlSecret: crl")
    assert [status(world, pair) for pair in (ALICE, STRANGER)] == [None, None]


@pytest.mark.parametrize(("only_leaf", "wanted"), [("true", 200), ("false", None)])
def test_lists_of_the_whole_chain_or_of_the_leaf(world: World, only_leaf: str, wanted: int | None) -> None:
    """There is a list of the subordinate authority and none of its issuer."""
    staff = Authority("staff", issuer=CLIENTS)
    carol, dave = staff.sign("carol.test", client=True), staff.sign("dave.test", client=True)
    world.service("shop/web")
    authority(world, CLIENTS, staff)
    revoked(world, staff.revoked(dave))
    host(world, f"caSecret: ca, crlSecret: crl, crlOnlyVerifyLeafCert: {only_leaf}")
    assert status(world, carol) == wanted
    assert status(world, dave) is None


def test_a_new_authority_closes_no_connection(world: World) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, "caSecret: ca")
    before = world.envoys[0].stats("listener_manager.listener_modified|listener_manager.listener_in_place_updated")
    with Http1(connect(world.https, sni="site.test", context=world.authority.client_context(ALICE))) as held:
        assert held.get("site.test").status == 200
        authority(world, STRANGERS)
        until(lambda: status(world, STRANGER) == 200)
        assert status(world, ALICE) is None
        answer = held.get("site.test")
        assert (answer.status, answer.header("connection")) == (200, None)
    after = world.envoys[0].stats("listener_manager.listener_modified|listener_manager.listener_in_place_updated")
    assert after == before


def test_a_broken_authority_leaves_the_last_good_one(world: World) -> None:
    """A CA whose blocks are certificates by name alone is one that Envoy refuses."""
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, "caSecret: ca")
    assert status(world, ALICE) == 200
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    world.secret("shop/ca", "Opaque", {"ca.crt": broken})
    errors = world.errors("shop/site")
    assert [one[:2] for one in errors] == [("EnvoyError", "Rejected")]
    assert "Secret shop/ca: a CA certificate cannot be read" in errors[0][2]
    assert [status(world, pair) for pair in (None, ALICE, STRANGER)] == [None, 200, None]


def test_without_its_authority_nobody_is_let_in(world: World) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, "caSecret: ca")
    assert status(world, ALICE) == 200
    world.delete("Secret", "shop/ca")
    until(lambda: [status(world, pair) for pair in (None, ALICE, STRANGER)] == [None, None, None])


# --- what upstreams are told ----------------------------------------------------------------------------------------


def forwarded(world: World, pair: Pair | None) -> str | None:
    forged = [("x-forwarded-client-cert", "Subject=forged")]
    context = world.authority.client_context(pair)
    return clients.get_tls(world.https, "site.test", headers=forged, context=context).seen.header(
        "x-forwarded-client-cert"
    )


@pytest.mark.parametrize(
    ("details", "parts"),
    [
        ("subject: true", {"Hash", "Subject"}),
        ("cert: true", {"Hash", "Cert"}),
        ("chain: true", {"Hash", "Chain"}),
        ("dns: true", {"Hash", "DNS"}),
        ("uri: true", {"Hash", "URI"}),
        ("subject: true, cert: true, chain: true, dns: true", {"Hash", "Subject", "Cert", "Chain", "DNS"}),
        ("subject: false", {"Hash"}),
    ],
)
def test_what_upstreams_are_told(world: World, details: str, parts: set[str]) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, f"caSecret: ca, forwardClientCertificate: {{{details}}}")
    value = forwarded(world, ALICE) or ""
    told = dict(part.split("=", 1) for part in value.split(";"))
    assert set(told) == parts
    if "Subject" in told:
        assert told["Subject"] == '"CN=alice.test"'
    if "DNS" in told:
        assert told["DNS"] == "alice.test"
    for name in {"Cert", "Chain"} & set(told):
        assert unquote(told[name].strip('"')).encode() == ALICE.certificate


def test_what_a_client_says_itself_is_taken_away(world: World) -> None:
    world.service("shop/web")
    authority(world, CLIENTS)
    host(world, "caSecret: ca")
    assert forwarded(world, ALICE) is None
    host(world, "caSecret: ca, optionalClientCertificate: true, forwardClientCertificate: {subject: true}")
    assert forwarded(world, None) is None


# --- sessions -------------------------------------------------------------------------------------------------------


class _Session:
    def __init__(self, context: ssl.SSLContext, ticket: ssl.SSLSession) -> None:
        self.context = context
        self.ticket = ticket


def _session(world: World, pair: Pair) -> _Session:
    context = world.authority.client_context()
    certs.show(context, pair)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a ticket is there after the handshake
    with connect(world.https, sni="site.test", context=context) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        assert Http1(connection).get("site.test").status == 200
        assert connection.session is not None
        return _Session(context, connection.session)
