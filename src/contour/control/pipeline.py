"""The whole pipeline of one process, wired: store, graph, shapes, statuses. Every mode (run, render, …) uses this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from contour.api.meta import ObjectRef, Ref
from contour.control.settings import Settings, extensions
from contour.dag.build import Graph
from contour.envoy import classic, scoped
from contour.envoy.resource import Resource, TypeUrl, Withheld
from contour.reactive import ChangeSet, Collection, Engine
from contour.status import findings, plan
from contour.store import Store

ShapeName = Literal["scoped", "classic"]
Shape = dict[TypeUrl, Collection[str, Resource | Withheld]]

_ATTACH: dict[ShapeName, Callable[..., Shape]] = {"scoped": scoped.attach, "classic": classic.attach}


class Pipeline:
    """Objects go into `store`; after `commit`, resources are in the shapes, status blocks in `statuses`, and what is
    wrong with objects whose status has no room for it in `findings`.

    `shapes` are built from the start; another one is attached by `shape` when somebody asks for it, and is there after
    the next commit.
    """

    def __init__(self, settings: Settings, shapes: Sequence[ShapeName] = ("scoped",)) -> None:
        self.settings = settings
        self.engine = Engine()
        self.store = Store(
            self.engine,
            settings.graph.ingress_class_names,
            settings.graph.secret_namespaces,
            settings.watch_namespaces,
        )
        self.graph = Graph(self.engine, self.store, settings.graph)
        self._shapes: dict[ShapeName, Shape] = {}
        for name in shapes:
            self._attach(name)
        resources = [collection for shape in self._shapes.values() for collection in shape.values()]
        self.findings: Collection[ObjectRef, findings.Found] = findings.attach(
            self.engine, self.store, self.graph, resources
        )
        self.statuses: Collection[ObjectRef, plan.Status] = plan.attach(
            self.engine,
            self.store,
            self.graph,
            resources,
            status_address=settings.status_address,
            envoy_service=Ref(settings.envoy_service_namespace, settings.envoy_service_name),
        )

    def shape(self, name: ShapeName) -> Shape:
        """The collections of a shape by type, attached now if nobody had asked for it."""
        if name not in self._shapes:
            self._attach(name)
        return self._shapes[name]

    def _attach(self, name: ShapeName) -> None:
        self._shapes[name] = _ATTACH[name](self.engine, self.graph, self.settings.envoy)

    def missing_extensions(self) -> frozenset[Ref]:
        """ExtensionServices that the settings name and that are not there. They may come later; until then
        authorization lets nobody pass, and limits and traces are as if their service did not answer.
        """
        found = self.graph.extensions
        return frozenset(ref for ref in extensions(self.settings) if found.get(ref) is None)

    def commit(self, *, partly: bool = False) -> ChangeSet:
        """Bring everything up to date with the store; see `contour.reactive.Engine.commit`.

        What a function raises is raised when the others have got through, or, for those who can do with a part, is in
        the `failures`.
        """
        changes = self.engine.commit()
        for errors in changes.failures.values() if not partly else ():
            for error in errors.values():
                raise error
        return changes
