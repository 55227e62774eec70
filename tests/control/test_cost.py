"""The cost of a change does not depend on how many hosts there are: the same work at 50 and at 500.

Work is counted, not timed: functions that the engine runs, and lines of Python that a commit executes, which also
shows a walk over all hosts that runs nothing.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NamedTuple

import pytest
from tests.control import sites
from tests.dag.world import Mapping, delegate, delegation, ingress, ingressroute, obj, root, secret, service, to
from tests.envoy.site import endpoints

from contour.api.decode import decode
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline, ShapeName
from contour.control.settings import Settings
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, ROUTE, SCOPED_ROUTE, SECRET, TypeUrl
from contour.testing.certs import Authority

SMALL, LARGE = 50, 500
# Room for what depends on the numbers themselves (digits in names, the room in a dictionary), not on how many.
SLACK = 1.05

ROTATED = sites.AUTHORITY.sign("*.shop.test")
OTHER_NAMES = sites.AUTHORITY.sign("*.shop.test", "*.other.test")

pytestmark = pytest.mark.xdist_group("cost")

Step = Callable[[Pipeline], None]
Counts = dict[TypeUrl, int]


class Cost(NamedTuple):
    runs: int
    lines: int
    hosts: int
    statuses: int
    resources: Counts


def built(hosts: int, *shapes: ShapeName) -> Pipeline:
    pipeline = Pipeline(Settings(), shapes or ("scoped",))
    for mapping in sites.site(hosts):
        pipeline.store.apply(decode(mapping))
    pipeline.commit()
    return pipeline


@pytest.fixture(scope="module")
def pipelines() -> tuple[Pipeline, Pipeline]:
    """Tests change them: each one leaves them as it found them."""
    return built(SMALL), built(LARGE)


@contextmanager
def counted_lines() -> Iterator[list[int]]:
    count = [0]

    def trace(_frame: FrameType, _event: str, _arg: Any) -> Any:
        count[0] += 1
        return trace

    outer = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(outer)


def cost(pipeline: Pipeline, step: Step, *, count: bool = True) -> Cost:
    """`count`: the lines too, which makes a large commit slow."""
    before = pipeline.engine.runs
    step(pipeline)
    with counted_lines() if count else nullcontext([0]) as lines:
        changes = pipeline.commit()

    def changed(collection: Any) -> int:
        return len(changes[collection].set) + len(changes[collection].removed)

    resources = {type_url: changed(one) for type_url, one in pipeline.shape("scoped").items()}
    return Cost(
        pipeline.engine.runs - before,
        lines[0],
        changed(pipeline.graph.hosts),
        changed(pipeline.statuses),
        {type_url: count for type_url, count in resources.items() if count},
    )


def applied(*mappings: Mapping) -> Step:
    objects = [decode(mapping) for mapping in mappings]

    def step(pipeline: Pipeline) -> None:
        for one in objects:
            pipeline.store.apply(one)

    return step


def deleted(*keys: tuple[str, str, str]) -> Step:
    def step(pipeline: Pipeline) -> None:
        for kind, namespace, name in keys:
            pipeline.store.delete(kind, Ref(namespace, name))

    return step


def same_at_both_sizes(pipelines: tuple[Pipeline, Pipeline], step: Step, back: Step) -> Cost:
    """The cost of `step`; the cost of `back`, which undoes it, is looked at too."""
    small, large = (cost(pipeline, step) for pipeline in pipelines)
    undo_small, undo_large = (cost(pipeline, back) for pipeline in pipelines)
    for at_small, at_large in ((small, large), (undo_small, undo_large)):
        assert at_large._replace(lines=0) == at_small._replace(lines=0)
        assert at_large.lines <= SLACK * at_small.lines
    return large


TLS = {"tls": {"secretName": "vault/wild"}}
H4, H5 = sites.host(4), sites.host(5)  # H5 has TLS
EDITS: dict[str, tuple[Mapping, Mapping, Counts]] = {
    "a route of a host": (sites.host(4, routes=[to("h4")]), H4, {SCOPED_ROUTE: 1}),
    "a route of a TLS host": (sites.host(5, routes=[to("h5")]), H5, {SCOPED_ROUTE: 2}),
    "a TLS version": (
        sites.host(5, virtualhost={"tls": {"secretName": "vault/wild", "minimumProtocolVersion": "1.3"}}),
        H5,
        # The old group's scope now says 421, the new group has one; its exact name is a chain of its own.
        {SCOPED_ROUTE: 2, LISTENER: 1},
    ),
    "the name of a host": (root("h4", "moved.shop.test", sites.SINCE, routes=[to("h4")]), H4, {SCOPED_ROUTE: 2}),
    "limits of a service": (
        service("h4", metadata={"annotations": {"projectcontour.io/max-connections": "8"}}),
        service("h4"),
        {CLUSTER: 1},
    ),
    "a port's name of a service": (
        service("h4", {"name": "other", "port": 80}), service("h4"), {CLUSTER: 1, ENDPOINTS: 2},
    ),
    "a service that nobody uses": (service("spare", {"name": "x", "port": 81}), service("spare"), {}),
    "an endpoint of a host": (
        endpoints("h4", 8081), endpoints("h4", 8080, address="10.1.0.4"), {ENDPOINTS: 1},
    ),
    "an endpoint of what all hosts use": (
        endpoints("common", 8081), endpoints("common", 8080, address="10.0.0.2"), {ENDPOINTS: 1},
    ),
    "an endpoint of the older kind": (sites.older("10.0.0.8"), sites.older(), {ENDPOINTS: 1}),
    "the certificate of half the hosts": (sites.certificate(ROTATED), sites.certificate(), {SECRET: 1}),
    "the names in the certificate of half the hosts": (sites.certificate(OTHER_NAMES), sites.certificate(), {SECRET: 1}),
    "a secret that nobody uses": (sites.certificate(ROTATED, "vault/spare"), sites.certificate(name="vault/spare"), {}),
    "whom a grant that all use permits": (sites.grant("shop", "shared", "x"), sites.grant("*"), {}),
    "another grant": (delegation("vault/other", "other", "*"), delegation("vault/other", "other", "shop"), {}),
    "an ingress": (
        ingress("old", "old.test", sites.SINCE, paths={"/": "common", "/more": "common"}),
        ingress("old", "old.test", sites.SINCE, paths={"/": "common"}),
        {SCOPED_ROUTE: 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit(name: str, pipelines: tuple[Pipeline, Pipeline]) -> None:
    edit, back, resources = EDITS[name]
    assert same_at_both_sizes(pipelines, applied(edit), applied(back)).resources == resources


def test_a_host_comes_and_goes(pipelines: tuple[Pipeline, Pipeline]) -> None:
    new = applied(service("new"), endpoints("new", 8080), root("new", "new.shop.test", sites.SINCE, routes=[to("new")]))
    back = deleted(("HTTPProxy", "shop", "new"), ("EndpointSlice", "shop", "new-1"), ("Service", "shop", "new"))
    found = same_at_both_sizes(pipelines, new, back)
    assert found.resources == {CLUSTER: 1, ENDPOINTS: 1, SCOPED_ROUTE: 1}
    assert (found.hosts, found.statuses) == (1, 1)


@pytest.mark.parametrize("created", ["", sites.SINCE, "2026-12-31T00:00:00Z"])  # older, as old, younger
def test_a_tls_host_comes_and_goes_behind_a_certificate_that_others_use(
    created: str, pipelines: tuple[Pipeline, Pipeline]
) -> None:
    new = root("new", "new.shop.test", created, virtualhost=TLS, routes=[to("common")])
    found = same_at_both_sizes(pipelines, applied(new), deleted(("HTTPProxy", "shop", "new")))
    assert found.resources == {SCOPED_ROUTE: 2}  # no listener


def test_a_second_claimant_of_a_host(pipelines: tuple[Pipeline, Pipeline]) -> None:
    new = root("new", "h5.shop.test", routes=[to("common")])
    found = same_at_both_sizes(pipelines, applied(new), deleted(("HTTPProxy", "shop", "new")))
    assert found.resources == {CLUSTER: 1, ENDPOINTS: 1, SCOPED_ROUTE: 2}
    assert found.statuses == 2


def test_one_of_the_hosts_of_an_ingress() -> None:
    """It does not look at what the Ingress says about the others."""
    pipelines = tuple(map(_of_one_ingress, (SMALL, LARGE)))
    edit = service("own", metadata={"annotations": {"projectcontour.io/max-connections": "8"}})
    found = same_at_both_sizes((pipelines[0], pipelines[1]), applied(edit), applied(service("own")))
    assert (found.hosts, found.resources) == (1, {CLUSTER: 1})


def _of_one_ingress(hosts: int) -> Pipeline:
    names = [f"h{number}.shop.test" for number in range(hosts)]
    one = ingress("many", names[4], tls="wild", paths={"/": "own"})
    for name in names[:4] + names[5:]:
        spec = ingress("many", name, tls="wild", paths={"/": "common"})["spec"]
        one["spec"]["rules"] += spec["rules"]
        one["spec"]["tls"] += spec["tls"]
    pipeline = Pipeline(Settings())
    for mapping in (one, service("own"), service("common"), sites.certificate(name="shop/wild")):
        pipeline.store.apply(decode(mapping))
    pipeline.commit()
    return pipeline


def test_a_chain_of_delegations_costs_its_length() -> None:
    lines = []
    for length in (SMALL, LARGE):
        pipeline = Pipeline(Settings())
        children = (ingressroute(f"c{at}", routes=[delegate("/", f"c{at + 1}")]) for at in range(length))
        for mapping in (service(), ingressroute("root", "shop.test", routes=[delegate("/", "c0")]), *children):
            pipeline.store.apply(decode(mapping))
        pipeline.commit()
        found = cost(pipeline, applied(ingressroute(f"c{length}")))
        assert found.hosts == 1
        lines.append(found.lines)
    assert lines[1] <= SLACK * lines[0] * LARGE / SMALL


def test_a_refusal_by_envoy(pipelines: tuple[Pipeline, Pipeline]) -> None:
    key = ObjectRef("HTTPProxy", "shop", "h4")
    found = same_at_both_sizes(
        pipelines,
        lambda pipeline: pipeline.store.refusals.set(key, ("no such filter",)),
        lambda pipeline: pipeline.store.refusals.delete(key),
    )
    assert (found.statuses, found.resources) == (1, {})


# --- what changes nothing -------------------------------------------------------------------------------------------

TOUCHED: dict[str, Mapping] = {
    "a root": H5,
    "the child of all hosts": sites.child(),
    "a service": service("h4"),
    "the service of all hosts": service("common"),
    "the TLS service of all hosts": service("shared/all"),
    "the certificate of half the hosts": sites.certificate(),
    "the authority that all hosts trust": sites.authority(),
    "the grant that all hosts use": sites.grant("*"),
    "the endpoints of all hosts": endpoints("common", 8080, address="10.0.0.2"),
    "endpoints of the older kind": sites.older(),
    "an ingress": ingress("old", "old.test", sites.SINCE, paths={"/": "common"}),
    "a namespace": obj("Namespace", "v1", "/shop"),
    "an ingress class": obj("IngressClass", "networking.k8s.io/v1", "/contour"),
}
LOAD_BALANCER = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
STATUS = {"currentStatus": "valid", "description": "Valid HTTPProxy"}
WAYS: dict[str, Callable[[Mapping], Mapping]] = {
    "annotations": lambda mapping: _with(mapping, annotations={"note": "touched"}),
    "labels": lambda mapping: _with(mapping, labels={"note": "touched"}),
    "resourceVersion": lambda mapping: _with(mapping, resourceVersion="4711"),
    "managedFields": lambda mapping: _with(mapping, managedFields=[{"manager": "kubectl", "operation": "Update"}]),
    "status": lambda mapping: mapping | {"status": STATUS if mapping["kind"] == "HTTPProxy" else LOAD_BALANCER},
    "nothing": copy.deepcopy,
}


def _with(mapping: Mapping, **metadata: Any) -> Mapping:
    touched = copy.deepcopy(mapping)
    for key, value in metadata.items():
        before = touched["metadata"].get(key)
        touched["metadata"][key] = before | value if isinstance(before, dict) else value
    return touched


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", TOUCHED)
def test_a_touch_costs_next_to_nothing_and_changes_nothing(
    what: str, way: str, pipelines: tuple[Pipeline, Pipeline]
) -> None:
    found = same_at_both_sizes(pipelines, applied(WAYS[way](TOUCHED[what])), applied(TOUCHED[what]))
    assert (found.hosts, found.resources) == (0, {})
    assert found.runs <= (0 if way == "nothing" else 2)
    if way != "status":  # an observed status may have to be put right
        assert found.statuses == 0


@pytest.mark.parametrize("way", [way for way in WAYS if way != "status"])
def test_a_touch_of_the_service_whose_address_is_in_all_statuses(
    way: str, pipelines: tuple[Pipeline, Pipeline]
) -> None:
    found = same_at_both_sizes(pipelines, applied(WAYS[way](sites.envoy())), applied(sites.envoy()))
    assert (found.hosts, found.statuses, found.resources) == (0, 0, {})


def test_a_new_generation_is_written_to_the_status_of_its_object_alone(pipelines: tuple[Pipeline, Pipeline]) -> None:
    found = same_at_both_sizes(pipelines, applied(_with(sites.child(), generation=7)), applied(sites.child()))
    assert (found.hosts, found.resources, found.statuses) == (0, {}, 1)


# --- what all hosts do read ----------------------------------------------------------------------------------------

SHARED: dict[str, tuple[Mapping, Mapping, Counts]] = {
    "limits of the service of all hosts": (
        service("common", metadata={"annotations": {"projectcontour.io/max-connections": "8"}}),
        service("common"),
        {CLUSTER: 1},
    ),
    "the authority that all hosts trust": (
        sites.authority(Authority("next").certificate), sites.authority(), {CLUSTER: 1},
    ),
}  # fmt: skip
READERS = 4  # runs for each host that reads it: the host, its TLS member, its scopes


@pytest.mark.parametrize("what", SHARED)
def test_an_upstream_of_all_hosts_runs_each_of_them_once_and_changes_one_resource(
    what: str, pipelines: tuple[Pipeline, Pipeline]
) -> None:
    """Hosts hold their clusters by value."""
    edit, back, resources = SHARED[what]
    for pipeline, hosts in zip(pipelines, (SMALL, LARGE), strict=True):
        found = cost(pipeline, applied(edit), count=False)
        assert found.resources == resources
        assert found.runs <= READERS * (hosts + 5)
        cost(pipeline, applied(back), count=False)


def test_a_certificate_that_goes_bad_takes_down_its_hosts_alone(pipelines: tuple[Pipeline, Pipeline]) -> None:
    for pipeline, hosts in zip(pipelines, (SMALL, LARGE), strict=True):
        found = cost(pipeline, applied(secret("vault/wild")), count=False)
        assert found.hosts == found.statuses == hosts // 2 + 1  # and the wildcard host
        cost(pipeline, applied(sites.certificate()), count=False)


def test_a_tls_wildcard_host_runs_the_chain_of_no_other_one() -> None:
    """Scope and listener of a group's wildcard hosts are joined from pieces, whose number grows."""

    def wildcard(name: str) -> Mapping:
        tls = {"virtualhost": {"tls": {"secretName": "vault/wild"}}}
        return root(name, f"*.{name}.shop.test", sites.SINCE, routes=[to("common")], **tls)

    found = []
    for hosts in (SMALL, LARGE):
        pipeline = Pipeline(Settings())
        for mapping in (*sites.shared(), *(wildcard(f"w{number}") for number in range(hosts))):
            pipeline.store.apply(decode(mapping))
        pipeline.commit()
        steps = (applied(wildcard("new")), deleted(("HTTPProxy", "shop", "new")))
        found.append([cost(pipeline, step, count=False).runs for step in steps])
    assert found[0] == found[1]


def test_the_classic_shape_runs_as_little() -> None:
    """Its aggregates are joined from pieces: their size grows, the number of functions that run does not."""
    small, large = built(SMALL, "classic"), built(LARGE, "classic")
    for name in ("a route of a host", "limits of a service", "an endpoint of a host", "an ingress"):
        edit, back, _ = EDITS[name]
        runs = {cost(pipeline, applied(edit), count=False).runs for pipeline in (small, large)}
        assert len(runs) == 1, name
        for pipeline in (small, large):
            cost(pipeline, applied(back), count=False)
    changes = cost(large, applied(sites.host(4, routes=[to("h4")])), count=False)
    assert changes.hosts == 1
    assert len(dict(large.shape("classic")[ROUTE].items())) == LARGE // 2 + 2
