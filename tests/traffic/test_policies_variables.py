"""What variables in header values become, each of them, for a client with a certificate (httpproxy.md §2.12)."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.traffic.world import World

from contour.dag.policy.headers import _ENVOY_VARIABLES
from contour.testing import clients
from contour.testing.certs import Authority, Pair
from contour.testing.clients import Http1, Response
from contour.testing.envoy import Envoy

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-variables")]

CLIENTS = Authority("clients")
URI = "spiffe://shop.test/alice"
ADDRESS = r"127\.0\.0\.1"
TIME = "%Y-%m-%dT%H:%M:%S.000Z"
NAMES = (*_ENVOY_VARIABLES, "CONTOUR_NAMESPACE", "CONTOUR_SERVICE_NAME", "CONTOUR_SERVICE_PORT")


@pytest.fixture
def site(world: World) -> World:
    """A host of which every variable is said to the upstream (`x-`) and to the client (`y-`)."""
    world.service("shop/web")
    world.certificate("shop/tls", "site.test")
    world.secret("shop/ca", "Opaque", {"ca.crt": CLIENTS.certificate})

    def policy(prefix: str) -> str:
        return ", ".join(f"{{name: {prefix}-{name.replace('_', '-')}, value: '<%{name}%>'}}" for name in NAMES)

    world.proxy(
        "shop/site",
        f"""
        virtualhost:
          fqdn: site.test
          tls: {{secretName: tls, clientValidation: {{caSecret: ca, optionalClientCertificate: true}}}}
        routes:
        - permitInsecure: true
          services:
          - name: web
            port: 80
            requestHeadersPolicy: {{set: [{policy("x")}]}}
            responseHeadersPolicy: {{set: [{policy("y")}]}}
        """,
    )
    return world


def values(answer: Response, prefix: str) -> dict[str, str]:
    """Variable -> what came of it."""
    headers = dict(answer.seen.headers if prefix == "x" else answer.headers)
    found = {name: headers[f"{prefix}-{name.replace('_', '-')}".lower()] for name in NAMES}
    assert all(value[0] + value[-1] == "<>" for value in found.values())
    return {name: value[1:-1] for name, value in found.items()}


def check(found: dict[str, str], **wanted: str) -> None:
    """Regular expressions for those that are not empty."""
    assert {name for name, value in found.items() if value} == set(wanted)
    for name, pattern in wanted.items():
        assert re.fullmatch(pattern, found[name]), (name, found[name])


def ask(
    site: World, envoy: Envoy, *, pair: Pair | None = None, directory: Path | None = None, tls: str = ""
) -> Response:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair is not None and directory is not None:
        file = directory / "client.pem"
        file.write_bytes(pair.certificate + pair.private_key)
        context.load_cert_chain(file)
    limit = ssl.TLSVersion.TLSv1_2 if tls == "1.2" else None
    address = site.opened(envoy, "site.test")
    with Http1(clients.connect(address, sni="site.test", context=context, max_version=limit)) as client:
        return client.get("site.test")


ALWAYS = {
    "DOWNSTREAM_REMOTE_ADDRESS": rf"{ADDRESS}:\d+",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": ADDRESS,
    "DOWNSTREAM_LOCAL_ADDRESS": rf"{ADDRESS}:\d+",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": ADDRESS,
    "DOWNSTREAM_LOCAL_PORT": r"\d+",
    "HOSTNAME": re.escape(socket.gethostname()),
    "PROTOCOL": r"HTTP/1\.1",
    "RESPONSE_FLAGS": "-",
    "CONTOUR_NAMESPACE": "shop",
    "CONTOUR_SERVICE_NAME": "web",
    "CONTOUR_SERVICE_PORT": "80",
}
# What is known when a response passes only.
OF_RESPONSES = {"UPSTREAM_REMOTE_ADDRESS": rf"{ADDRESS}:\d+", "RESPONSE_CODE_DETAILS": "via_upstream"}
OF_TLS = {
    "DOWNSTREAM_LOCAL_SUBJECT": "CN=site.test",
    "DOWNSTREAM_TLS_CIPHER": "TLS_[A-Z0-9_]+",
    "DOWNSTREAM_TLS_VERSION": r"TLSv1\.3",
}


def test_with_a_client_s_certificate(site: World, envoy: Envoy, tmp_path: Path) -> None:
    pair = CLIENTS.sign("alice.test", URI, client=True)
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    answer = ask(site, envoy, pair=pair, directory=tmp_path)
    of_peer = {
        "DOWNSTREAM_PEER_SUBJECT": "CN=alice.test",
        "DOWNSTREAM_PEER_ISSUER": "CN=clients",
        "DOWNSTREAM_PEER_URI_SAN": re.escape(URI),
        "DOWNSTREAM_PEER_SERIAL": f"{certificate.serial_number:02x}",
        "DOWNSTREAM_PEER_FINGERPRINT_256": certificate.fingerprint(hashes.SHA256()).hex(),
        "DOWNSTREAM_PEER_FINGERPRINT_1": certificate.fingerprint(hashes.SHA1()).hex(),
        "DOWNSTREAM_PEER_CERT": "-+BEGIN%20CERTIFICATE-+%0A.*",
        "DOWNSTREAM_PEER_CERT_V_START": certificate.not_valid_before_utc.strftime(TIME),
        "DOWNSTREAM_PEER_CERT_V_END": certificate.not_valid_after_utc.strftime(TIME),
    }
    upstream, downstream = values(answer, "x"), values(answer, "y")
    check(upstream, **ALWAYS, **OF_TLS, **of_peer)
    check(downstream, **ALWAYS, **OF_TLS, **of_peer, **OF_RESPONSES)
    assert unquote(upstream["DOWNSTREAM_PEER_CERT"]).encode() == pair.certificate


def test_without_a_certificate(site: World, envoy: Envoy) -> None:
    answer = ask(site, envoy)
    check(values(answer, "x"), **ALWAYS, **OF_TLS)
    check(values(answer, "y"), **ALWAYS, **OF_TLS, **OF_RESPONSES)


def test_of_an_older_tls(site: World, envoy: Envoy) -> None:
    found = values(ask(site, envoy, tls="1.2"), "x")
    assert found["DOWNSTREAM_TLS_VERSION"] == "TLSv1.2"
    assert found["DOWNSTREAM_TLS_CIPHER"].startswith("ECDHE-ECDSA-")


def test_over_plain_http(site: World, envoy: Envoy) -> None:
    """Nothing about certificates, and nothing that a client sends stands in for it."""
    forged = [(f"x-{name.replace('_', '-')}", "<forged>") for name in NAMES]
    answer = clients.get(site.address("ingress_http", envoy), "site.test", "/", forged)
    check(values(answer, "x"), **ALWAYS)
    check(values(answer, "y"), **ALWAYS, **OF_RESPONSES)
