"""Who we are, as it is now: tokens and certificates are read anew, programs are asked again.

What a request was refused with (401) is replaced once, by whichever request notices first; the others take the new one.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
import tempfile
import time
from datetime import datetime
from pathlib import Path

import msgspec

from contour.kube.kubeconfig import Configuration, Exec, Material

# The kubelet replaces a token long before it ends; so often a token's file is read, as client-go does.
_FILE_AGE = 60.0
_PLUGIN_TIMEOUT = 60.0
# A token that ends within this is replaced before it is used.
_MARGIN = 10.0
# What HTTP allows in no header (RFC 9110 §5.5).
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class CredentialsError(Exception):
    """No credentials can be had now; the text names the file or the program."""


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What a request shows. `tls` is None for plain HTTP; `ends` is in seconds of the monotonic clock."""

    headers: tuple[tuple[str, str], ...]
    tls: ssl.SSLContext | None
    ends: float | None = None

    def __repr__(self) -> str:
        return "Identity(...)"


class Credentials:
    """The identity of a configuration's user, kept up to date."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._identity: Identity | None = None
        self._tls: tuple[tuple[bytes | None, ...], ssl.SSLContext] | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> Identity:
        """Raises CredentialsError."""
        identity = self._identity
        if identity is None or (identity.ends is not None and identity.ends <= time.monotonic()):
            return await self.renew(identity)
        return identity

    async def renew(self, used: Identity | None) -> Identity:
        """Another identity than `used`, if there is one. Raises CredentialsError."""
        async with self._lock:
            if self._identity is None or self._identity is used:
                self._identity = await self._read()
            return self._identity

    async def _read(self) -> Identity:
        user = self._configuration.user
        headers = list(user.impersonate)
        certificate, private_key = _contents(user.certificate), _contents(user.private_key)
        ends: float | None = None
        # The order is client-go's: a token goes before a password, both before a program.
        if user.token_file is not None:
            token = (_contents(user.token_file) or b"").decode(errors="replace").strip()
            if not token:  # somebody is writing it: without a token we would be anonymous, who may do nothing
                raise CredentialsError(f"{user.token_file}: no token in it")
            headers.append(("Authorization", f"Bearer {token}"))
            ends = time.monotonic() + _FILE_AGE
        elif user.token:
            headers.append(("Authorization", f"Bearer {user.token}"))
        elif user.username:
            pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
            headers.append(("Authorization", f"Basic {pair}"))
        elif user.plugin is not None:
            granted = await _ask(user.plugin, self._configuration)
            if granted.token:
                headers.append(("Authorization", f"Bearer {granted.token}"))
            if granted.client_certificate_data and granted.client_key_data:
                certificate, private_key = granted.client_certificate_data.encode(), granted.client_key_data.encode()
            ends = _end_of(granted)
        if any(_CONTROL.search(value) for _, value in headers):
            raise CredentialsError(
                f"{self._configuration.origin}: a token or name of the user has a control character in it"
            )
        return Identity(tuple(headers), self._context(certificate, private_key), ends)

    def _context(self, certificate: bytes | None, private_key: bytes | None) -> ssl.SSLContext | None:
        """The same one as long as nothing has changed, so that connections are used again."""
        if not self._configuration.server.startswith("https://"):
            return None
        parts = (_contents(self._configuration.authority), certificate, private_key)
        if self._tls is None or self._tls[0] != parts:
            self._tls = parts, _make_context(self._configuration, *parts)
        return self._tls[1]


def _contents(material: Material | None) -> bytes | None:
    if not isinstance(material, Path):
        return material
    try:
        return material.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{material}: {error.strerror}") from None


def _make_context(
    configuration: Configuration, authority: bytes | None, certificate: bytes | None, private_key: bytes | None
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except (ssl.SSLError, ValueError) as error:
        where = configuration.authority if isinstance(configuration.authority, Path) else configuration.origin
        raise CredentialsError(f"{where}: certificate authority: no PEM certificates: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if configuration.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate and private_key:
        # ssl takes files only: for an instant, in a directory that is ours alone.
        with tempfile.TemporaryDirectory(prefix="contour-") as directory:
            files = Path(directory, "crt"), Path(directory, "key")
            for file, data in zip(files, (certificate, private_key), strict=True):
                file.write_bytes(data)
            try:
                context.load_cert_chain(*files)
            except (ssl.SSLError, ValueError) as error:
                raise CredentialsError(f"{configuration.origin}: client certificate and key: {error}") from None
    return context


# --- programs -----------------------------------------------------------------------------------------------------


class _Granted(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: str = ""


class _ExecCredential(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Granted | None = None


async def _ask(plugin: Exec, configuration: Configuration) -> _Granted:
    """Run the program (client.authentication.k8s.io: ExecCredential in the environment, another one printed)."""
    where = f"{configuration.origin}: exec {plugin.command}"
    environment = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": _exec_info(plugin, configuration)}
    # A command with a slash starts at the kubeconfig's folder, any other is looked up in $PATH.
    command = str(plugin.directory / plugin.command) if "/" in plugin.command else plugin.command
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *plugin.args,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise CredentialsError(_with_hint(f"{where}: {error.strerror}", plugin)) from None
    try:
        async with asyncio.timeout(_PLUGIN_TIMEOUT):
            printed, complaints = await process.communicate()
    except TimeoutError:
        raise CredentialsError(f"{where}: no answer within {_PLUGIN_TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = " ".join(complaints.decode(errors="replace").split())[:300]
        text = f"{where}: exit status {process.returncode}"
        raise CredentialsError(_with_hint(f"{text}: {said}" if said else text, plugin))
    return _granted(where, plugin, printed)


def _granted(where: str, plugin: Exec, printed: bytes) -> _Granted:
    try:
        credential = msgspec.json.decode(printed, type=_ExecCredential)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Without the decoder's words: what was printed may hold a token.
        raise CredentialsError(f"{where}: what it prints is not an ExecCredential") from None
    if credential.api_version != plugin.api_version:
        raise CredentialsError(
            f"{where}: it prints apiVersion {credential.api_version!r}, the kubeconfig says {plugin.api_version!r}"
        )
    granted = credential.status or _Granted()
    if not granted.token and not (granted.client_certificate_data and granted.client_key_data):
        raise CredentialsError(f"{where}: it prints neither status.token nor a client certificate with its key")
    return granted


def _exec_info(plugin: Exec, configuration: Configuration) -> str:
    spec: dict[str, object] = {"interactive": False}
    if plugin.provide_cluster_info:
        cluster: dict[str, object] = {"server": configuration.server}
        if configuration.server_name:
            cluster["tls-server-name"] = configuration.server_name
        if configuration.insecure:
            cluster["insecure-skip-tls-verify"] = True
        authority = _contents(configuration.authority)
        if authority:
            cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
        if configuration.proxy:
            cluster["proxy-url"] = configuration.proxy
        spec["cluster"] = cluster
    return msgspec.json.encode({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}).decode()


def _end_of(granted: _Granted) -> float | None:
    if not granted.expiration_timestamp:
        return None
    try:
        end = datetime.fromisoformat(granted.expiration_timestamp)
    except ValueError:
        return None
    return time.monotonic() + end.timestamp() - time.time() - _MARGIN


def _with_hint(text: str, plugin: Exec) -> str:
    return f"{text} ({' '.join(plugin.install_hint.split())})" if plugin.install_hint else text
