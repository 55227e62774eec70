"""The settings of a process: built-in defaults, then the configuration file, then flags (operations.md §2.1).

In: the file's text and the flags that were given. Out: `Settings`, split into what the graph, the translation, the
status and the process need. Unknown keys, duplicate keys and wrong types are errors, as in the reference.
One way: text -> `File` (reading, checks) -> `spec` (tospec, overlay, specchecks) -> options (result).
"""

from __future__ import annotations

import msgspec

from contour.api import configuration as api
from contour.api.meta import Ref
from contour.api.names import label_error
from contour.control.settings import checks, envoychecks, reading, result, services, specchecks, tospec
from contour.control.settings.error import SettingsError
from contour.control.settings.file import File
from contour.control.settings.flags import NO_FLAGS, Flags, comma_list
from contour.control.settings.overlay import DEFAULTS, overlay
from contour.control.settings.result import Endpoint
from contour.dag.options import Options as GraphOptions
from contour.envoy.options import Options as EnvoyOptions

__all__ = [
    "NO_FLAGS",
    "Client",
    "Endpoint",
    "Flags",
    "Settings",
    "SettingsError",
    "effective",
    "extension_missing",
    "extensions",
    "load",
]


class Client(msgspec.Struct, frozen=True, gc=False):
    """How the process speaks to Kubernetes; `kubeconfig` "": that of the user's home. Zero: the client's default."""

    incluster: bool = False
    kubeconfig: str = ""
    qps: float = 0.0
    burst: int = 0


class Settings(msgspec.Struct, frozen=True, gc=False):
    """What one process was told. `status_address` wins over the address of the Envoy Service."""

    graph: GraphOptions = GraphOptions()
    envoy: EnvoyOptions = EnvoyOptions()
    status_address: str = ""
    envoy_service_namespace: str = "projectcontour"
    envoy_service_name: str = "envoy"
    watch_namespaces: tuple[str, ...] = ()
    debug: bool = False
    client: Client = Client()
    xds: Endpoint = Endpoint("127.0.0.1", 8001, "/certs/ca.crt", "/certs/tls.crt", "/certs/tls.key")
    xds_insecure: bool = False
    metrics: Endpoint = Endpoint("0.0.0.0", 8000)
    health: Endpoint = Endpoint("0.0.0.0", 8000)
    debug_pages: Endpoint = Endpoint("127.0.0.1", 6060)


def load(file_text: str, flags: Flags = NO_FLAGS, *, contour_namespace: str | None = None) -> Settings:
    """Settings from a configuration file's text ("" for none) and flags. Raises SettingsError."""
    file = _checked(file_text)
    spec = _complete(file, flags, contour_namespace)
    watch_namespaces = comma_list(flags.watch_namespaces)
    graph, options = result.graph_options(spec), result.envoy_options(spec)
    envoychecks.check(options, graph)
    services.check(graph)
    for namespace in watch_namespaces:  # they become part of paths
        if wrong := label_error(namespace):
            raise SettingsError(f"--watch-namespaces: {wrong}")
    if watch_namespaces:
        _check_watched(graph, frozenset(watch_namespaces))
    ingress, envoy = spec.ingress or api.Ingress(), spec.envoy or api.Envoy()
    service = envoy.service or api.NamespacedName()
    return Settings(
        graph=graph,
        envoy=options,
        status_address=ingress.status_address,
        envoy_service_namespace=service.namespace,
        envoy_service_name=service.name,
        watch_namespaces=watch_namespaces,
        debug=file.debug,
        client=Client(file.incluster, file.kubeconfig, file.kubernetes_client_qps, file.kubernetes_client_burst),
        xds=result.xds_endpoint(spec.xds_server),
        xds_insecure=bool(spec.xds_server and spec.xds_server.tls and spec.xds_server.tls.insecure),
        metrics=result.endpoint(spec.metrics),
        health=result.endpoint(spec.health),
        debug_pages=result.endpoint(spec.debug),
    )


def extensions(settings: Settings) -> tuple[Ref, ...]:
    """The ExtensionServices that the configuration names, without which what it asks for does not work."""
    graph, tracing = settings.graph, settings.envoy.tracing
    server = graph.authorization.extension_ref if graph.authorization else None
    named = (
        tracing.extension if tracing else None,
        graph.rate_limit_service.extension if graph.rate_limit_service else None,
        Ref(server.namespace, server.name) if server else None,
    )
    return tuple(dict.fromkeys(ref for ref in named if ref is not None))


def extension_missing(ref: Ref) -> str:
    """What is told when one of them is not there."""
    return f"error getting extension service {ref}: not found"


def effective(file_text: str, flags: Flags = NO_FLAGS, *, contour_namespace: str | None = None) -> api.Spec:
    """The whole configuration that holds, as a ContourConfiguration would say it. Raises SettingsError."""
    return _complete(_checked(file_text), flags, contour_namespace)


def _checked(file_text: str) -> File:
    file = reading.read(file_text)
    try:
        checks.check(file)
    except SettingsError as error:
        raise SettingsError(f"invalid Contour configuration: {error}") from None
    return file


def _complete(file: File, flags: Flags, contour_namespace: str | None) -> api.Spec:
    spec = overlay(DEFAULTS, tospec.spec(file, flags, contour_namespace or ""))
    specchecks.check(spec)
    return spec


def _check_watched(graph: GraphOptions, watched: frozenset[str]) -> None:
    """What the configuration names must be seen (operations.md §6.3)."""
    if not watched.issuperset(graph.root_namespaces):
        raise SettingsError("not all root namespaces are being watched")
    named: tuple[tuple[str, Ref | None], ...] = (
        ("fallbackCertificate", graph.fallback_certificate),
        ("clientCertificate", graph.client_certificate),
    )
    for what, ref in named:
        if ref is not None and ref.namespace not in watched:
            raise SettingsError(f"the {what} namespace ({ref.namespace}) must be watched")
