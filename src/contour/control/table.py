"""The table of hosts: each root object with its host, its status and the first thing that is wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec

from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.reactive import ChangeSet

VALID, INVALID, ORPHANED = "valid", "invalid", "orphaned"


class Row(msgspec.Struct, frozen=True, gc=False, order=True):
    host: str
    object: ObjectRef
    status: str
    text: str = ""

    @property
    def name(self) -> str:
        return f"{self.object.kind} {self.object.namespace}/{self.object.name}"


class Hosts:
    """The rows, kept up to date by change sets. Included proxies have a row only while something is wrong with them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._rows: dict[tuple[str, ObjectRef], Row] = {}
        self._of_proxy: dict[ObjectRef, Row] = {}
        self._of_host: dict[str, tuple[Row, ...]] = {}

    def rows(self) -> list[Row]:
        return sorted(self._rows.values())

    def update(self, changes: ChangeSet) -> tuple[list[Row], list[Row]]:
        """Take a commit's changes; returns the rows that are new or differ, and those that are gone."""
        before: dict[tuple[str, ObjectRef], Row | None] = {}
        for key in (*changes[self._pipeline.statuses].set, *changes[self._pipeline.statuses].removed):
            if key.kind == "HTTPProxy":
                old, row = self._of_proxy.pop(key, None), self._proxy(key)
                self._replace((old,) if old else (), (row,) if row else (), before)
                if row:
                    self._of_proxy[key] = row
        for host in (*changes[self._pipeline.graph.hosts].set, *changes[self._pipeline.graph.hosts].removed):
            rows = self._ingresses(host)
            self._replace(self._of_host.pop(host, ()), rows, before)
            if rows:
                self._of_host[host] = rows
        changed = [row for key in before if (row := self._rows.get(key)) is not None and row != before[key]]
        gone = [row for key, row in before.items() if row is not None and key not in self._rows]
        return sorted(changed), sorted(gone)

    def _replace(self, old: tuple[Row, ...], new: tuple[Row, ...], before: dict[Any, Row | None]) -> None:
        for row in (*old, *new):
            key = row.host, row.object
            before.setdefault(key, self._rows.get(key))
        for row in old:
            self._rows.pop((row.host, row.object), None)
        for row in new:
            self._rows[row.host, row.object] = row

    def _proxy(self, key: ObjectRef) -> Row | None:
        proxy = self._pipeline.store.proxies.get(Ref(key.namespace, key.name))
        block = self._pipeline.statuses.get(key)
        if proxy is None or block is None:
            return None
        status = block["currentStatus"]
        root = proxy.spec.virtualhost
        if root is None and status == VALID:
            return None
        return Row(root.fqdn if root else "", key, status, "" if status == VALID else _first_error(block))

    def _ingresses(self, name: str) -> tuple[Row, ...]:
        host = self._pipeline.graph.hosts.get(name)
        if host is None:
            return ()
        texts: dict[ObjectRef, str] = {}
        for ref, finding in host.findings:
            texts.setdefault(ref, finding.message)
        objects = dict.fromkeys((*(ref for ref in host.roots if ref.kind == "Ingress"), *texts))
        return tuple(Row(name, ref, INVALID if ref in texts else VALID, texts.get(ref, "")) for ref in objects)


def _first_error(block: dict[str, Any]) -> str:
    for condition in block["conditions"]:
        if condition["type"] == "Valid":
            for error in condition.get("errors", ()):
                return str(error["message"])
    return str(block["description"])
