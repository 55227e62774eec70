"""The graph as a whole: what an edit re-runs, and that events in any order end in the same graph."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dag.world import VALID, World, delegation, ingress, proxy, root, secret, service, serving, to

from contour.api.meta import Ref
from contour.dag.secrets import ServingSecret
from contour.dag.verdict import Invalid

TLS = {"tls": {"secretName": "cert"}}


def runs(world: World) -> int:
    return world.graph.hosts.runs


def test_an_edit_re_runs_the_hosts_that_read_it() -> None:
    world = World(
        service("web"),
        root("a", "a.test", includes=[{"name": "child"}]),
        root("b", "b.test", includes=[{"name": "child"}]),
        *(root(f"site{i}", f"site{i}.test") for i in range(50)),
        proxy("child", routes=[to("web")]),
    )
    before = runs(world)
    world.apply(proxy("child", routes=[to("web", "/x")]))
    assert runs(world) - before == 2
    assert set(world.changes[world.graph.hosts].set) == {"a.test", "b.test"}
    world.apply(root("site1", "site1.test", routes=[to("web", "/x")]))
    assert runs(world) - before == 3


def test_what_does_not_matter_re_runs_nothing() -> None:
    world = World(service("web"), serving("cert"), root("site", "shop.test", virtualhost=TLS))
    before = runs(world)
    note = {"annotations": {"note": "x"}, "labels": {"a": "b"}, "resourceVersion": "7"}
    world.apply(service("web", metadata=note))
    world.apply(root("site", "shop.test", virtualhost=TLS, metadata=note))
    world.apply(root("site", "shop.test", virtualhost=TLS) | {"status": {"currentStatus": "valid"}})
    world.apply(serving("unrelated"))
    world.apply(serving("cert"))  # a rotation
    assert runs(world) == before
    assert not world.changes


def test_a_certificate_that_becomes_invalid_takes_its_host_down_and_comes_back() -> None:
    world = World(service("web"), serving("cert"), root("site", "shop.test", virtualhost=TLS))
    world.apply(secret("cert"))
    assert world.host("shop.test").https is None
    assert world.errors("site")[0][1] == "SecretNotValid"
    world.apply(serving("cert"))
    assert world.host("shop.test").https is not None
    assert world.verdict("site") == VALID


def test_a_delegation_that_comes_and_goes() -> None:
    virtualhost = {"tls": {"secretName": "vault/cert"}}
    world = World(service("web"), serving("vault/cert"), root("site", "shop.test", virtualhost=virtualhost))
    assert world.errors("site")[0][1] == "DelegationNotPermitted"
    world.apply(delegation("vault/grant", "cert", "shop"))
    assert world.verdict("site") == VALID
    world.delete("TLSCertificateDelegation", "vault/grant")
    assert world.errors("site")[0][1] == "DelegationNotPermitted"


def test_serving_secrets_can_be_read_by_reference() -> None:
    world = World(serving("cert", "shop.test"))
    found: list[ServingSecret | Invalid] = []
    world.engine.collection(
        "probe",
        (frozenset({"x"}),),
        lambda read, _: found.append(read(world.graph.serving_secrets, Ref("shop", "cert"))),
    )
    world.apply()
    assert isinstance(found[0], ServingSecret)
    assert found[0].dns_names == ("shop.test",)


def test_a_shared_child_costs_its_verdict_nothing_when_a_root_is_edited() -> None:
    world = World(
        service("web"),
        proxy("child", routes=[to("absent")]),
        *(root(f"site{i}", f"site{i}.test", includes=[{"name": "child"}]) for i in range(50)),
    )
    before = world.graph.proxies.runs
    world.apply(root("site1", "site1.test", includes=[{"name": "child"}], routes=[to("web", "/more")]))
    assert world.graph.proxies.runs - before <= 1  # the root's own verdict at most


def test_a_host_that_nobody_names_any_more_is_gone() -> None:
    world = World(service("web"), root("site", "shop.test"), ingress("old", "old.test"))
    assert set(dict(world.graph.hosts.items())) == {"shop.test", "old.test"}
    world.apply(root("site", "new.test"))
    world.delete("Ingress", "old")
    assert set(dict(world.graph.hosts.items())) == {"new.test"}
    assert world.changes[world.graph.hosts].removed == {"old.test"}  # of the last commit


# --- any order of events --------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
HOSTS = ("x.test", "X.test", "*.test", "")


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(NAMES))
    created = draw(st.sampled_from(("", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")))
    kind = draw(st.sampled_from(("proxy", "root", "service", "secret", "delegation", "ingress")))
    if kind == "service":
        return service(name, {"name": "http", "port": draw(st.sampled_from((80, 81)))})
    if kind == "secret":
        return draw(st.sampled_from((CERTIFICATE, BROKEN)))
    if kind == "delegation":
        return delegation("vault/grant", "cert", *draw(st.sampled_from(((), ("shop",), ("*",)))))
    if kind == "ingress":
        return ingress(name, draw(st.sampled_from(HOSTS)), created, tls=draw(st.sampled_from(("", "vault/cert"))))
    paths = st.sampled_from(("", "/p", "/q"))
    includes = [
        {"name": draw(st.sampled_from(NAMES)), "conditions": [{"prefix": path}] if (path := draw(paths)) else []}
        for _ in range(draw(st.integers(0, 2)))
    ]
    routes = [to(draw(st.sampled_from(NAMES)), draw(paths)) for _ in range(draw(st.integers(0, 2)))]
    spec: dict[str, Any] = {"includes": includes, "routes": routes}
    if kind == "proxy":
        return proxy(name, created, **spec)
    tls = draw(st.sampled_from(({}, {"tls": {"secretName": "vault/cert"}})))
    return root(name, draw(st.sampled_from(HOSTS)), created, virtualhost=tls, **spec)


CERTIFICATE = serving("vault/cert", "x.test")
BROKEN = secret("vault/cert")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(objects(), st.booleans()), max_size=14))
def test_events_in_any_order_end_in_the_graph_of_a_build_from_scratch(
    events: list[tuple[dict[str, Any], bool]],
) -> None:
    incremental = World()
    stored: dict[tuple[str, str], dict[str, Any]] = {}
    for obj, delete in events:
        name = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        if delete:
            incremental.delete(obj["kind"], name)
            stored.pop((obj["kind"], name), None)
        else:
            incremental.apply(obj)
            stored[obj["kind"], name] = obj
    for order in (sorted(stored), sorted(stored, reverse=True)):
        scratch = World(*(stored[key] for key in order))
        assert dict(scratch.graph.hosts.items()) == dict(incremental.graph.hosts.items())
        assert dict(scratch.graph.proxies.items()) == dict(incremental.graph.proxies.items())
