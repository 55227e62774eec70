"""Annotations that are addressed to us and have no effect, by object: for the log of a server (operations.md §5.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contour.api.annotations import unsupported
from contour.api.meta import ObjectRef, Ref
from contour.reactive import Collection, Engine, Index, Read, Table
from contour.store import Store

Texts = tuple[str, ...]


def attach(engine: Engine, store: Store) -> Collection[ObjectRef, Texts]:
    """Declare the collection of objects that have any."""
    tables: dict[str, Table[Ref, Any]] = {
        "Service": store.services,
        "Secret": store.secrets,
        "Ingress": store.ingresses,
        "IngressRoute": store.ingressroutes,
        "HTTPProxy": store.proxies,
        "TLSCertificateDelegation": store.delegations,
        "ExtensionService": store.extensions,
    }
    found: list[Index[ObjectRef, str]] = [
        engine.index(f"annotations of {kind} without effect", table, _of(kind)) for kind, table in tables.items()
    ]

    def texts(read: Read, key: ObjectRef) -> Texts:
        return tuple(sorted(text for index in found for text in read(index, key)))

    return engine.collection("annotations without effect", found, texts)


def _of(kind: str) -> Callable[[Ref, Any], Iterable[tuple[ObjectRef, str]]]:
    def entries(ref: Ref, obj: Any) -> Iterable[tuple[ObjectRef, str]]:
        return ((ObjectRef(kind, *ref), text) for text in unsupported(kind, obj.metadata.annotations or {}))

    return entries
