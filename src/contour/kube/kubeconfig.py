"""Kubeconfig files to the one server and user that a context names: pure, from texts.

Of lightkube's reader only the names of the fields would be left: it keeps no `tls-server-name`, `proxy-url` or
impersonation, takes one file only, knows no `client.authentication.k8s.io/v1`, and a missing field ends in a bare
KeyError.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from contour.api.decode import without_nulls
from contour.api.yaml import documents

# What stands in the configuration itself, or a file that is read anew whenever it is needed.
Material = bytes | Path

_EXEC_VERSIONS = tuple(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))


class ConfigurationError(Exception):
    """The configuration cannot be used; the text names the file, the context and the field."""


class Exec(msgspec.Struct, frozen=True, gc=False):
    """A program that prints an ExecCredential. `directory` is where a relative command starts."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False
    directory: Path = Path()


class User(msgspec.Struct, frozen=True, gc=False):
    """How to prove who we are; `impersonate` are headers to send along."""

    token: str = ""
    token_file: Path | None = None
    username: str = ""
    password: str = ""
    certificate: Material | None = None
    private_key: Material | None = None
    plugin: Exec | None = None
    impersonate: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:  # tokens and keys never reach a log
        return "User(...)"


class Configuration(msgspec.Struct, frozen=True, gc=False):
    """One API server and one user. `origin` is for messages: file and context, or `in-cluster configuration`."""

    origin: str
    server: str
    user: User = User()
    namespace: str = "default"
    authority: Material | None = None  # None: those that the system trusts
    insecure: bool = False
    server_name: str = ""  # to ask for and to verify instead of the host in `server`
    proxy: str = ""


class Source(NamedTuple):
    """A kubeconfig file and what it holds."""

    path: Path
    text: str


def read(sources: Sequence[Source], context: str = "") -> Configuration:
    """What `context` (or the current context) of the files means; of entries of one name the first file's counts.

    Raises ConfigurationError.
    """
    files = [_file(source) for source in sources]
    names = ", ".join(str(source.path) for source in sources)
    name = context or next((file.current_context for _, file in files if file.current_context), "")
    if not name:
        raise ConfigurationError(f"{names}: current-context is not set and no context is given")
    path, raw = _named(names, "contexts", name, ((path, file.contexts) for path, file in files))
    origin = f"{path}: context {name!r}"
    selected = _fields(_Context, raw, f"{origin}")
    if not selected.cluster:
        raise ConfigurationError(f"{origin}: cluster is not set")
    found = _named(origin, "clusters", selected.cluster, ((path, file.clusters) for path, file in files))
    configuration = _cluster(origin, selected.cluster, *found)
    user = User()
    if selected.user:
        found = _named(origin, "users", selected.user, ((path, file.users) for path, file in files))
        user = _user(f"{origin}: user {selected.user!r}", *found)
    return msgspec.structs.replace(configuration, user=user, namespace=selected.namespace or "default")


def url_error(url: str) -> str:
    """What is wrong with the address of a server or a proxy, "" if nothing is; a password in it is not told."""
    if not url.startswith(("http://", "https://")):
        return "it does not begin with http:// or https://"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its host or its port is none"
    return "" if host else "it names no host"


# --- the form of the files ----------------------------------------------------------------------------------------


class _Entry(msgspec.Struct, frozen=True):
    name: str
    cluster: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    user: dict[str, Any] | None = None

    @property
    def value(self) -> dict[str, Any]:
        return self.cluster or self.context or self.user or {}


class _File(msgspec.Struct, frozen=True, rename="kebab"):
    current_context: str = ""
    clusters: tuple[_Entry, ...] = ()
    contexts: tuple[_Entry, ...] = ()
    users: tuple[_Entry, ...] = ()


class _Context(msgspec.Struct, frozen=True, rename="kebab"):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _Variable(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class _Exec(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[_Variable, ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class _User(msgspec.Struct, frozen=True, rename="kebab"):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = None
    as_user: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: dict[str, Any] = {}


_T = TypeVar("_T", bound=msgspec.Struct)
_Entries = Iterable[tuple[Path, tuple[_Entry, ...]]]


def _file(source: Source) -> tuple[Path, _File]:
    found = documents(source.text)
    for document in found:
        if document.error is not None:
            raise ConfigurationError(f"{source.path}:{document.line}: {document.error}")
    value = found[0].value if found else None
    return source.path, _fields(_File, {} if value is None else value, str(source.path))


def _fields(kind: type[_T], value: object, where: str) -> _T:
    """The value as a struct; null counts as absent, as in every file that Go reads."""
    try:
        return msgspec.convert(without_nulls(value), kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        path = path.removesuffix("`").removeprefix(".")
        raise ConfigurationError(f"{where}: {path}: {reason}" if path else f"{where}: {reason}") from None


def _named(where: str, group: str, name: str, files: _Entries) -> tuple[Path, dict[str, Any]]:
    known = []
    for path, entries in files:
        for entry in entries:
            if entry.name == name:
                return path, entry.value
            known.append(entry.name)
    has = f"there are: {', '.join(sorted(set(known)))}" if known else "there are none"
    raise ConfigurationError(f"{where}: {group} has no {name!r}, {has}")


def _cluster(origin: str, name: str, path: Path, raw: dict[str, Any]) -> Configuration:
    where = f"{origin}: cluster {name!r}"
    cluster = _fields(_Cluster, raw, where)
    if not cluster.server:
        raise ConfigurationError(f"{where}: server is not set")
    if cluster.proxy_url and (wrong := url_error(cluster.proxy_url)):
        raise ConfigurationError(f"{where}: proxy-url: {wrong}")
    if wrong := url_error(cluster.server):
        raise ConfigurationError(f"{where}: server: {wrong}")
    if "@" in urlsplit(cluster.server).netloc:  # the server's address stands in the log
        raise ConfigurationError(f"{where}: server: a user and a password belong to the fields of the user")
    data, file = cluster.certificate_authority_data, cluster.certificate_authority
    return Configuration(
        origin=origin,
        server=cluster.server.rstrip("/"),
        authority=_material(f"{where}: certificate-authority-data", path, data, file),
        insecure=cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
    )


def _user(where: str, path: Path, raw: dict[str, Any]) -> User:
    user = _fields(_User, raw, where)
    if user.auth_provider:
        name = user.auth_provider.get("name", "")
        raise ConfigurationError(f"{where}: auth-provider: {name!r} is not supported, use an exec plugin")
    if user.as_user_extra:
        raise ConfigurationError(f"{where}: as-user-extra is not supported")
    certificate = _material(
        f"{where}: client-certificate-data", path, user.client_certificate_data, user.client_certificate
    )
    private_key = _material(f"{where}: client-key-data", path, user.client_key_data, user.client_key)
    if (certificate is None) != (private_key is None):
        absent = "client-key" if private_key is None else "client-certificate"
        raise ConfigurationError(f"{where}: {absent}: a client certificate needs both, certificate and key")
    return User(
        token=user.token,
        token_file=path.parent / user.token_file if user.token_file else None,
        username=user.username,
        password=user.password,
        certificate=certificate,
        private_key=private_key,
        plugin=_plugin(f"{where}: exec", path, user.exec) if user.exec else None,
        impersonate=tuple(_impersonation(user)),
    )


def _plugin(where: str, path: Path, plugin: _Exec) -> Exec:
    if plugin.api_version not in _EXEC_VERSIONS:
        known = ", ".join(_EXEC_VERSIONS)
        raise ConfigurationError(f"{where}: apiVersion: {plugin.api_version!r} is not one of {known}")
    if not plugin.command:
        raise ConfigurationError(f"{where}: command is not set")
    if plugin.interactive_mode == "Always":
        raise ConfigurationError(f"{where}: interactiveMode: Always: there is nobody to ask")
    return Exec(
        api_version=plugin.api_version,
        command=plugin.command,
        args=plugin.args,
        env=tuple((variable.name, variable.value) for variable in plugin.env),
        install_hint=plugin.install_hint,
        provide_cluster_info=plugin.provide_cluster_info,
        directory=path.parent,
    )


def _impersonation(user: _User) -> Iterable[tuple[str, str]]:
    if user.as_user:
        yield "Impersonate-User", user.as_user
    if user.as_uid:
        yield "Impersonate-Uid", user.as_uid
    for group in user.as_groups:
        yield "Impersonate-Group", group


def _material(where: str, path: Path, data: str, file: str) -> Material | None:
    """The data in the file goes before the path of another; a relative path starts at the kubeconfig's own folder."""
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError(f"{where}: not base64") from None
    return path.parent / file if file else None
