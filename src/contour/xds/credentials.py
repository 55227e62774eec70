"""Mutual TLS whose files may change: each handshake sees what is on disk (operations.md §4.2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


class CredentialsError(Exception):
    """A file is missing or does not hold what it should; the text begins with its path."""


class Files(msgspec.Struct, frozen=True, gc=False):
    """Paths of a certificate chain and its key, and of the authorities that sign the other side, all PEM."""

    certificate: Path
    private_key: Path
    authority: Path | None


def mutual_tls(files: Files, on_error: Callable[[CredentialsError], None]) -> grpc.ServerCredentials:
    """Server credentials that require a client certificate. Raises CredentialsError if the files are bad now.

    Files that turn bad later are reported (from gRPC's thread), and the last good ones stay in use: a rotation is seen
    half done when a handshake falls between the writing of two files.
    """
    current = read(files)
    configuration = _configuration(current)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal current
        try:
            now = read(files, current)
            if now == current:
                return None
            changed = _configuration(now)
        except CredentialsError as error:
            on_error(error)
            return None
        current = now
        return changed

    return grpc.dynamic_ssl_server_credentials(configuration, fetch, require_client_authentication=True)


class Contents(msgspec.Struct, frozen=True, gc=False):
    """What the files hold; `authority` is empty without one."""

    certificate: bytes
    private_key: bytes
    authority: bytes

    def __repr__(self) -> str:  # a private key never reaches a log
        return "Contents(...)"


def read(files: Files, known: Contents | None = None) -> Contents:
    """What the files hold, which fits together; `known` needs no check. Raises CredentialsError."""
    contents = Contents(*(_bytes(path) for path in (files.certificate, files.private_key, files.authority)))
    if contents != known:
        _check(files, contents)
    return contents


def _bytes(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path is not None else b""
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror}") from error


def _check(files: Files, contents: Contents) -> None:
    try:
        chain = x509.load_pem_x509_certificates(contents.certificate)
    except ValueError as error:
        raise CredentialsError(f"{files.certificate}: not a PEM certificate") from error
    try:
        # Whether the key is a sound RSA key takes long and is not the question here.
        key = load_pem_private_key(contents.private_key, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise CredentialsError(f"{files.private_key}: not an unencrypted PEM private key") from error
    try:
        if files.authority is not None:
            x509.load_pem_x509_certificates(contents.authority)
    except ValueError as error:
        raise CredentialsError(f"{files.authority}: not a PEM certificate") from error
    public = [
        k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for k in (chain[0].public_key(), key.public_key())
    ]
    if public[0] != public[1]:
        raise CredentialsError(f"{files.private_key}: does not belong to the certificate in {files.certificate}")


def _configuration(contents: Contents) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(contents.private_key, contents.certificate)], contents.authority)
