"""The table of hosts: each root object with its host, its status and the first thing that is wrong with it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import msgspec

from contour.api import heptio, projectcontour
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.reactive import ChangeSet, Collection, Read
from contour.status.plan import ENVOY, Status

VALID, INVALID = "valid", "invalid"


class Row(msgspec.Struct, frozen=True, gc=False, order=True):
    host: str
    object: ObjectRef
    status: str
    text: str = ""

    @property
    def name(self) -> str:
        return f"{self.object.kind} {self.object.namespace}/{self.object.name}"


class Hosts:
    """The rows, as collections of the pipeline. Included objects have a row only while something is wrong with them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        store, graph = pipeline.store, pipeline.graph
        self._of_proxies: Collection[Ref, Row] = pipeline.engine.collection(
            "rows of proxies", (store.proxies,), self._of_proxy
        )
        self._of_routes: Collection[Ref, Row] = pipeline.engine.collection(
            "rows of ingressroutes", (store.ingressroutes,), self._of_route
        )
        self._of_hosts: Collection[str, tuple[Row, ...]] = pipeline.engine.collection(
            "rows of ingresses", (graph.hosts,), self._of_host
        )
        self._rows: dict[ObjectRef | str, tuple[Row, ...]] = {}
        # In order, so that showing a screenful costs no more with 10,000 hosts.
        self._valid: list[Row] = []
        self._others: list[Row] = []

    def rows(self) -> list[Row]:
        return sorted((*self._valid, *self._others))

    def first(self, count: int) -> tuple[list[Row], int]:
        """As many rows as that, what needs attention before what does not, and how many are left out."""
        if len(self._valid) + len(self._others) <= count:
            return self.rows(), 0
        shown = self._others[:count] + self._valid[: max(0, count - len(self._others))]
        return shown, len(self._valid) + len(self._others) - len(shown)

    def update(self, changes: ChangeSet) -> tuple[list[Row], list[Row]]:
        """Take a commit's changes; returns the rows that are new or differ, and those that are gone."""
        hosts = changes[self._of_hosts]
        present: dict[ObjectRef | str, tuple[Row, ...]] = {}
        present |= hosts.set.items()
        gone_keys: list[ObjectRef | str] = list(hosts.removed)
        for kind, collection in (("HTTPProxy", self._of_proxies), ("IngressRoute", self._of_routes)):
            changed = changes[collection]
            present |= {ObjectRef(kind, *ref): (row,) for ref, row in changed.set.items()}
            gone_keys += [ObjectRef(kind, *ref) for ref in changed.removed]
        before: dict[tuple[str, ObjectRef], Row] = {}
        after: dict[tuple[str, ObjectRef], Row] = {}
        for key in (*present, *gone_keys):
            rows = present.get(key, ())
            old = self._rows.pop(key, ())
            before |= {(row.host, row.object): row for row in old}
            after |= {(row.host, row.object): row for row in rows}
            for row in old:
                ordered = self._ordered(row)
                del ordered[bisect_left(ordered, row)]
            for row in rows:
                insort(self._ordered(row), row)
            if rows:
                self._rows[key] = rows
        new = [row for name, row in after.items() if before.get(name) != row]
        gone = [row for name, row in before.items() if name not in after]
        return sorted(new), sorted(gone)

    def _ordered(self, row: Row) -> list[Row]:
        return self._valid if row.status == VALID else self._others

    def _of_proxy(self, read: Read, ref: Ref) -> Row | None:
        key = ObjectRef("HTTPProxy", *ref)
        proxy, block = read(self._pipeline.store.proxies, ref), read(self._pipeline.statuses, key)
        if proxy is None or block is None:
            return None
        return _row(key, proxy.spec.virtualhost, block, _first_error)

    def _of_route(self, read: Read, ref: Ref) -> Row | None:
        key = ObjectRef("IngressRoute", *ref)
        route, block = read(self._pipeline.store.ingressroutes, ref), read(self._pipeline.statuses, key)
        if route is None or block is None:
            return None
        return _row(key, route.spec.virtualhost, block, itemgetter("description"))

    def _of_host(self, read: Read, name: str) -> tuple[Row, ...] | None:
        host = read(self._pipeline.graph.hosts, name)
        if host is None:
            return None
        texts: dict[ObjectRef, str] = {}
        for ref, finding in host.findings:
            texts.setdefault(ref, finding.message)
        ingresses = [ref for ref in host.roots if ref.kind == "Ingress"]
        for ref in ingresses:  # what Envoy refuses of them is not in the graph
            of = read(self._pipeline.findings, ref)
            for finding in of.findings if of is not None else ():
                if finding.type == ENVOY:
                    texts.setdefault(ref, finding.message)
        objects = dict.fromkeys((*ingresses, *texts))
        rows = tuple(Row(name, ref, INVALID if ref in texts else VALID, texts.get(ref, "")) for ref in objects)
        return rows or None


def _row(
    key: ObjectRef,
    root: projectcontour.VirtualHost | heptio.VirtualHost | None,
    block: Status,
    why: Callable[[Status], str],
) -> Row | None:
    """Children that are valid have none: their roots tell of them."""
    status = block["currentStatus"]
    if root is None and status == VALID:
        return None
    return Row(root.fqdn if root else "", key, status, "" if status == VALID else why(block))


def _first_error(block: dict[str, Any]) -> str:
    for condition in block["conditions"]:
        if condition["type"] == "Valid":
            for error in condition.get("errors", ()):
                return str(error["message"])
    return str(block["description"])
