"""One refused resource: found, remembered, left out; the others go on."""

from __future__ import annotations

import pytest
from tests.xds.dialogue import World, cluster, res

from contour.envoy import pb
from contour.envoy.resource import CLUSTER, LISTENER, SCOPED_ROUTE
from contour.xds import channel, refusal
from contour.xds.events import Accepted, Refused


@pytest.fixture
def world() -> World:
    return World()


def serve(client, bad: set[str], rounds: int = 200) -> list[str]:
    """Answer as Envoy's scoped routes do: a response with a bad scope is refused whole, naming none."""
    heard = []
    for _ in range(rounds):
        if not client.inbox:
            return heard
        short, _, names, _ = client.inbox[0]
        heard += client.heard()
        if bad & set(names):
            client.nack(short, "no scopes were updated")
        else:
            client.ack(short)
    raise AssertionError(f"no end: {heard[-5:]}")


def refused(client) -> list[str]:
    return [v.name for v in client.verdicts if isinstance(v, Refused)]


def test_what_envoy_blames():
    text = "Error adding/updating cluster(s) a: bad regex, b c: nope: really"
    assert refusal.named(CLUSTER, ["a", "b c", "c", "d"], text) == ["a", "b c"]
    text = "Error adding/updating listener(s) l1: error a: x\nl2: y"
    assert refusal.named(LISTENER, ["l2", "l1", "a"], text) == ["l2", "l1"]
    assert refusal.named(SCOPED_ROUTE, ["a"], "Error adding/updating cluster(s) a: x") == []
    assert refusal.named(CLUSTER, ["a"], "Proto constraint validation failed (a: x)") == []


def test_a_single_resource_is_refused_at_once_and_not_sent_again(world):
    world.publish({"SR": ([res("a", "1")], [])})
    client = world.client()
    client.ask("SR")
    client.settle()
    world.publish({"SR": ([res("a", "bad")], [])})
    assert serve(client, {"a"}) == ["SR+a"]
    assert client.verdicts[-1] == Refused(SCOPED_ROUTE, "a", res("a", "bad").version, "no scopes were updated")
    world.publish({"SR": ([res("b")], [])})
    assert client.settle() == ["SR+b"]
    world.publish({"SR": ([res("a", "good")], [])})
    assert client.settle() == ["SR+a"]


def test_one_of_fifty_is_found_and_the_others_are_served(world):
    world.publish({"SR": ([res(f"s{i}") for i in range(50)], [])})
    client = world.client()
    client.ask("SR")
    heard = serve(client, {"s33"})
    assert refused(client) == ["s33"]
    accepted = {v.name for v in client.verdicts if isinstance(v, Accepted)}
    assert accepted == {f"s{i}" for i in range(50)} - {"s33"}
    assert len(heard) <= 14  # the whole, and two halves at each of six levels


def test_two_culprits(world):
    world.publish({"SR": ([res(f"s{i}") for i in range(64)], [])})
    client = world.client()
    client.ask("SR")
    serve(client, {"s3", "s40"})
    assert sorted(refused(client)) == ["s3", "s40"]


def test_scopes_of_a_refused_response_are_sent_again_with_another_hash(world):
    """Envoy would take the same bytes for unchanged, although its workers never got them."""
    scopes = [res(n, pb.serialize(pb.ScopedRouteConfiguration(name=n))) for n in ("a", "b")]
    world.publish({"SR": (scopes, [])})
    client = world.client()
    client.ask("SR")
    client.heard()
    bodies = []
    for error in ("no", None, "no"):
        client.ack("SR", error=error)
        flight = client.stream.channels[SCOPED_ROUTE].flight
        bodies += [item.body for item in flight.present.values()] if flight else []
    assert [v.name for v in client.verdicts] == ["a", "b"]
    assert bodies[0] != scopes[0].body
    message = pb.ScopedRouteConfiguration.FromString(bodies[0])
    assert list(message.route_configuration.metadata.filter_metadata) == ["contour.again.1"]
    message.ClearField("route_configuration")
    assert pb.serialize(message) == scopes[0].body
    # The versions stay: what the client has acknowledged is not sent again.
    late = world.client()
    late.ask("SR", has={"a": scopes[0].version})
    assert late.settle() == []


def test_other_changes_do_not_wait_for_the_culprit(world):
    world.publish({"SR": ([res(f"s{i}") for i in range(64)], [])})
    client = world.client()
    client.ask("SR")
    client.heard()
    client.nack("SR")
    world.publish({"SR": ([res("urgent")], [])})
    heard = serve(client, {"s63"})
    assert "SR+urgent" in heard[:3]


def test_a_suspect_that_is_corrected_meanwhile_is_not_tried(world):
    world.publish({"SR": ([res("a", "bad"), res("b")], [])})
    client = world.client()
    client.ask("SR")
    client.heard()
    client.nack("SR")
    world.publish({"SR": ([res("a", "good")], [])})
    client.settle()
    assert refused(client) == []
    assert {e.version for e in client.stream.channels[SCOPED_ROUTE].known.values()} == {
        res("a", "good").version,
        res("b").version,
    }


def test_clusters_that_envoy_names_are_believed(world):
    world.publish({"C": ([cluster("a"), cluster("b"), cluster("c")], [])})
    client = world.client()
    client.ask("C")
    assert client.heard() == ["C+a,b,c"]
    client.nack("C", "Error adding/updating cluster(s) b: no")
    assert client.heard() == []
    assert refused(client) == ["b"]
    assert {v.name for v in client.verdicts if isinstance(v, Accepted)} == {"a", "c"}


def test_several_named_clusters_are_tried_one_by_one(world):
    """A reason can look as if it named another cluster."""
    world.publish({"C": ([cluster("a"), cluster("b"), cluster("c")], [])})
    client = world.client()
    client.ask("C")
    client.heard()
    client.nack("C", "Error adding/updating cluster(s) a: sni, c: is not a host")
    assert client.heard() == ["C+a"]
    client.nack("C", "Error adding/updating cluster(s) a: sni, c: is not a host")
    assert client.heard() == ["C+c"]
    client.ack("C")
    assert refused(client) == ["a"]


def test_a_removal_in_a_refused_response_is_repeated(world):
    world.publish({"SR": ([res("old")], [])})
    client = world.client()
    client.ask("SR")
    client.settle()
    world.publish({"SR": ([res("bad")], ["old"])})
    assert serve(client, {"bad"}) == ["SR+bad-old", "SR-old"]


def test_nobody_else_is_sent_what_was_refused(world):
    world.publish({"SR": ([res("a"), res("bad")], [])})
    first = world.client()
    first.ask("SR")
    serve(first, {"bad"})
    second = world.client()
    second.ask("SR")
    assert second.settle() == ["SR+a"]
    named = world.client()
    named.ask("SR", "bad")
    assert named.settle() == ["SR-bad"]  # not left waiting


def test_the_last_good_version_is_for_those_who_come_later(world):
    world.publish({"SR": ([res("a", "good")], [])})
    first = world.client()
    first.ask("SR")
    first.settle()
    world.publish({"SR": ([res("a", "bad")], [])})
    late = world.client()
    late.ask("SR")
    assert serve(first, {"a"}) == ["SR+a"]
    assert late.heard() == ["SR+a"]
    late.nack("SR")
    assert late.heard() == ["SR+a"]
    assert late.stream.channels[SCOPED_ROUTE].flight.present["a"].version == res("a", "good").version


def test_the_last_good_version_keeps_its_cluster(world):
    world.publish({"C": ([cluster("cl-1")], []), "SR": ([res("a", "uses cl-1")], [])})
    client = world.client()
    client.ask("C")
    client.ask("SR")
    client.settle()
    world.publish({"C": ([cluster("cl-2")], ["cl-1"]), "SR": ([res("a", "bad, uses cl-2")], [])})
    assert client.heard() == ["C+cl-2"]
    client.ack("C")
    client.nack("SR")
    assert client.heard() == ["SR+a"]
    world.publish({"SR": ([res("a", "good, uses cl-2")], [])})
    assert client.heard() == ["SR+a"]
    client.ack("SR")
    assert client.heard() == ["C-cl-1"]


def test_a_refused_version_that_comes_back_is_told_again(world):
    world.publish({"SR": ([res("a", "bad")], [])})
    client = world.client()
    client.ask("SR")
    serve(client, {"a"})
    world.publish({"SR": ([res("a", "good")], [])})
    client.settle()
    world.publish({"SR": ([res("a", "bad")], [])})
    assert client.settle() == []
    assert world.snapshot.returned() == ((SCOPED_ROUTE, "a", res("a", "bad").version, "no scopes were updated"),)


def test_what_another_envoy_runs_is_refused_by_one_only(world):
    world.publish({"SR": ([res("a")], [])})
    old, new = world.client(), world.client()
    old.ask("SR")
    new.ask("SR")
    new.settle()
    serve(old, {"a"})
    assert not old.verdicts[-1].everywhere
    third = world.client()
    third.ask("SR")
    assert third.settle() == ["SR+a"]
    world.publish({"SR": ([res("b")], [])})
    assert old.settle() == ["SR+b"]


def test_a_client_that_is_no_envoy_condemns_nothing(world):
    world.publish({"L": ([res("l")], [])})
    tool = world.client(envoy=False)
    tool.ask("L")
    serve(tool, {"l"})
    assert tool.verdicts == []
    envoy = world.client()
    envoy.ask("L")
    assert envoy.settle() == ["L+l"]


def test_of_what_was_refused_and_is_gone_little_is_kept(world, monkeypatch):
    monkeypatch.setattr(channel, "_REMEMBERED", 3)
    world.publish({"SR": ([res("ok")], [])})
    client = world.client()
    client.ask("SR")
    client.settle()
    for turn in range(20):
        names = [f"bad{turn}", f"good{turn}"]
        world.publish({"SR": ([res(name, f"{turn}") for name in names], [])})
        serve(client, {names[0]})
        world.publish({"SR": ([], names)})
        client.settle()
    found = client.stream.channels[SCOPED_ROUTE]
    assert list(found.known) == ["ok"]
    assert 0 < len(found._refused_here) <= 5
    assert 0 < len(found._salts) <= 5
    # What is there is remembered, however much it is.
    world.publish({"SR": ([res(f"bad{number}", "x") for number in range(8)], [])})
    serve(client, {f"bad{number}" for number in range(8)})
    assert found._refused_here.keys() >= {f"bad{number}" for number in range(8)}


def test_a_refused_cluster_holds_nothing_back(world):
    world.publish({"C": ([cluster("ok")], []), "SR": ([], [])})
    client = world.client()
    client.ask("C")
    client.ask("SR")
    client.settle()
    world.publish({"C": ([cluster("bad")], []), "SR": ([res("a", "bad")], [])})
    assert client.heard() == ["C+bad"]
    client.nack("C", "Error adding/updating cluster(s) bad: no")
    assert client.heard() == ["SR+a"]


def test_a_taken_port_is_a_matter_of_one_envoy_and_passes(world):
    world.publish({"L": ([res("l")], [])})
    client, other = world.client(), world.client()
    client.ask("L")
    assert client.heard() == ["L+l"]
    client.nack("L", "Error adding/updating listener(s) l: cannot bind '0.0.0.0:8080': Address already in use")
    assert not client.verdicts[-1].everywhere
    other.ask("L")
    assert other.settle() == ["L+l"]
    world.pass_time(9)
    assert client.heard() == []
    world.pass_time(2)
    assert client.settle() == ["L+l"]


def test_a_passing_refusal_of_what_has_been_replaced_is_not_repeated(world):
    world.publish({"L": ([res("l")], [])})
    client = world.client()
    client.ask("L")
    client.heard()
    client.nack("L", "Error adding/updating listener(s) l: cannot bind")
    world.publish({"L": ([res("l", "other port")], [])})
    assert client.settle() == ["L+l"]
    world.pass_time(60)
    assert client.settle() == []


def test_scopes_for_a_client_that_comes_back_have_another_hash(world):
    """The stream before may have ended while a culprit was looked for; then Envoy takes the same bytes for served."""
    scope = res("a", pb.serialize(pb.ScopedRouteConfiguration(name="a")))
    world.publish({"C": ([cluster("c")], []), "SR": ([scope], [])})
    fresh, back = world.client(), world.client()
    back.ask("C", has={"c": cluster("c").version})
    for client in (fresh, back):
        client.ask("SR")
    bodies = [c.stream.channels[SCOPED_ROUTE].flight.present["a"].body for c in (fresh, back)]
    assert bodies[0] == scope.body
    assert list(pb.ScopedRouteConfiguration.FromString(bodies[1]).route_configuration.metadata.filter_metadata) == [
        "contour.again.0"
    ]
