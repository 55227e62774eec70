"""What events add up to: after any sequence, the state of a build from scratch of the objects that are left.

Graph, statuses and the bytes of all resources in both shapes, after each commit. `CONTOUR_EXAMPLES` in the environment
is how many sequences are tried.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.control import universe

from contour.api.decode import decode
from contour.api.meta import Object, ObjectRef, Ref
from contour.api.projectcontour import AuthorizationServer, ExtensionServiceReference
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy.resource import Withheld
from contour.reactive import ChangeSet, Collection, Derived

EXAMPLES = int(os.environ.get("CONTOUR_EXAMPLES", "100"))
pytestmark = pytest.mark.timeout(360 + EXAMPLES)  # to make a failure small takes hypothesis up to five minutes

BOTH = ("scoped", "classic")
SETTINGS = (
    Settings(),
    Settings(graph=GraphOptions(enable_external_name=True, loopback_endpoints=True), status_address="192.0.2.9"),
    Settings(graph=GraphOptions(root_namespaces=("shop", "vault"), disable_permit_insecure=True)),
    Settings(graph=GraphOptions(ingress_class_names=("z", "another"))),
    Settings(
        graph=GraphOptions(
            fallback_certificate=Ref("vault", "cert"),
            client_certificate=Ref("team", "cert"),
            authorization=AuthorizationServer(ExtensionServiceReference(namespace="shop", name="auth")),
        )
    ),
)

Contents = dict[str, dict[Any, Any]]
Stored = dict[tuple[str, Ref], Object]


def collections(pipeline: Pipeline) -> dict[str, Collection[Any, Any]]:
    """All that is to be the same, and that changes are reported of."""
    found: dict[str, Collection[Any, Any]] = {
        "hosts": pipeline.graph.hosts,
        "proxies": pipeline.graph.proxies,
        "ingressroutes": pipeline.graph.ingressroutes,
        "statuses": pipeline.statuses,
    }
    for name in BOTH:
        found |= {f"{name} {type_url}": one for type_url, one in pipeline.shape(name).items()}
    return found


def contents(pipeline: Pipeline) -> Contents:
    return {name: dict(one.items()) for name, one in collections(pipeline).items()}


def scratch(settings_: Settings, objects: Iterable[Object]) -> Contents:
    pipeline = Pipeline(settings_, BOTH)
    for obj in objects:
        pipeline.store.apply(obj)
    pipeline.commit()
    return contents(pipeline)


def follow(accumulated: Contents, changes: ChangeSet, pipeline: Pipeline) -> None:
    """Do to `accumulated` what the changes say, which must all be changes."""
    for name, collection in collections(pipeline).items():
        mine = accumulated.setdefault(name, {})
        reported = changes[collection]
        for key in reported.removed:
            del mine[key]
        for key, value in reported.set.items():
            assert mine.get(key) != value, f"{name}: {key} is reported without a change"
            mine[key] = value


class Sequence:
    """The pipeline under test, the objects that it should know now, and the sum of what it has reported."""

    def __init__(self, settings_: Settings, shapes: Iterable[Any] = BOTH) -> None:
        self.settings = settings_
        self.pipeline = Pipeline(settings_, tuple(shapes))
        self.stored: Stored = {}
        self.accumulated: Contents = {}

    def apply(self, obj: Object) -> None:
        self.stored[obj.kind, obj.ref] = obj
        self.pipeline.store.apply(obj)

    def delete(self, kind: str, ref: Ref) -> None:
        self.stored.pop((kind, ref), None)
        self.pipeline.store.delete(kind, ref)

    def commit(self) -> None:
        follow(self.accumulated, self.pipeline.commit(), self.pipeline)

    def check(self, rng: random.Random) -> None:
        """Against a build from scratch, in an order of its own; and nothing is left to do."""
        objects = list(self.stored.values())
        rng.shuffle(objects)
        wanted = scratch(self.settings, objects)
        got = contents(self.pipeline)
        for name, values in wanted.items():
            assert got[name] == values, name
        assert self.accumulated == wanted
        runs = self.pipeline.engine.runs
        assert not self.pipeline.commit()
        assert self.pipeline.engine.runs == runs


deletions = st.tuples(st.just("delete"), st.integers(0, 40))
"""Of the n-th object of those that are there."""
applications = st.tuples(st.just("apply"), universe.objects)
batches = st.lists(applications | deletions, min_size=1, max_size=5)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.sampled_from(SETTINGS),
    basis=st.sampled_from((True, True, True, False)),
    first=st.lists(universe.objects, min_size=6, max_size=16),
    then=st.lists(batches, min_size=2, max_size=6),
    rng=st.randoms(use_true_random=False),
)
def test_events_add_up_to_the_state_of_a_build_from_scratch(
    which: Settings,
    basis: bool,
    first: list[Mapping[str, Any]],
    then: list[list[tuple[str, Any]]],
    rng: random.Random,
) -> None:
    sequence = Sequence(which)
    for mapping in (*(universe.BASIS if basis else ()), *first):
        sequence.apply(decode(mapping))
    sequence.commit()
    sequence.check(rng)
    for batch in then:
        for what, arg in batch:
            if what == "apply":
                sequence.apply(decode(arg))
            elif sequence.stored:
                sequence.delete(*sorted(sequence.stored)[arg % len(sequence.stored)])
        sequence.commit()
        sequence.check(rng)
    _repeat(sequence)
    _tell(sequence)


def _repeat(sequence: Sequence) -> None:
    """Each object once more, decoded anew, and a deletion of what is not there: nobody runs."""
    pipeline = sequence.pipeline
    runs = pipeline.engine.runs
    for obj in sequence.stored.values():
        pipeline.store.apply(type(obj)(**{name: getattr(obj, name) for name in obj.__struct_fields__}))
    for kind in pipeline.store.kinds:
        pipeline.store.delete(kind, Ref("nowhere", "nothing"))
    assert not pipeline.commit()
    assert pipeline.engine.runs == runs


def _tell(sequence: Sequence) -> None:
    """For `--hypothesis-show-statistics`: how much of the universe the sequences meet."""
    found = contents(sequence.pipeline)
    if any(isinstance(value, Withheld) for values in found.values() for value in values.values()):
        event("something is withheld")
    if any(name.endswith("ScopedRouteConfiguration") and len(values) > 3 for name, values in found.items()):
        event("more than three scopes")
    for host in found["hosts"].values():
        if host.https is not None:
            event("a TLS host")
    for status in found["statuses"].values():
        for condition in status.get("conditions", ()):
            for error in condition.get("errors", ()):
                event(f"{error['type']} {error['reason']}")
        if "conditions" not in status and "description" in status:
            event(f"IngressRoute {status['description'].split(':')[0][:40]}")


@settings(max_examples=max(20, EXAMPLES // 4), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.lists(universe.objects, min_size=3, max_size=10),
    then=st.lists(universe.objects, max_size=6),
    rng=st.randoms(use_true_random=False),
)
def test_a_shape_that_is_attached_late_is_the_same(
    first: list[Mapping[str, Any]], then: list[Mapping[str, Any]], rng: random.Random
) -> None:
    sequence = Sequence(Settings(), ("scoped",))
    for mapping in (*universe.BASIS, *first):
        sequence.apply(decode(mapping))
    sequence.pipeline.commit()
    sequence.pipeline.shape("classic")
    sequence.pipeline.commit()
    sequence.accumulated = contents(sequence.pipeline)
    sequence.check(rng)
    for mapping in then:
        sequence.apply(decode(mapping))
    sequence.commit()
    sequence.check(rng)


@settings(max_examples=max(20, EXAMPLES // 4), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=st.lists(universe.objects, min_size=6, max_size=16), rng=st.randoms(use_true_random=False))
def test_what_is_deleted_leaves_nothing_behind(first: list[Mapping[str, Any]], rng: random.Random) -> None:
    sequence = Sequence(Settings())
    sequence.commit()
    empty, cells = contents(sequence.pipeline), sequence.pipeline.engine.cells
    for mapping in (*universe.BASIS, *first):
        sequence.apply(decode(mapping))
    sequence.commit()
    keys = sorted(sequence.stored)
    rng.shuffle(keys)
    for number, key in enumerate(keys):
        sequence.delete(*key)
        if number % 4 == 0:
            sequence.commit()
    sequence.commit()
    assert sequence.accumulated == empty
    assert sequence.pipeline.engine.cells == cells


def test_what_is_settled_early_reads_only_what_is_settled_before() -> None:
    """Else a change of the latter would come too late for its commit, which then raises."""
    pipeline = Pipeline(SETTINGS[-1], BOTH)
    for mapping in (*universe.BASIS, *universe.EXTRA_HOSTS):
        pipeline.store.apply(decode(mapping))
    pipeline.commit()
    eager = [source for source in pipeline.engine.sources if isinstance(source, Derived) and source.stale is not None]
    for number, source in enumerate(eager):
        todo: list[Any] = list(source._cells.values())
        assert todo or source.name in _NOT_READ, source.name
        for cell in todo:  # grows
            for node in getattr(cell, "deps", ()):
                owner = node.owner
                if owner in eager:
                    assert eager.index(owner) < number, f"{source.name} reads {owner.name}"
                elif isinstance(owner, Derived) and node not in todo:
                    todo.append(node)


# By nothing in the universe: lists of revoked certificates.
_NOT_READ = ("CRL", "CRL error")


def test_a_refusal_by_envoy_comes_and_goes_with_its_report() -> None:
    sequence = Sequence(Settings())
    for mapping in (*universe.BASIS, universe.proxy("shop/a", virtualhost={"fqdn": "one.test"})):
        sequence.apply(decode(mapping))
    sequence.commit()
    before = contents(sequence.pipeline)
    key = ObjectRef("HTTPProxy", "shop", "a")
    sequence.pipeline.store.refusals.set(key, ("no such filter",))
    sequence.commit()
    assert sequence.accumulated["statuses"] != before["statuses"]
    sequence.pipeline.store.refusals.delete(key)
    sequence.commit()
    assert sequence.accumulated == before
