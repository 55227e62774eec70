"""The tables, the indexes over them, and the one way in (`apply`) and out (`delete`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from contour.api.core import Endpoints, EndpointSlice, Namespace, Secret, Service
from contour.api.extensionservice import ExtensionService
from contour.api.heptio import HeptioCertificateDelegation, IngressRoute
from contour.api.meta import ObjectMeta, ObjectRef, Ref
from contour.api.networking import Ingress, IngressClass
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation
from contour.reactive import Engine, Index, Table
from contour.store.ingressclass import accepts

ANY_HOST = "*"

# Secrets of other types lose their data: nothing of ours may use it (httpproxy.md §2.1).
_SECRET_TYPES = ("kubernetes.io/tls", "Opaque")


# Kinds of which those of another class are not ours.
Classed = Ingress | HTTPProxy | IngressRoute


class Observed(msgspec.Struct, frozen=True, gc=False):
    """What an object of ours carries besides what it says: its version, and the status that stands in it."""

    resource_version: str
    uid: str
    status: Any


class Store:
    """One table per kind, keyed by `Ref` (cluster-scoped kinds have an empty namespace).

    Versions, and the statuses of objects whose status we write, are kept apart in `observed`: a status that was written,
    by us or by others, comes back as a change of that alone.

    `secret_namespaces`: when given, only Secrets of these namespaces are kept.
    `watch_namespaces`: when given, objects of other namespaces are not looked at.
    """

    def __init__(
        self,
        engine: Engine,
        ingress_class_names: Sequence[str] = (),
        secret_namespaces: Sequence[str] = (),
        watch_namespaces: Sequence[str] = (),
    ) -> None:
        self._class_names = tuple(ingress_class_names)
        self._secret_namespaces = frozenset(secret_namespaces)
        self._watched = frozenset(watch_namespaces)
        self.services: Table[Ref, Service] = engine.table("services")
        self.endpoint_slices: Table[Ref, EndpointSlice] = engine.table("endpoint slices")
        self.endpoints: Table[Ref, Endpoints] = engine.table("endpoints")
        self.secrets: Table[Ref, Secret] = engine.table("secrets")
        self.namespaces: Table[Ref, Namespace] = engine.table("namespaces")
        self.ingresses: Table[Ref, Ingress] = engine.table("ingresses")
        self.ingress_classes: Table[Ref, IngressClass] = engine.table("ingress classes")
        self.proxies: Table[Ref, HTTPProxy] = engine.table("proxies")
        self.delegations: Table[Ref, TLSCertificateDelegation] = engine.table("delegations")
        self.extensions: Table[Ref, ExtensionService] = engine.table("extension services")
        self.ingressroutes: Table[Ref, IngressRoute] = engine.table("ingressroutes")
        self.heptio_delegations: Table[Ref, HeptioCertificateDelegation] = engine.table("heptio delegations")
        self.observed: Table[ObjectRef, Observed] = engine.table("observed statuses")
        # What Envoy refused, by the object that it came from: texts, fed back by the control loop.
        self.refusals: Table[Any, tuple[str, ...]] = engine.table("refusals")

        self.slices_by_service: Index[Ref, Ref] = engine.index(
            "slices by service", self.endpoint_slices, _slice_services
        )
        self.proxies_by_fqdn: Index[str, Ref] = engine.index("proxies by fqdn", self.proxies, _proxy_fqdn)
        self.proxies_by_host: Index[str, Ref] = engine.index("proxies by host", self.proxies, _proxy_host)
        self.ingresses_by_host: Index[str, Ref] = engine.index("ingresses by host", self.ingresses, _ingress_hosts)
        self.ingresses_by_tls_host: Index[str, Ref] = engine.index(
            "ingresses by TLS host", self.ingresses, _ingress_tls_hosts
        )
        self.delegations_by_secret: Index[Ref, tuple[str, ...]] = engine.index(
            "delegations by secret", self.delegations, _delegated_secrets
        )
        self.ingressroutes_by_host: Index[str, Ref] = engine.index(
            "ingressroutes by host", self.ingressroutes, _route_host
        )
        self.heptio_delegations_by_secret: Index[Ref, tuple[str, ...]] = engine.index(
            "heptio delegations by secret", self.heptio_delegations, _delegated_secrets
        )
        self.kinds: dict[str, Table[Ref, Any]] = {
            "Service": self.services,
            "EndpointSlice": self.endpoint_slices,
            "Endpoints": self.endpoints,
            "Secret": self.secrets,
            "Namespace": self.namespaces,
            "Ingress": self.ingresses,
            "IngressClass": self.ingress_classes,
            "HTTPProxy": self.proxies,
            "TLSCertificateDelegation": self.delegations,
            "ExtensionService": self.extensions,
            IngressRoute.kind: self.ingressroutes,
            HeptioCertificateDelegation.kind: self.heptio_delegations,
        }

    def apply(self, obj: Any) -> None:
        """Add or replace an object; one of another ingress class is dropped, and so is its earlier version."""
        kind, ref, metadata = obj.kind, obj.ref, obj.metadata
        if self._watched and ref.namespace and ref.namespace not in self._watched:
            return
        if metadata.resource_version:
            metadata = msgspec.structs.replace(metadata, resource_version="")
        if isinstance(obj, Classed):
            spec_class = None if isinstance(obj, IngressRoute) else obj.spec.ingress_class_name
            if not accepts(self._class_names, metadata, spec_class):
                self.delete(kind, ref)
                return
        if isinstance(obj, Classed | ExtensionService):
            observed = Observed(obj.metadata.resource_version, metadata.uid, obj.status)
            self.observed.set(ObjectRef(kind, *ref), observed)
            obj = _without_status(obj, metadata)
        elif isinstance(obj, Secret):
            if self._secret_namespaces and ref.namespace not in self._secret_namespaces:
                return
            if obj.type not in _SECRET_TYPES:
                obj = Secret(metadata=metadata, type=obj.type)
        if obj.metadata is not metadata:
            obj = msgspec.structs.replace(obj, metadata=metadata)
        self.kinds[kind].set(ref, obj)

    def delete(self, kind: str, ref: Ref) -> None:
        """Forget an object; one that is not stored is no error (it may have been of another class)."""
        table = self.kinds[kind]
        if ref in table:
            table.delete(ref)
            self.observed.delete(ObjectRef(kind, *ref))


def _without_status(obj: Classed | ExtensionService, metadata: ObjectMeta) -> Classed | ExtensionService:
    match obj:
        case Ingress():
            return Ingress(metadata=metadata, spec=obj.spec)
        case HTTPProxy():
            return HTTPProxy(metadata=metadata, spec=obj.spec)
        case IngressRoute():
            return IngressRoute(metadata=metadata, spec=obj.spec)
        case ExtensionService():
            return ExtensionService(metadata=metadata, spec=obj.spec)


def _slice_services(ref: Ref, obj: EndpointSlice) -> Iterable[tuple[Ref, Ref]]:
    if obj.service_name:
        yield Ref(ref.namespace, obj.service_name), ref


def _proxy_fqdn(ref: Ref, proxy: HTTPProxy) -> Iterable[tuple[str, Ref]]:
    if proxy.spec.virtualhost is not None:
        yield proxy.spec.virtualhost.fqdn.lower(), ref


def _proxy_host(ref: Ref, proxy: HTTPProxy) -> Iterable[tuple[str, Ref]]:
    if proxy.spec.virtualhost is not None:
        yield proxy.spec.virtualhost.fqdn, ref


def _route_host(ref: Ref, route: IngressRoute) -> Iterable[tuple[str, Ref]]:
    """In lower case: no schema asks for it, and it is the host of an Ingress or HTTPProxy however it is written."""
    if route.spec.virtualhost is not None:
        yield route.spec.virtualhost.fqdn.lower(), ref


def _ingress_hosts(ref: Ref, ingress: Ingress) -> Iterable[tuple[str, Ref]]:
    hosts = {rule.host or ANY_HOST for rule in ingress.spec.rules}
    if ingress.spec.default_backend is not None:
        hosts.add(ANY_HOST)
    for host in hosts:
        yield host, ref


def _ingress_tls_hosts(ref: Ref, ingress: Ingress) -> Iterable[tuple[str, Ref]]:
    for host in {host for entry in ingress.spec.tls for host in entry.hosts}:
        yield host, ref


def _delegated_secrets(
    ref: Ref, delegation: TLSCertificateDelegation | HeptioCertificateDelegation
) -> Iterable[tuple[Ref, tuple[str, ...]]]:
    for entry in delegation.spec.delegations:
        yield Ref(ref.namespace, entry.secret_name), entry.target_namespaces
