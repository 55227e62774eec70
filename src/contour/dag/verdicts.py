"""The verdict on an object that may be part of several hosts: each of them has one (httpproxy.md §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contour.api.meta import Ref
from contour.dag.graph import Host
from contour.dag.verdict import Verdict
from contour.reactive import Collection, Derived, Engine, Index, Read, Table

Found = tuple[tuple[Ref, Verdict], ...]


class Verdicts:
    """Declared once for each kind. `roots`: which objects of the kind are roots of a host; `facts`: they have `created`."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        hosts: Collection[str, Host],
        *,
        objects: Table[Ref, Any],
        roots: Index[str, Ref],
        facts: Derived[Ref, Any],
        found: Callable[[Host], Found],
        orphaned: Verdict,
    ) -> None:
        self._hosts, self._roots, self._facts, self._found, self._orphaned = hosts, roots, facts, found, orphaned
        # Most objects have one and the same verdict from all their roots, however many: only where several contradict
        # each other does anybody read who said what.
        self._verdicts: Index[Ref, Verdict] = engine.index(f"verdicts on {name}", hosts, self._entries)
        self._errors: Index[Ref, str] = engine.index(f"hosts with errors of {name}", hosts, self._bad)
        self.collection: Collection[Ref, Verdict] = engine.collection(name, (objects,), self._verdict)

    def _entries(self, _: str, host: Host) -> Found:
        return self._found(host)

    def _bad(self, name: str, host: Host) -> Iterable[tuple[Ref, str]]:
        return ((ref, name) for ref, verdict in self._found(host) if not verdict.valid)

    def _verdict(self, read: Read, ref: Ref) -> Verdict:
        """Of several roots' verdicts on one object a bad one wins, of several bad ones that of the oldest root."""
        verdicts = read(self._verdicts, ref)
        if not verdicts:
            return self._orphaned
        errors = [verdict for verdict in verdicts if not verdict.valid]
        if len(errors) > 1:
            return min(self._by_age(read, ref))[-1]
        return errors[0] if errors else max(verdicts)

    def _by_age(self, read: Read, ref: Ref) -> Iterable[tuple[str, Ref, Verdict]]:
        """What roots found wrong with an object, with the root's age and name. A host has one root that is evaluated."""
        for name in read(self._errors, ref):
            host = read(self._hosts, name)
            verdict = dict(self._found(host)).get(ref) if host is not None else None
            for root_ref in read(self._roots, name):
                root = read(self._facts, root_ref)
                if root is not None and verdict is not None:
                    yield root.created, root_ref, verdict
