"""The status of every object that we write to, as a collection: verdicts, refusals by Envoy and the address come together.

Keys are `ObjectRef`s, values whole status blocks without `lastTransitionTime` (the writer adds it when it writes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contour.api.meta import ObjectRef, Ref
from contour.dag.build import Graph
from contour.dag.verdict import Finding, Verdict
from contour.envoy.resource import Resource, Withheld
from contour.reactive import Collection, Derived, Engine, Index, Read
from contour.status.conditions import extension_service_status, http_proxy_status, observed
from contour.status.ingressroute import ingress_route_status
from contour.status.loadbalancer import Ingress, applied, from_addresses
from contour.store import Store

ENVOY = "EnvoyError"  # the type of what Envoy refuses

Status = dict[str, Any]
Resources = Collection[str, Resource | Withheld]


def rejected(text: str) -> Finding:
    """The finding for what Envoy refuses, or would refuse (design: envoy.md §2, Ordering and refusals)."""
    return Finding(ENVOY, "Rejected", text)


def attach(
    engine: Engine,
    store: Store,
    graph: Graph,
    resources: Sequence[Resources],
    *,
    status_address: str,
    envoy_service: Ref,
) -> Collection[ObjectRef, Status]:
    """Declare the collection of statuses behind the resources whose `Withheld` members it reports."""
    withheld: list[Index[ObjectRef, str]] = [
        engine.index(f"withheld {collection.name}", collection, _withheld) for collection in resources
    ]
    addresses = _addresses(engine, store, status_address, envoy_service)

    def with_refusals(read: Read, key: ObjectRef, verdict: Verdict) -> Verdict:
        refusals = sorted({text for index in withheld for text in read(index, key)})
        refusals += [text for text in read(store.refusals, key) or () if text not in refusals]
        return Verdict((*verdict.errors, *map(rejected, refusals)), verdict.warnings) if refusals else verdict

    def status(read: Read, key: ObjectRef) -> Status | None:
        ref = Ref(key.namespace, key.name)
        if key.kind == "Ingress":
            seen = read(store.observed, key)
            entries = read(addresses, None)
            return applied(observed(seen.status), entries, ip_mode=False) if seen and entries else None
        seen = read(store.observed, key)
        if seen is None:
            return None
        if key.kind == "IngressRoute":
            on_route = read(graph.ingressroutes, ref)
            if on_route is None:
                return None
            return ingress_route_status(with_refusals(read, key, on_route), observed(seen.status))
        if key.kind == "ExtensionService":
            extension, service = read(graph.extensions, ref), read(store.extensions, ref)
            if extension is None or service is None:
                return None
            verdict = with_refusals(read, key, extension.verdict)
            return extension_service_status(verdict, service.metadata.generation, observed(seen.status))
        proxy = read(store.proxies, ref)
        found = read(graph.proxies, ref)
        if proxy is None or found is None:
            return None
        verdict = with_refusals(read, key, found)
        block = http_proxy_status(verdict, proxy.metadata.generation, observed(seen.status))
        return applied(block, read(addresses, None), ip_mode=True)

    keys: Index[ObjectRef, Ref] = engine.index("proxies with status", store.proxies, _proxy_keys)
    ingress_keys: Index[ObjectRef, Ref] = engine.index("ingresses with status", store.ingresses, _ingress_keys)
    route_keys: Index[ObjectRef, Ref] = engine.index("ingressroutes with status", store.ingressroutes, _route_keys)
    extension_keys: Index[ObjectRef, Ref] = engine.index(
        "extension services with status", store.extensions, _extension_keys
    )
    return engine.collection("statuses", (keys, route_keys, ingress_keys, extension_keys), status)


def _addresses(
    engine: Engine, store: Store, status_address: str, envoy_service: Ref
) -> Derived[None, tuple[Ingress, ...]]:
    static = from_addresses(status_address)

    def address(read: Read, _: None) -> tuple[Ingress, ...]:
        if static:
            return static
        service = read(store.services, envoy_service)
        if service is None:
            return ()
        return tuple(observed(entry) for entry in service.status.load_balancer.ingress)

    return engine.derived("load-balancer address", address, eager=True)  # read by every status


def _proxy_keys(ref: Ref, _: Any) -> Iterable[tuple[ObjectRef, Ref]]:
    yield ObjectRef("HTTPProxy", *ref), ref


def _route_keys(ref: Ref, _: Any) -> Iterable[tuple[ObjectRef, Ref]]:
    yield ObjectRef("IngressRoute", *ref), ref


def _ingress_keys(ref: Ref, _: Any) -> Iterable[tuple[ObjectRef, Ref]]:
    yield ObjectRef("Ingress", *ref), ref


def _extension_keys(ref: Ref, _: Any) -> Iterable[tuple[ObjectRef, Ref]]:
    yield ObjectRef("ExtensionService", *ref), ref


def _withheld(_: str, value: Resource | Withheld) -> Iterable[tuple[ObjectRef, str]]:
    if isinstance(value, Withheld):
        for key in value.objects:
            yield key, value.reason
