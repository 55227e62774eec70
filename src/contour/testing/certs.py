"""Certificates for tests and the demo: an authority and what it signs, as PEM bytes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import tempfile
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = Literal["ec", "rsa", "rsa-1024"]

_COMMON_NAME_LIMIT = 64  # RFC 5280, appendix A.1
_YEAR = dt.timedelta(days=365)


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A certificate (chain) and its private key, both PEM."""

    certificate: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "Pair(...)"


class Authority:
    """A certificate authority that lives as long as the object; elliptic curve keys, so that making one is quick.

    One with an `issuer` is subordinate to it.
    """

    def __init__(self, name: str = "test authority", *, issuer: Authority | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._serial = 0
        self.certificate = (issuer or self).endorse(self._name, self._key.public_key())

    def endorse(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> bytes:
        """The certificate of an authority."""
        builder = self._builder(name, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return _pem(builder.sign(self._key, hashes.SHA256()))

    def sign(self, *names: str, key: Key = "ec", client: bool = False) -> Pair:
        """A leaf certificate for DNS names, IP addresses or URIs; the first is its common name, if it fits."""
        private = _private_key(key)
        common = [name for name in names[:1] if len(name) <= _COMMON_NAME_LIMIT]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common])
        builder = self._builder(subject, private.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(_pem(builder.sign(self._key, hashes.SHA256())), pem)

    def revoked(self, *pairs: Pair) -> bytes:
        """A list (PEM) of the certificates of its own that are revoked."""
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - dt.timedelta(days=1))
            .next_update(now + _YEAR)
        )
        for pair in pairs:
            serial = x509.load_pem_x509_certificate(pair.certificate).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - dt.timedelta(days=1))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def client_context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """A client's TLS settings that trust this authority alone, and the certificate that it shows."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        if pair is not None:
            show(context, pair)
        return context

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    ) -> x509.CertificateBuilder:
        self._serial += 1
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(self._serial)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + _YEAR)
        )


def show(context: ssl.SSLContext, pair: Pair) -> None:
    """Make a context show a certificate; `ssl` reads one from a file only."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pair.certificate + pair.private_key)
        file.flush()
        context.load_cert_chain(file.name)


def _private_key(kind: Key) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kind == "rsa-1024" else 2048)


def _general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
