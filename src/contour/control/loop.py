"""From event to Envoy: apply what is waiting, commit, publish; what Envoy answers comes back as an input.

An isolated change is committed at once. In a burst, whatever arrives during a commit is the next batch, so batches
grow with the load and nothing waits for a timer.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from contour.api.meta import Object, ObjectRef, Ref
from contour.control.blame import blamed
from contour.control.durations import Durations
from contour.control.pipeline import Pipeline, ShapeName
from contour.dag.graph import Cluster, DirectResponse, Host, Route
from contour.dag.routes import NO_BACKEND
from contour.envoy import names
from contour.envoy.resource import LISTENER, Resource, TypeUrl
from contour.reactive import ChangeSet
from contour.xds.hub import BrokenError, Hub
from contour.xds.node import Node

# An object and its new value, None for gone.
Event = tuple[ObjectRef, Object | None]
# What is published of one type: set and removed.
Published = tuple[dict[str, Resource], set[str]]

_SECOND = 1_000_000_000
# httpproxy.md §4.5: the timeout of a health check that names none.
_HEALTH_CHECK_TIMEOUT = 2 * _SECOND


# Shape, type and name of a resource.
_Name = tuple[ShapeName, TypeUrl, str]


class _Refusal(NamedTuple):
    version: str
    objects: tuple[ObjectRef, ...]


class Builds:
    """How long commits and their publishing take, and when the last one was; for the metrics."""

    def __init__(self) -> None:
        self.last = 0.0
        self.built = Durations()
        self.published = Durations()


class Loop:
    """Owns the pipeline and a hub for each shape that is served; only `run` changes them.

    `committed` is called after each commit, when its changes are published; `refused` gets an object and the text with
    which Envoy refuses something of it; `report` a line for what Envoy refuses and no object is to blame for, and for
    an error in here: what was published before stays then, and the next change is another try.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        committed: Callable[[ChangeSet], None] = lambda _: None,
        refused: Callable[[ObjectRef, str], None] = lambda *_: None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.pipeline = pipeline
        self.hubs: dict[ShapeName, Hub] = {}
        self.builds = Builds()
        self._committed = committed
        self._say_refused = refused
        self._report = report
        self._waiting: list[Event] = []
        self._begun = False
        self._news = asyncio.Event()
        # Resources that Envoy refuses, and the texts that each object was told for them.
        self._refused: dict[_Name, _Refusal] = {}
        self._told: dict[ObjectRef, dict[_Name, str]] = {}
        self._failures: dict[str, str] = {}  # what could not be done in the last step, and why; as reported
        self._behind = False  # a commit was not published
        self._lacking: set[str] = set()  # hosts of which a route has no backend
        for shape in ("scoped",):
            self._open(shape)

    def submit(self, events: Iterable[Event]) -> None:
        """Hand over changes; the first call has to hold everything, as nothing is served before it."""
        self._begun = True
        self._waiting += events
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self.hubs["scoped"].ready:
                self._step()
            else:
                self._build()
            # Sources and streams get their turn, so that what arrived meanwhile is in the next batch.
            await asyncio.sleep(0)

    def _build(self) -> None:
        """The first time. No garbage comes of it that has to be looked for, which would be a fifth of the time."""
        gc.disable()
        try:
            self._step()
        finally:
            gc.enable()
        if self.hubs["scoped"].ready:
            # What was made stays: no collection of garbage has to walk it again.
            gc.collect()
            gc.freeze()

    def hub_of(self, node: Node) -> Hub:
        """The hub for a client; a shape that nobody had asked for is built now. Raises BrokenError if it cannot be."""
        if node.shape not in self.hubs:
            self._open(node.shape)
            if self._begun:
                self._step()
        hub = self.hubs[node.shape]
        if self._failures and not hub.ready and self.hubs["scoped"].ready:  # else clients wait as during a start
            raise BrokenError(f"the configuration cannot be built: {next(iter(self._failures.values()))}")
        return hub

    def _open(self, shape: ShapeName) -> None:
        self.pipeline.shape(shape)
        self.hubs[shape] = Hub(
            on_refused=lambda *refusal: self._on_refused(shape, *refusal),
            on_accepted=lambda *acceptance: self._on_accepted(shape, *acceptance),
        )

    def _step(self) -> None:
        waiting, self._waiting = self._waiting, []
        for key, value in waiting:
            self._apply(key, value)
        failures: dict[str, str] = {}
        try:
            begun = time.perf_counter()
            changes = self.pipeline.commit(partly=True)
            built = time.perf_counter()
            failures |= _failures(changes)
            self._publish(changes)
            self._behind = False
            self.builds.last = time.time()
            self.builds.built.add(built - begun)
            self.builds.published.add(time.perf_counter() - built)
            self._committed(changes)
        except Exception as error:  # noqa: BLE001  # a bug must not take away what is served
            self._behind = True
            failures["the configuration stays as it was until the next change"] = _text(error)
        self._report_failures(failures)

    def _apply(self, key: ObjectRef, value: Object | None) -> None:
        store = self.pipeline.store
        try:
            if value is None:
                store.delete(key.kind, Ref(key.namespace, key.name))
            else:
                store.apply(value)
        except Exception as error:  # noqa: BLE001  # as in `_step`
            self._report(f"{key.kind} {key.namespace}/{key.name} is left as it was: {_text(error)}")

    def _publish(self, changes: ChangeSet) -> None:
        holds, backends = self._health_holds(changes), self._backends(changes)
        for shape, hub in self.hubs.items():
            # Envoys can do without a host, but one that comes with a configuration would lose a listener that is missing.
            if not hub.ready and not changes.failures.keys() <= {self.pipeline.graph.hosts}:
                continue
            publication, withheld = self._publication(shape, hub, changes)
            if publication or withheld or not hub.ready:
                hub.publish(publication, holds, withheld, backends)
                self._forgive(shape, hub, publication)

    def _report_failures(self, failures: dict[str, str]) -> None:
        """Once for each, however often it comes in a row."""
        before, self._failures = self._failures, failures
        for what, text in failures.items():
            if before.get(what) != text:
                self._report(f"{what}: {text}")

    def _publication(
        self, shape: ShapeName, hub: Hub, changes: ChangeSet
    ) -> tuple[dict[TypeUrl, Published], list[tuple[TypeUrl, str]]]:
        """What to publish, and what is withheld: that keeps its last good version in Envoy, as what is refused does."""
        found: dict[TypeUrl, Published] = {}
        withheld: list[tuple[TypeUrl, str]] = []
        for type_url, collection in self.pipeline.shape(shape).items():
            if hub.ready and not self._behind:
                change = changes[collection]
                present, removed = change.set, change.removed
            else:
                present = dict(collection.items())
                removed = hub.snapshot.tables[type_url].keys() - present.keys()
            resources = {name: value for name, value in present.items() if isinstance(value, Resource)}
            withheld += [(type_url, name) for name in present if name not in resources]
            withheld += [(type_url, name) for name in changes.failures.get(collection, ())]
            if resources or removed:
                found[type_url] = resources, removed
        return found, withheld

    def _health_holds(self, changes: ChangeSet) -> dict[str, float]:
        """Seconds that a new cluster may take until its first health check has passed."""
        holds = {}
        for host in changes[self.pipeline.graph.hosts].set.values():
            for cluster in host.clusters:
                if cluster.health_check is not None:
                    holds[names.upstream(cluster)] = holds[names.scoped_upstream(cluster)] = _first_check(cluster)
        return holds

    def _backends(self, changes: ChangeSet) -> dict[str, bool]:
        """Hosts of which a route has lost its last backend (False), and those whose routes all have one again (True)."""
        hosts = changes[self.pipeline.graph.hosts]
        lacking = {name for name, host in hosts.set.items() if _lacks_backend(host)}
        found = self._lacking & ((hosts.set.keys() - lacking) | hosts.removed)
        lost = lacking - self._lacking
        self._lacking |= lost
        self._lacking -= found
        return dict.fromkeys(lost, False) | dict.fromkeys(found, True)

    # --- what Envoy says ------------------------------------------------------------------------------------------

    def _on_refused(self, shape: ShapeName, type_url: TypeUrl, name: str, version: str, text: str) -> None:
        if type_url == LISTENER:
            self._report(f"Envoy refuses listener {name}: {text}")
            return
        objects = blamed(self.pipeline.graph, type_url, name)
        if not objects:
            self._report(f"Envoy refuses {type_url.rpartition('.')[2]} {name}: {text}")
        self._take_back((shape, type_url, name))
        self._refused[shape, type_url, name] = _Refusal(version, objects)
        for key in objects:
            told = self._told.setdefault(key, {})
            if text not in told.values():
                self._say_refused(key, text)
            told[shape, type_url, name] = text
            self._tell(key)

    def _on_accepted(self, shape: ShapeName, type_url: TypeUrl, name: str, version: str) -> None:
        known = self._refused.get((shape, type_url, name))
        if known is not None and known.version != version:
            self._take_back((shape, type_url, name))

    def _forgive(self, shape: ShapeName, hub: Hub, publication: Mapping[TypeUrl, Published]) -> None:
        """Refusals of what is gone, or is again as it was when Envoy took it."""
        for type_url, (resources, removed) in publication.items() if self._refused else ():
            for name in (*removed, *resources):
                if (shape, type_url, name) in self._refused and (
                    name in removed or hub.snapshot.running(type_url, name)
                ):
                    self._take_back((shape, type_url, name))

    def _take_back(self, name: _Name) -> None:
        known = self._refused.pop(name, None)
        for key in known.objects if known else ():
            del self._told[key][name]
            self._tell(key)

    def _tell(self, key: ObjectRef) -> None:
        """Bring the texts of an object up to date; the next commit puts them into its status."""
        table, told = self.pipeline.store.refusals, self._told[key]
        if told:
            table.set(key, tuple(sorted(set(told.values()))))
        else:
            table.delete(key)
            del self._told[key]
        self._news.set()


def _failures(changes: ChangeSet) -> dict[str, str]:
    """What stays as it was because of a bug, and the exception."""
    return {
        f"{source.name}[{key}] stays as it was": _text(error)
        for source, errors in changes.failures.items()
        for key, error in errors.items()
    }


def _text(error: Exception) -> str:
    """With the notes, which say what was being computed."""
    return ", ".join((f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())))


def _lacks_backend(host: Host) -> bool:
    virtual_hosts = (one for one in (host.http, host.https) if one is not None)
    return any(_no_backend(route) for one in virtual_hosts for route in one.routes)


def _no_backend(route: Route) -> bool:
    action = route.action
    return isinstance(action, DirectResponse) and action.status == NO_BACKEND.status and not action.body


def _first_check(cluster: Cluster) -> float:
    check = cluster.health_check
    return (check.timeout if check and check.timeout else _HEALTH_CHECK_TIMEOUT) / _SECOND
