"""The settings of a process: built-in defaults, then the configuration file, then flags (operations.md §2.1).

In: the file's text and the flags that were given. Out: `Settings`, split into what the graph, the translation and the
status need. Unknown keys, duplicate keys and wrong types are errors, as in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from contour.api.scalars import parse_duration, parse_timeout
from contour.api.yaml import documents
from contour.dag.options import Options as GraphOptions
from contour.dag.verdict import Invalid
from contour.envoy.options import Options as EnvoyOptions

_TLS_VERSIONS = ("1.2", "1.3")


class SettingsError(Exception):
    """The configuration cannot be used; the text is for the user."""


class Settings(msgspec.Struct, frozen=True, gc=False):
    """What one process was told. `status_address` wins over the address of the Envoy Service."""

    graph: GraphOptions = GraphOptions()
    envoy: EnvoyOptions = EnvoyOptions()
    status_address: str = ""
    envoy_service_namespace: str = "projectcontour"
    envoy_service_name: str = "envoy"
    watch_namespaces: tuple[str, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """The configuration file, as far as its keys have an effect; `None` is a key that is absent."""

    class TLS(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
        minimum_protocol_version: str = ""
        maximum_protocol_version: str = ""

    class Timeouts(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
        connection_idle_timeout: str = "60s"
        connect_timeout: str = "2s"

    class Network(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
        admin_port: int = 9001

    class Server(msgspec.Struct, forbid_unknown_fields=True):
        """Reserved: must be empty."""

    # About the process, not about what Envoy is told.
    debug: bool = False
    incluster: bool = False
    kubeconfig: str = ""
    kubernetes_client_qps: float = msgspec.field(default=0, name="kubernetesClientQPS")
    kubernetes_client_burst: int = msgspec.field(default=0, name="kubernetesClientBurst")
    server: Server | None = None
    feature_flags: list[str] | None = msgspec.field(default=None, name="featureFlags")

    disable_permit_insecure: bool = msgspec.field(default=False, name="disablePermitInsecure")
    ingress_status_address: str = ""
    envoy_service_name: str = ""
    envoy_service_namespace: str = ""
    tls: TLS = msgspec.field(default_factory=TLS)
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    network: Network = msgspec.field(default_factory=Network)


class Flags(msgspec.Struct, frozen=True, gc=False):
    """The flags of `serve` that shape configuration; `None`: not given. Lists are comma lists as typed."""

    envoy_http_access_log: str | None = None
    envoy_https_access_log: str | None = None
    envoy_service_http_address: str | None = None
    envoy_service_http_port: int | None = None
    envoy_service_https_address: str | None = None
    envoy_service_https_port: int | None = None
    envoy_service_name: str | None = None
    envoy_service_namespace: str | None = None
    ingress_class_name: str | None = None
    ingress_status_address: str | None = None
    root_namespaces: str | None = None
    stats_address: str | None = None
    stats_port: int | None = None
    use_proxy_protocol: bool | None = None
    watch_namespaces: str | None = None


NO_FLAGS = Flags()


def load(file_text: str, flags: Flags = NO_FLAGS, *, contour_namespace: str | None = None) -> Settings:
    """Settings from a configuration file's text ("" for none) and flags. Raises SettingsError."""
    file = _parse(file_text)
    defaults = EnvoyOptions()
    envoy = EnvoyOptions(
        http_address=flags.envoy_service_http_address or defaults.http_address,
        http_port=flags.envoy_service_http_port or defaults.http_port,
        http_access_log=flags.envoy_http_access_log or defaults.http_access_log,
        https_address=flags.envoy_service_https_address or defaults.https_address,
        https_port=flags.envoy_service_https_port or defaults.https_port,
        https_access_log=flags.envoy_https_access_log or defaults.https_access_log,
        stats_address=flags.stats_address or defaults.stats_address,
        stats_port=flags.stats_port or defaults.stats_port,
        # Zero never overrides a default (operations.md §2.1): `admin-port: 0` leaves 9001.
        admin_port=file.network.admin_port or defaults.admin_port,
        use_proxy_protocol=bool(flags.use_proxy_protocol),
        min_tls=file.tls.minimum_protocol_version or defaults.min_tls,
        max_tls=file.tls.maximum_protocol_version or defaults.max_tls,
        connection_idle_timeout=_timeout("connection idle timeout", file.timeouts.connection_idle_timeout),
        connect_timeout=_duration("connect timeout", file.timeouts.connect_timeout) or defaults.connect_timeout,
    )
    graph = GraphOptions(
        ingress_class_names=tuple(flags.ingress_class_name.split(",")) if flags.ingress_class_name else (),
        root_namespaces=_comma_list(flags.root_namespaces),
        disable_permit_insecure=file.disable_permit_insecure,
    )
    watch_namespaces = _comma_list(flags.watch_namespaces)
    if watch_namespaces and not set(graph.root_namespaces) <= set(watch_namespaces):
        raise SettingsError("not all root namespaces are being watched")
    return Settings(
        graph=graph,
        envoy=envoy,
        status_address=flags.ingress_status_address or file.ingress_status_address,
        envoy_service_namespace=flags.envoy_service_namespace
        or file.envoy_service_namespace
        or contour_namespace
        or "projectcontour",
        envoy_service_name=flags.envoy_service_name or file.envoy_service_name or "envoy",
        watch_namespaces=watch_namespaces,
    )


def _parse(text: str) -> _File:
    parsed = documents(text)
    if not parsed:
        return _File()
    first = parsed[0]
    if first.error is not None:
        raise SettingsError(f"failed to parse configuration: {first.error}")
    try:
        file = msgspec.convert(_read_as(_File, first.value) or {}, _File)
    except msgspec.ValidationError as error:
        raise SettingsError(f"failed to parse configuration: {error}") from error
    _check_tls(file.tls)
    return file


def _check_tls(tls: _File.TLS) -> None:
    for name, version in (("minimum", tls.minimum_protocol_version), ("maximum", tls.maximum_protocol_version)):
        if version and version not in _TLS_VERSIONS:
            raise SettingsError(f'invalid TLS {name} protocol version: "{version}"')
    if (tls.minimum_protocol_version or "1.2") > (tls.maximum_protocol_version or "1.3"):
        raise SettingsError("the minimum TLS protocol version is greater than the maximum TLS protocol version")


def _timeout(what: str, text: str) -> int | None:
    value = parse_timeout(text)
    if isinstance(value, Invalid):
        raise SettingsError(f'{what} "{text}": {value.text}')
    return value


def _duration(what: str, text: str) -> int:
    value = parse_duration(text) if text else 0
    if isinstance(value, Invalid):
        raise SettingsError(f'{what} "{text}": {value.text}')
    return value


def _comma_list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _read_as(struct: type[msgspec.Struct], value: Any) -> Any:
    """`value` as the struct takes it: an explicit null leaves the default, and a number where a text is wanted is the
    text that was written without quotes, such as a version (operations.md §2.2).
    """
    if not isinstance(value, Mapping):
        return value
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    read = {}
    for key, item in value.items():
        kind = kinds.get(key)
        if item is None:
            continue
        if kind is str and isinstance(item, int | float) and not isinstance(item, bool):
            read[key] = str(item)
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            read[key] = _read_as(kind, item)
        else:
            read[key] = item
    return read
