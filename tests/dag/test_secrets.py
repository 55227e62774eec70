import base64
import datetime as dt
import ipaddress
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from contour.api.core import Secret
from contour.api.invalid import Invalid
from contour.api.meta import ObjectMeta, Ref
from contour.dag import pem, secrets
from contour.dag.secrets import ServingSecret, ca_bundle, envoy_accepts, serving_secret
from contour.testing.envoy import validate

RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)
EC = ec.generate_private_key(ec.SECP256R1())
EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
BROKEN = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"
GARBAGE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def certificate(
    key: PrivateKeyTypes = EC,
    names: tuple[x509.GeneralName, ...] = (x509.DNSName("A.test"), x509.DNSName("*.b.test")),
    *extensions: x509.ExtensionType,
    common_name: str = "a.test",
    days: int = 1,
) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else [])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, start, start + dt.timedelta(days))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def private_key(
    key: PrivateKeyTypes = EC,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption = NoEncryption(),  # noqa: B008
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption)


TRADITIONAL = PrivateFormat.TraditionalOpenSSL
CERTIFICATE, KEY = certificate(), private_key()


def secret(data: dict[str, bytes] | None, kind: str = "kubernetes.io/tls") -> Secret:
    return Secret(metadata=ObjectMeta(name="tls", namespace="shop"), type=kind, data=data)


def serving(crt: bytes | None = CERTIFICATE, key: bytes | None = KEY) -> ServingSecret | Invalid:
    pairs = (("tls.crt", crt), ("tls.key", key))
    return serving_secret(secret({name: text for name, text in pairs if text is not None}))


# --- what the reference accepts ------------------------------------------------------------------------------------


def test_a_serving_secret():
    assert serving() == ServingSecret(Ref("shop", "tls"), CERTIFICATE, KEY, ("a.test", "*.b.test"))


@pytest.mark.parametrize("read", [serving_secret, ca_bundle])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "Secret not found"),
        (secret({}, "kubernetes.io/dockercfg"), 'secret type is not "kubernetes.io/tls" or "Opaque"'),
        (secret({}, ""), 'secret type is not "kubernetes.io/tls" or "Opaque"'),
    ],
)
def test_no_use_at_all(read: Callable[[Secret | None], object], given: Secret | None, message: str):
    assert read(given) == Invalid(message)


def test_opaque_will_do():
    assert isinstance(serving_secret(secret({"tls.crt": CERTIFICATE, "tls.key": KEY}, "Opaque")), ServingSecret)


@pytest.mark.parametrize(
    ("crt", "message"),
    [
        (None, "missing TLS certificate"),
        (b"", "invalid TLS certificate: failed to locate certificate"),
        (b"just text\n", "invalid TLS certificate: failed to locate certificate"),
        (BROKEN, "invalid TLS certificate: failed to parse PEM block"),
        (CERTIFICATE + b"-----BEGIN CERTIFICATE-----\n", "invalid TLS certificate: failed to parse PEM block"),
        (KEY, "invalid TLS certificate: unexpected block type 'PRIVATE KEY'"),
        (CERTIFICATE + EC_PARAMETERS, "invalid TLS certificate: unexpected block type 'EC PARAMETERS'"),
        (
            certificate(names=(), common_name=""),
            "invalid TLS certificate: certificate has no common name or subject alt name",
        ),
        (
            certificate(names=(), common_name="  "),
            "invalid TLS certificate: certificate has no common name or subject alt name",
        ),
        (
            certificate(names=(x509.UniformResourceIdentifier("spiffe://a"),), common_name=""),
            "invalid TLS certificate: certificate has no common name or subject alt name",
        ),
    ],
)
def test_bad_certificates(crt: bytes | None, message: str):
    assert serving(crt) == Invalid(message)


@pytest.mark.parametrize("crt", [GARBAGE, CERTIFICATE + GARBAGE])
def test_every_certificate_of_the_chain_must_be_readable(crt: bytes):
    answer = serving(crt)
    assert isinstance(answer, Invalid)
    assert answer.text.startswith("invalid TLS certificate: x509: ")


@pytest.mark.parametrize(
    ("crt", "names"),
    [
        (certificate(names=()), ()),
        (certificate(names=(x509.DNSName("c.test"),), common_name=""), ("c.test",)),
        (certificate(names=(x509.IPAddress(ipaddress.ip_address("::1")),)), ()),
        (CERTIFICATE + certificate(names=(), common_name=""), ("a.test", "*.b.test")),  # only the first must be named
        (b"bag attributes\n" + CERTIFICATE + b"trailing\n", ("a.test", "*.b.test")),
        (CERTIFICATE.replace(b"\n", b"\r\n"), ("a.test", "*.b.test")),
        (CERTIFICATE.rstrip(), ("a.test", "*.b.test")),
        (BROKEN + CERTIFICATE, ("a.test", "*.b.test")),  # passed over, as a decoder does that finds a good one later
        (CERTIFICATE + b"-----BEGIN\n", ("a.test", "*.b.test")),
    ],
)
def test_good_certificates(crt: bytes, names: tuple[str, ...]):
    answer = serving(crt)
    assert isinstance(answer, ServingSecret), answer
    assert answer.dns_names == names


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "missing TLS private key"),
        (b"", "invalid TLS private key: failed to locate private key"),
        (EC_PARAMETERS, "invalid TLS private key: failed to locate private key"),
        (KEY + KEY, "invalid TLS private key: multiple private keys"),
        (CERTIFICATE, "invalid TLS private key: unexpected block type 'CERTIFICATE'"),
        (
            private_key(RSA, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "invalid TLS private key: unexpected block type 'ENCRYPTED PRIVATE KEY'",
        ),
        (BROKEN, "invalid TLS private key: failed to parse PEM block"),
        (private_key(ec.generate_private_key(ec.SECP256K1())), "invalid TLS private key: x509: unknown elliptic curve"),
        (
            KEY.replace(b"PRIVATE", b"RSA PRIVATE"),
            "invalid TLS private key: x509: not a key of type 'RSA PRIVATE KEY'",
        ),
    ],
)
def test_bad_keys(key: bytes | None, message: str):
    assert serving(key=key) == Invalid(message)


@pytest.mark.parametrize(
    "key",
    [
        private_key(RSA, TRADITIONAL, BestAvailableEncryption(b"x")),
        GARBAGE.replace(b"CERTIFICATE", b"PRIVATE KEY"),
    ],
)
def test_unreadable_keys(key: bytes):
    answer = serving(key=key)
    assert isinstance(answer, Invalid)
    assert answer.text.startswith("invalid TLS private key: x509: ")


@pytest.mark.parametrize("value", ["d", "dmp1", "dmq1", "iqmp"])
def test_a_damaged_rsa_key_is_noticed(value: str):
    numbers = RSA.private_numbers()
    values = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    values[value] ^= 2
    damaged = rsa.RSAPrivateNumbers(public_numbers=numbers.public_numbers, **values)
    answer = serving(key=private_key(damaged.private_key(unsafe_skip_rsa_key_validation=True)))
    assert answer == Invalid("invalid TLS private key: crypto/rsa: invalid private key")


def der(text: bytes) -> bytes:
    (block,) = pem.blocks(text)
    assert isinstance(block, pem.Block)
    return block.der


def armoured(label: str, content: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(content), label.encode())


WHOLE = [(der(certificate(key)), der(private_key(key))) for key in (RSA, EC, ed25519.Ed25519PrivateKey.generate())]
DAMAGE = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.sampled_from(range(len(WHOLE))), st.booleans(), DAMAGE)
def test_damage_is_an_answer_and_never_an_exception(pair: int, of_key: bool, damage: list[tuple[int, int]]):
    """Anybody who may write a Secret chooses these bytes."""
    content = [bytearray(part) for part in WHOLE[pair]]
    damaged = content[of_key]
    for position, value in damage:
        damaged[position % len(damaged)] = value
    answer = serving(armoured("CERTIFICATE", bytes(content[0])), armoured("PRIVATE KEY", bytes(content[1])))
    if isinstance(answer, ServingSecret):
        envoy_accepts(answer)


@pytest.mark.parametrize(
    "key",
    [
        private_key(RSA),
        private_key(RSA, TRADITIONAL),
        private_key(EC, TRADITIONAL),
        EC_PARAMETERS + private_key(EC, TRADITIONAL),
        private_key(ed25519.Ed25519PrivateKey.generate()),
        b"note\n" + KEY + b"note\n",
    ],
)
def test_good_keys(key: bytes):
    """Whether the key belongs to the certificate is not asked here."""
    assert isinstance(serving(key=key), ServingSecret)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, 'empty "ca.crt" key'),
        ({"tls.crt": CERTIFICATE}, 'empty "ca.crt" key'),
        ({"ca.crt": b""}, 'empty "ca.crt" key'),
        ({"ca.crt": b"text"}, "invalid CA certificate bundle: failed to locate certificate"),
        ({"ca.crt": KEY}, "invalid CA certificate bundle: unexpected block type 'PRIVATE KEY'"),
        ({"ca.crt": BROKEN}, "invalid CA certificate bundle: failed to parse PEM block"),
    ],
)
def test_bad_ca_bundles(data: dict[str, bytes] | None, message: str):
    assert ca_bundle(secret(data)) == Invalid(message)


def test_of_ca_bundles_only_the_block_types_are_looked_at():
    assert ca_bundle(secret({"ca.crt": CERTIFICATE + GARBAGE}, "Opaque")) == CERTIFICATE + GARBAGE


def test_nothing_prints_a_key():
    answer = serving()
    block = next(pem.blocks(KEY))
    line = KEY.splitlines()[1].decode()
    for shown in (repr(answer), str(answer), f"{answer}", repr(block), repr([answer])):
        assert line not in shown
        assert "PRIVATE KEY-----" not in shown


def test_results_are_remembered_by_content(monkeypatch: pytest.MonkeyPatch):
    fresh = private_key(ec.generate_private_key(ec.SECP256R1()))
    assert isinstance(serving(key=fresh), ServingSecret)
    monkeypatch.setattr(secrets, "load_der_private_key", None)  # calling it again would raise
    assert isinstance(serving(key=bytes(bytearray(fresh))), ServingSecret)


def test_a_megabyte_of_tiny_blocks_is_read_in_no_time():
    bundle = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 17_000
    assert ca_bundle(secret({"ca.crt": bundle})) == bundle  # quadratic reading runs into the time limit of tests


# --- what Envoy accepts --------------------------------------------------------------------------------------------

STAPLED = x509.TLSFeature([x509.TLSFeatureType.status_request])
NO_SIGNATURES = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
P224, P384, P521 = (ec.generate_private_key(curve) for curve in (ec.SECP224R1(), ec.SECP384R1(), ec.SECP521R1()))
ED25519 = ed25519.Ed25519PrivateKey.generate()
OTHER_RSA = rsa.generate_private_key(65537, 2048)

ENVOY_CASES = [
    pytest.param(certificate(RSA), private_key(RSA), None, id="rsa"),
    pytest.param(certificate(EC), private_key(EC, TRADITIONAL), None, id="p256"),
    pytest.param(certificate(P384), private_key(P384), None, id="p384"),
    pytest.param(certificate(P521), private_key(P521), None, id="p521"),
    pytest.param(certificate(ED25519), private_key(ED25519), None, id="ed25519"),
    pytest.param(certificate(RSA, days=0), private_key(RSA), None, id="never valid"),
    pytest.param(
        certificate(RSA, (x509.DNSName("a"),), NO_SIGNATURES), private_key(RSA), None, id="rsa without signatures"
    ),
    pytest.param(certificate(EC) + certificate(SMALL_RSA), private_key(EC), None, id="only the leaf counts"),
    pytest.param(
        certificate(SMALL_RSA),
        private_key(SMALL_RSA),
        "invalid TLS certificate: RSA key has 1024 bits, Envoy requires at least 2048",
        id="rsa 1024",
    ),
    pytest.param(
        certificate(P224),
        private_key(P224),
        "invalid TLS certificate: Envoy does not support the elliptic curve secp224r1",
        id="p224",
    ),
    pytest.param(
        certificate(RSA),
        private_key(OTHER_RSA),
        "invalid TLS private key: key does not match the certificate",
        id="other key",
    ),
    pytest.param(
        certificate(RSA),
        private_key(EC),
        "invalid TLS private key: key does not match the certificate",
        id="other type",
    ),
    pytest.param(
        certificate(EC) + certificate(RSA),
        private_key(RSA),
        "invalid TLS private key: key does not match the certificate",
        id="chain in the wrong order",
    ),
    pytest.param(
        certificate(EC, (x509.DNSName("a"),), STAPLED),
        private_key(EC),
        "invalid TLS certificate: it requires OCSP stapling, which is not configured",
        id="must staple",
    ),
    pytest.param(
        certificate(EC, (x509.DNSName("a"),), NO_SIGNATURES),
        private_key(EC),
        "invalid TLS certificate: its key usage does not allow digital signatures",
        id="ecdsa without signatures",
    ),
]


@pytest.mark.parametrize(("crt", "key", "message"), ENVOY_CASES)
def test_what_envoy_accepts(crt: bytes, key: bytes, message: str | None):
    answer = serving(crt, key)
    assert isinstance(answer, ServingSecret)
    assert envoy_accepts(answer) == (None if message is None else Invalid(message))


@pytest.mark.parametrize(("crt", "key", "message"), ENVOY_CASES)
def test_envoy_agrees(crt: bytes, key: bytes, message: str | None):
    refusal = validate(bootstrap(crt, key))
    assert (refusal is None) == (message is None), refusal


def bootstrap(crt: bytes, key: bytes) -> dict[str, object]:
    pair = {
        "certificate_chain": {"inline_bytes": base64.b64encode(crt).decode()},
        "private_key": {"inline_bytes": base64.b64encode(key).decode()},
    }
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [pair]},
    }
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp",
        "cluster": "none",
    }
    chain = {
        "transport_socket": {"name": "tls", "typed_config": tls},
        "filters": [{"name": "tcp", "typed_config": proxy}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    return {
        "static_resources": {
            "listeners": [{"name": "tls", "address": address, "filter_chains": [chain]}],
            "clusters": [{"name": "none", "connect_timeout": "1s"}],
        }
    }
