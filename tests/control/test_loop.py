"""The loop with a hub and a client that answers as an Envoy does; the pipeline is the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contour.api.admission import admit
from contour.api.meta import ObjectRef
from contour.control import pipeline
from contour.control.loop import Event, Loop
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.dag import build
from contour.dag.graph import Host
from contour.envoy.resource import CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE, TypeUrl
from contour.reactive import ChangeSet, Read
from contour.xds.events import DeltaRequest
from contour.xds.hub import BrokenError, Hub, Session
from contour.xds.messages import DeltaDiscoveryResponse
from contour.xds.node import Node

NODE = Node(id="envoy", agent="envoy", metadata={"contour": {"shape": "scoped"}})


def set_(value: dict[str, Any]) -> Event:
    obj = admit(value)
    return ObjectRef(obj.kind, *obj.ref), obj


def service(name: str = "web") -> Event:
    return set_(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
         "spec": {"ports": [{"port": 80}]}}
    )  # fmt: skip


def proxy(name: str = "a", **route: Any) -> Event:
    route.setdefault("services", [{"name": "web", "port": 80}])
    return set_(
        {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "metadata": {"name": name, "namespace": "shop"},
         "spec": {"virtualhost": {"fqdn": f"{name}.test"}, "routes": [route]}}
    )  # fmt: skip


A = ObjectRef("HTTPProxy", "shop", "a")
B = ObjectRef("HTTPProxy", "shop", "b")


class Running:
    """A loop, and what it told."""

    def __init__(self) -> None:
        self.commits: list[ChangeSet] = []
        self.reports: list[str] = []
        self.pipeline = Pipeline(Settings())
        self.loop = Loop(self.pipeline, committed=self.commits.append, report=self.reports.append)
        self.task = asyncio.ensure_future(self.loop.run())

    @property
    def hub(self) -> Hub:
        return self.loop.hubs["scoped"]

    def status(self, key: ObjectRef = A) -> list[tuple[str, str, str]]:
        """The errors in an object's status."""
        (condition,) = self.pipeline.statuses.get(key)["conditions"]
        return [(error["type"], error["reason"], error["message"]) for error in condition.get("errors", ())]


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    yield running
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)


async def settle() -> None:
    """Everything that is waiting for its turn has had it."""
    for _ in range(10):
        await asyncio.sleep(0)


class Envoy:
    """A client of one resource type: it acknowledges, or refuses what begins with a key of `refuses`."""

    def __init__(self, hub: Hub, type_url: TypeUrl) -> None:
        self.refuses: dict[str, str] = {}
        self.resources: dict[str, bytes] = {}
        self._type = type_url
        self._session: Session = hub.open(NODE, delta=True)
        self._session.feed(DeltaRequest(type_url, subscribe=("*",)))
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async for data in self._session.responses():
            response = DeltaDiscoveryResponse.FromString(data)
            texts = [
                text for r in response.resources for start, text in self.refuses.items() if r.name.startswith(start)
            ]
            if not texts:
                self.resources |= {r.name: r.resource.value for r in response.resources}
                for name in response.removed_resources:
                    self.resources.pop(name, None)
            self._session.feed(DeltaRequest(self._type, nonce=response.nonce, error=texts[0] if texts else None))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_nothing_is_served_before_the_first_submission(running: Running) -> None:
    await settle()
    assert not running.hub.ready
    running.loop.submit([])
    await settle()
    assert running.hub.ready
    assert "stats-health" in running.hub.snapshot.tables[LISTENER]


async def test_a_burst_is_one_commit_and_an_isolated_change_is_at_once(running: Running) -> None:
    for number in range(50):
        running.loop.submit([proxy(f"h{number}")])
    await settle()
    assert len(running.commits) == 1
    running.loop.submit([service()])
    await settle()
    assert len(running.commits) == 2
    assert len(running.hub.snapshot.tables[SCOPED_ROUTE]) == 50


async def test_what_changes_nothing_is_not_published(running: Running) -> None:
    envoy = Envoy(running.hub, SCOPED_ROUTE)
    running.loop.submit([service(), proxy()])
    await settle()
    before = dict(running.hub.counters.messages)
    assert sum(before.values()) == 1
    running.loop.submit([service(), proxy()])
    running.loop.submit([service("unrelated")])
    await settle()
    assert running.hub.counters.messages == before
    await envoy.stop()


async def test_a_removed_object_is_removed(running: Running) -> None:
    running.loop.submit([service(), proxy()])
    await settle()
    running.loop.submit([(A, None), (ObjectRef("Secret", "shop", "never"), None)])
    await settle()
    assert running.hub.snapshot.tables[SCOPED_ROUTE] == {}
    assert running.hub.snapshot.tables[CLUSTER] == {}


async def test_a_shape_is_built_when_somebody_asks_for_it(running: Running) -> None:
    running.loop.submit([service(), proxy()])
    await settle()
    classic = running.loop.hub_of(Node(id="contourcli"))
    assert classic.ready
    assert "ingress_http" in classic.snapshot.tables[ROUTE]
    assert classic is running.loop.hub_of(Node(id="another"))
    before = classic.snapshot.tables[ROUTE]["ingress_http"].version
    running.loop.submit([proxy("b")])
    await settle()
    assert classic.snapshot.tables[ROUTE]["ingress_http"].version != before


async def test_a_shape_that_is_asked_for_before_anything_is_there_waits(running: Running) -> None:
    assert not running.loop.hub_of(Node(id="contourcli")).ready
    running.loop.submit([service(), proxy()])
    await settle()
    assert running.loop.hubs["classic"].ready


async def test_a_refused_resource_is_a_verdict_until_a_better_one_is_accepted(running: Running) -> None:
    running.loop.submit([service(), proxy(), proxy("b")])
    envoy = Envoy(running.hub, SCOPED_ROUTE)
    await settle()
    assert running.status() == []
    envoy.refuses = {"http/a.test": "no such thing"}
    running.loop.submit([proxy(conditions=[{"prefix": "/x"}])])
    await settle()
    assert running.status() == [("EnvoyError", "Rejected", "no such thing")]
    assert running.status(ObjectRef("HTTPProxy", "shop", "b")) == []
    envoy.refuses = {"http/a.test": "nor such"}
    running.loop.submit([proxy(conditions=[{"prefix": "/y"}])])
    await settle()
    assert running.status() == [("EnvoyError", "Rejected", "nor such")]
    envoy.refuses = {}
    running.loop.submit([proxy(conditions=[{"prefix": "/z"}])])
    await settle()
    assert running.status() == []
    await envoy.stop()


async def test_going_back_to_what_envoy_has_clears_the_refusal(running: Running) -> None:
    running.loop.submit([service(), proxy()])
    envoy = Envoy(running.hub, SCOPED_ROUTE)
    await settle()
    envoy.refuses = {"http/a.test": "no such thing"}
    running.loop.submit([proxy(conditions=[{"prefix": "/x"}])])
    await settle()
    assert running.status() != []
    running.loop.submit([proxy()])
    await settle()
    assert running.status() == []
    running.loop.submit([proxy(conditions=[{"prefix": "/x"}])])  # known to be refused: told again, not sent again
    await settle()
    assert running.status() == [("EnvoyError", "Rejected", "no such thing")]
    envoy.refuses = {}
    running.loop.submit([(A, None)])
    await settle()
    running.loop.submit([proxy()])
    await settle()
    assert running.status() == []
    await envoy.stop()


async def test_a_refused_cluster_is_told_to_the_objects_that_route_to_it(running: Running) -> None:
    envoy = Envoy(running.hub, CLUSTER)
    running.loop.submit([service(), service("other"), proxy()])
    await settle()
    envoy.refuses = {"shop/other/": "no"}
    running.loop.submit([proxy("b", services=[{"name": "other", "port": 80}])])
    await settle()
    assert running.status(ObjectRef("HTTPProxy", "shop", "b")) == [("EnvoyError", "Rejected", "no")]
    assert running.status() == []
    await envoy.stop()


async def test_a_refused_listener_is_reported(running: Running) -> None:
    envoy = Envoy(running.hub, LISTENER)
    envoy.refuses = {
        "ingress_http": "Error adding/updating listener(s) ingress_http: cannot bind '0.0.0.0:8080': Address already in use"
    }
    running.loop.submit([service(), proxy()])
    await settle()
    assert any("Envoy refuses listener ingress_http" in line and "cannot bind" in line for line in running.reports)
    assert running.status() == []
    await envoy.stop()


async def test_what_is_withheld_keeps_its_last_good_version(running: Running) -> None:
    running.loop.submit([service(), proxy()])
    await settle()
    before = running.hub.snapshot.tables[SCOPED_ROUTE]["http/a.test"]
    empty = {"name": "", "contains": "x"}
    running.loop.submit([proxy(conditions=[{"prefix": "/"}, {"queryParameter": empty}])])
    await settle()
    assert running.status()[0][:2] == ("EnvoyError", "Rejected")
    assert running.hub.snapshot.tables[SCOPED_ROUTE]["http/a.test"] is before


def breaks(pipeline: Pipeline, name: str = "fragile") -> None:
    """From here on there is something that no host called `broken.test` goes through."""

    def fragile(_read: Read, host: str) -> str:
        if host == "broken.test":
            raise ZeroDivisionError("that was not foreseen")
        return host

    pipeline.engine.collection(name, (pipeline.graph.hosts,), fragile)


BROKEN = "fragile[broken.test] stays as it was: ZeroDivisionError: that was not foreseen, in fragile[broken.test]"


async def test_an_error_in_a_second_shape_leaves_the_first_alone(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach = pipeline._ATTACH["classic"]

    def fragile(*arguments: Any) -> pipeline.Shape:
        breaks(running.pipeline)
        return attach(*arguments)

    monkeypatch.setitem(pipeline._ATTACH, "classic", fragile)
    running.loop.submit([service(), proxy(), proxy("broken")])
    await settle()
    for _ in range(2):
        with pytest.raises(BrokenError, match="cannot be built: ZeroDivisionError: that was not foreseen"):
            running.loop.hub_of(Node(id="contourcli"))
    running.loop.submit([proxy("b")])
    await settle()
    assert "http/b.test" in running.hub.snapshot.tables[SCOPED_ROUTE]
    assert running.reports == [BROKEN]

    running.loop.submit([(ObjectRef("HTTPProxy", "shop", "broken"), None)])
    await settle()
    classic = running.loop.hub_of(Node(id="contourcli"))
    assert b"b.test" in classic.snapshot.tables[ROUTE]["ingress_http"].body

    running.loop.submit([proxy("broken"), proxy("c")])
    await settle()
    assert running.loop.hub_of(Node(id="contourcli")) is classic  # once it has begun, a failure stops nothing else
    assert b"c.test" in classic.snapshot.tables[ROUTE]["ingress_http"].body
    assert "http/c.test" in running.hub.snapshot.tables[SCOPED_ROUTE]
    assert not running.task.done()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Hosts that cannot be built."""
    names: set[str] = set()
    assembled = build._assembled

    def fragile(name: str, *arguments: Any) -> Host:
        if name in names:
            raise ZeroDivisionError("that was not foreseen")
        return assembled(name, *arguments)

    monkeypatch.setattr(build, "_assembled", fragile)
    return names


async def test_an_error_of_one_host_holds_up_no_other(running: Running, broken: set[str]) -> None:
    running.loop.submit([service(), proxy(), proxy("b")])
    await settle()
    scopes = running.hub.snapshot.tables[SCOPED_ROUTE]
    before = scopes["http/a.test"]

    broken |= {"a.test", "new.test"}
    running.loop.submit([proxy(conditions=[{"prefix": "/x"}]), proxy("new"), proxy("c"), (B, None)])
    await settle()
    assert scopes["http/a.test"] is before
    assert "http/c.test" in scopes
    assert not scopes.keys() & {"http/b.test", "http/new.test"}
    assert sorted(running.reports) == [
        f"hosts[{name}] stays as it was: ZeroDivisionError: that was not foreseen, in hosts[{name}]"
        for name in ("a.test", "new.test")
    ]

    broken.clear()
    running.loop.submit([proxy("d")])  # with whatever change they are tried again
    await settle()
    assert b"/x" in scopes["http/a.test"].body
    assert {"http/new.test", "http/d.test"} <= scopes.keys()
    assert len(running.reports) == 2
    assert not running.task.done()


async def test_an_error_of_one_host_does_not_keep_the_others_from_a_start(running: Running, broken: set[str]) -> None:
    broken.add("a.test")
    running.loop.submit([service(), proxy(), proxy("b")])
    await settle()
    assert running.loop.hub_of(NODE).ready
    scopes = running.hub.snapshot.tables[SCOPED_ROUTE]
    assert "http/b.test" in scopes
    assert "http/a.test" not in scopes
    assert len(running.reports) == 1


async def test_an_error_after_a_commit_loses_nothing_of_it(running: Running) -> None:
    running.loop.submit([service(), proxy()])
    await settle()

    def fails(*_: Any) -> None:
        raise OSError("no room")

    publish = running.hub.publish
    running.hub.publish = fails  # type: ignore[method-assign]
    running.loop.submit([proxy("b"), (A, None)])
    await settle()
    assert running.reports == ["the configuration stays as it was until the next change: OSError: no room"]
    running.hub.publish = publish  # type: ignore[method-assign]
    running.loop.submit([proxy("c")])
    await settle()
    scopes = running.hub.snapshot.tables[SCOPED_ROUTE]
    assert {"http/b.test", "http/c.test"} <= scopes.keys()
    assert "http/a.test" not in scopes


async def test_an_error_in_the_first_commit_is_told_and_the_next_is_served(running: Running) -> None:
    breaks(running.pipeline)
    running.loop.submit([service(), proxy("broken")])
    await settle()
    assert running.reports == [BROKEN]
    hub = running.loop.hub_of(NODE)
    assert not hub.ready
    envoy = Envoy(hub, SCOPED_ROUTE)  # waits, rather than to come back at a time of its own
    running.loop.submit([(ObjectRef("HTTPProxy", "shop", "broken"), None), proxy()])
    await settle()
    assert "http/a.test" in envoy.resources
    await envoy.stop()
