"""What is wrong with objects that have no condition to show it: Ingresses (operations.md §5.2), for their Events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from contour.api.meta import ObjectRef
from contour.dag.build import Graph
from contour.dag.graph import Host
from contour.dag.verdict import Finding
from contour.envoy.resource import Resource, Withheld
from contour.reactive import Collection, Engine, Index, Read
from contour.status.plan import Resources, rejected
from contour.store import Store

_KIND = "Ingress"


class Found(msgspec.Struct, frozen=True, gc=False):
    uid: str
    findings: tuple[Finding, ...]


def attach(engine: Engine, store: Store, graph: Graph, resources: Sequence[Resources]) -> Collection[ObjectRef, Found]:
    """Declare the collection of Ingresses with which something is wrong."""
    hosts: Index[ObjectRef, Finding] = engine.index("findings on ingresses", graph.hosts, _findings)
    withheld: list[Index[ObjectRef, str]] = [
        engine.index(f"withheld of ingresses, {collection.name}", collection, _withheld) for collection in resources
    ]
    refused: Index[ObjectRef, str] = engine.index("refused of ingresses", store.refusals, _refused)

    def found(read: Read, key: ObjectRef) -> Found | None:
        seen = read(store.observed, key)
        if seen is None:
            return None
        texts = {text for index in (*withheld, refused) for text in read(index, key)}
        findings = sorted({*read(hosts, key), *map(rejected, texts)})
        return Found(seen.uid, tuple(findings)) if findings else None

    return engine.collection("findings by ingress", (hosts, *withheld, refused), found)


def _findings(_: str, host: Host) -> Iterable[tuple[ObjectRef, Finding]]:
    return ((key, finding) for key, finding in host.findings if key.kind == _KIND)


def _withheld(_: str, value: Resource | Withheld) -> Iterable[tuple[ObjectRef, str]]:
    if isinstance(value, Withheld):
        yield from ((key, value.reason) for key in value.objects if key.kind == _KIND)


def _refused(key: ObjectRef, texts: tuple[str, ...]) -> Iterable[tuple[ObjectRef, str]]:
    if key.kind == _KIND:
        yield from ((key, text) for text in texts)
