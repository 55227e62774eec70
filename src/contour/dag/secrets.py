"""Which Secrets may be used for what: serving certificates, CA bundles, lists of revoked certificates, key sets
(httpproxy.md §2.5, operations.md §5.9).

What the reference accepts is decided by `serving_secret` and `ca_bundle`; what Envoy refuses in addition, by
`envoy_accepts`, which the `classic` shape does not ask (it is compared with the reference state by state).
"""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.utils import CryptographyDeprecationWarning

from contour.api.core import Secret
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.scalars import quote
from contour.dag import pem

CERTIFICATE_KEY = "tls.crt"
PRIVATE_KEY_KEY = "tls.key"
CA_KEY = "ca.crt"
CRL_KEY = "crl.pem"

_TYPES = ("kubernetes.io/tls", "Opaque")
_CRL = "X509 CRL"  # type of its block
_CURVES = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")  # those that the reference can read
_ENVOY_CURVES = _CURVES[1:]
_MIN_RSA_BITS = 2048
_KEY_TYPES: dict[str, tuple[type, ...]] = {
    "PRIVATE KEY": (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey),
    "RSA PRIVATE KEY": (rsa.RSAPrivateKey,),
    "EC PRIVATE KEY": (ec.EllipticCurvePrivateKey,),
}
_REMEMBERED = 4096  # results, a few hundred bytes each
# The library raises many things for damaged input (KeyError and its own InternalError among them), and documents few;
# one that is missed here would let anybody who may write a Secret stop the program.
_UNREADABLE = Exception


T = TypeVar("T")


class ServingSecret(msgspec.Struct, frozen=True, gc=False):
    """A certificate chain with its key, as PEM. `dns_names`: of the first certificate, in lower case."""

    ref: Ref
    certificate: bytes
    private_key: bytes
    dns_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ServingSecret({self.ref}, dns_names={self.dns_names!r})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("ref", str(self.ref)), ("dns_names", self.dns_names)]


def serving_secret(secret: Secret | None) -> ServingSecret | Invalid:
    if secret is None:
        return Invalid("Secret not found")
    if secret.type not in _TYPES:
        return Invalid('secret type is not "kubernetes.io/tls" or "Opaque"')
    data = secret.data or {}
    certificate = data.get(CERTIFICATE_KEY)
    if certificate is None:
        return Invalid("missing TLS certificate")
    names = _names_of_first(certificate)
    if isinstance(names, Invalid):
        return Invalid(f"invalid TLS certificate: {names.text}")
    private_key = data.get(PRIVATE_KEY_KEY)
    if private_key is None:
        return Invalid("missing TLS private key")
    if error := _key_error(private_key):
        return Invalid(f"invalid TLS private key: {error}")
    return ServingSecret(secret.ref, certificate, private_key, names)


def ca_bundle(secret: Secret | None) -> bytes | Invalid:
    """The PEM text of the CA certificates; only the types of its blocks are looked at."""
    if secret is None:
        return Invalid("Secret not found")
    if secret.type not in _TYPES:
        return Invalid('secret type is not "kubernetes.io/tls" or "Opaque"')
    bundle = (secret.data or {}).get(CA_KEY)
    if not bundle:
        return Invalid('empty "ca.crt" key')
    certificates = _certificate_blocks(bundle)
    if isinstance(certificates, Invalid):
        return Invalid(f"invalid CA certificate bundle: {certificates.text}")
    return bundle


def jwks(secret: Secret | None, key: str) -> bytes | Invalid:
    """A JSON Web Key Set (RFC 7517 §5); what its keys are, Envoy decides."""
    if secret is None:
        return Invalid("Secret not found")
    if secret.type != "Opaque":
        return Invalid('secret type is not "Opaque"')
    text = (secret.data or {}).get(key)
    if not text:
        return Invalid(f"missing {quote(key)} key or empty value")
    error = _jwks_error(text)
    return Invalid(error) if error else text


def revocation_list(secret: Secret | None) -> bytes | Invalid:
    """PEM text with a list of revoked certificates somewhere in it."""
    if secret is None:
        return Invalid("Secret not found")
    if secret.type not in _TYPES:
        return Invalid('secret type is not "kubernetes.io/tls" or "Opaque"')
    text = (secret.data or {}).get(CRL_KEY)
    if not text:
        return Invalid('empty "crl.pem" key')
    for block in pem.blocks(text):
        if isinstance(block, pem.Undecodable):
            return Invalid("failed to parse PEM block")
        if block.type == _CRL:
            return text
    return Invalid("failed to locate CRL")


def envoy_accepts(secret: ServingSecret) -> Invalid | None:
    """Why Envoy would refuse a secret that the reference accepts; None if it would not."""
    error = _envoy_error(secret.certificate, secret.private_key)
    return Invalid(error) if error else None


def reads_as_authorities(bundle: bytes) -> bool:
    """Whether all certificates of what `ca_bundle` gave can be read: it looks at the types of their blocks only."""
    return _authorities_read(bundle)


def reads_as_revocation_lists(text: bytes) -> bool:
    """Whether all lists in what `revocation_list` gave can be read: it looks for one of that type only."""
    return _lists_read(text)


# --- reading -------------------------------------------------------------------------------------------------------


def _by_digest(function: Callable[..., T]) -> Callable[..., T]:
    """Remember the last results by a digest of the arguments: keys are slow to load, and none is held here."""
    remembered: OrderedDict[bytes, T] = OrderedDict()

    @wraps(function)
    def cached(*texts: bytes) -> T:
        digest = b"".join(hashlib.sha256(text).digest() for text in texts)
        if digest in remembered:
            remembered.move_to_end(digest)
            return remembered[digest]
        result = remembered[digest] = function(*texts)
        if len(remembered) > _REMEMBERED:
            remembered.popitem(last=False)
        return result

    return cached


@_by_digest
def _names_of_first(chain: bytes) -> tuple[str, ...] | Invalid:
    """DNS names of the first certificate; every one must be readable, and the first must name something."""
    certificates = _certificates(chain)
    if isinstance(certificates, Invalid):
        return certificates
    try:
        dns_names, addresses = _alternative_names(certificates[0])
        named = dns_names or addresses or _common_name(certificates[0])
    except _UNREADABLE as error:
        return _unreadable(error)
    return dns_names if named else Invalid("certificate has no common name or subject alt name")


@_by_digest
def _key_error(text: bytes) -> str:
    """What is wrong with a private key; "" if nothing is."""
    key = _private_key(text)
    return key.text if isinstance(key, Invalid) else ""


@_by_digest
def _jwks_error(text: bytes) -> str:
    if not text.strip():
        return "empty JWKS"
    try:
        key_set = msgspec.json.decode(text.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        return f"not valid JSON: {error}"
    if not isinstance(key_set, dict):
        return "JWKS must be a JSON object"
    if "keys" not in key_set:
        return 'JWKS must contain a "keys" array'
    return "" if isinstance(key_set["keys"], list) else 'JWKS "keys" must be an array'


@_by_digest
def _authorities_read(bundle: bytes) -> bool:
    return not isinstance(_certificates(bundle), Invalid)


@_by_digest
def _lists_read(text: bytes) -> bool:
    found = [block for block in pem.blocks(text) if isinstance(block, pem.Block) and block.type == _CRL]
    try:
        for block in found:
            x509.load_der_x509_crl(block.der)
    except _UNREADABLE:
        return False
    return True


@_by_digest
def _envoy_error(chain: bytes, key_text: bytes) -> str:
    """What Envoy 1.40 says to `--mode validate`. It does not look at dates nor at the further certificates."""
    certificates, key = _certificates(chain), _private_key(key_text)
    if isinstance(certificates, Invalid) or isinstance(key, Invalid):
        raise TypeError("only a secret that was found valid can be asked about")
    leaf = certificates[0]
    try:
        public_key = leaf.public_key()
    except _UNREADABLE as error:
        return f"invalid TLS certificate: {_unreadable(error).text}"
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < _MIN_RSA_BITS:
        return (
            f"invalid TLS certificate: RSA key has {public_key.key_size} bits, Envoy requires at least {_MIN_RSA_BITS}"
        )
    if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name not in _ENVOY_CURVES:
        return f"invalid TLS certificate: Envoy does not support the elliptic curve {public_key.curve.name}"
    if public_key != key.public_key():
        return "invalid TLS private key: key does not match the certificate"
    return _extension_error(leaf)


def _extension_error(leaf: x509.Certificate) -> str:
    # BoringSSL holds only ECDSA certificates to their key usage: TLS 1.2 has a use for RSA keys that do not sign.
    ecdsa = isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    for value in (extension.value for extension in leaf.extensions):
        if isinstance(value, x509.TLSFeature) and x509.TLSFeatureType.status_request in value:
            return "invalid TLS certificate: it requires OCSP stapling, which is not configured"
        if isinstance(value, x509.KeyUsage) and ecdsa and not value.digital_signature:
            return "invalid TLS certificate: its key usage does not allow digital signatures"
    return ""


def _certificates(bundle: bytes) -> list[x509.Certificate] | Invalid:
    """At least one."""
    found = _certificate_blocks(bundle)
    if isinstance(found, Invalid):
        return found
    try:
        with warnings.catch_warnings():
            # Of serial numbers that are not positive: nothing that this program could do about it.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return [x509.load_der_x509_certificate(block.der) for block in found]
    except _UNREADABLE as error:
        return _unreadable(error)


def _certificate_blocks(bundle: bytes) -> list[pem.Block] | Invalid:
    found = []
    for block in pem.blocks(bundle):
        if isinstance(block, pem.Undecodable):
            return Invalid("failed to parse PEM block")
        if block.type != "CERTIFICATE":
            return Invalid(f"unexpected block type '{block.type}'")
        found.append(block)
    return found or Invalid("failed to locate certificate")


def _private_key(text: bytes) -> PrivateKeyTypes | Invalid:
    keys: list[PrivateKeyTypes] = []
    for block in pem.blocks(text):
        if isinstance(block, pem.Undecodable):
            return Invalid("failed to parse PEM block")
        if block.type == "EC PARAMETERS":
            continue
        if block.type not in _KEY_TYPES:
            return Invalid(f"unexpected block type '{block.type}'")
        key = _load_key(block)
        if isinstance(key, Invalid):
            return key
        keys.append(key)
    if not keys:
        return Invalid("failed to locate private key")
    return keys[0] if len(keys) == 1 else Invalid("multiple private keys")


def _load_key(block: pem.Block) -> PrivateKeyTypes | Invalid:
    try:
        # The full check of an RSA key takes up to 0.2 s; `_consistent` is what of it protects from a damaged key.
        key = load_der_private_key(block.der, None, unsafe_skip_rsa_key_validation=True)
    except _UNREADABLE as error:
        return _unreadable(error)
    if not isinstance(key, _KEY_TYPES[block.type]):
        return Invalid(f"x509: not a key of type '{block.type}'")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES:
        return Invalid("x509: unknown elliptic curve")
    if isinstance(key, rsa.RSAPrivateKey) and not _consistent(key.private_numbers()):
        return Invalid("crypto/rsa: invalid private key")
    return key


def _consistent(key: rsa.RSAPrivateNumbers) -> bool:
    """All the values of a key follow from three of them; one damaged byte and they do not."""
    p, q, e = key.p, key.q, key.public_numbers.e
    return (
        min(p, q) > 2
        and p * q == key.public_numbers.n
        and key.d % (p - 1) == key.dmp1
        and key.d % (q - 1) == key.dmq1
        and key.dmp1 * e % (p - 1) == 1
        and key.dmq1 * e % (q - 1) == 1
        and key.iqmp * q % p == 1
    )


def _alternative_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], bool]:
    """DNS names in lower case, and whether there are addresses besides."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), False
    dns_names = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
    return dns_names, bool(names.get_values_for_type(x509.IPAddress))


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[-1].value).strip() if names else ""


def _unreadable(error: Exception) -> Invalid:
    if isinstance(error, ValueError) and str(error):
        return Invalid(f"x509: {str(error).splitlines()[0]}")
    return Invalid(f"x509: cannot be read ({type(error).__name__})")
