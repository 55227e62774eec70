"""State-of-the-world streams: what differs from delta."""

from __future__ import annotations

import pytest
from tests.xds.dialogue import LONG, World
from tests.xds.dialogue import res as plain

from contour.envoy.resource import CLUSTER, LISTENER
from contour.xds import wire
from contour.xds.events import Refused, StateRequest


def res(name: str, body: str = ""):
    return plain(name, wire.text(99, f"{body}#{name}"))


@pytest.fixture
def world() -> World:
    return World()


def test_listeners_and_clusters_are_sent_whole(world):
    world.publish({"C": ([res("a"), res("b")], []), "L": ([res("l"), res("m")], [])})
    client = world.client(delta=False)
    client.ask("C")
    client.ask("L")
    assert client.settle() == ["C+a,b", "L+l,m"]
    world.publish({"L": ([res("m", "2")], [])})
    assert client.settle() == ["L+l,m"]
    world.publish({"C": ([], ["a", "b"])})
    assert client.settle() == ["C"]


def test_other_types_are_sent_by_difference(world):
    world.publish({"E": ([res("a"), res("b"), res("c")], [])})
    client = world.client(delta=False, kind="E")
    client.ask("E", "a", "b")
    assert client.settle() == ["E+a,b"]
    world.publish({"E": ([res("b", "2"), res("c", "2")], [])})
    assert client.settle() == ["E+b"]
    world.publish({"E": ([], ["a"])})
    assert client.settle() == []
    world.publish({"E": ([res("a")], [])})
    assert client.settle() == ["E+a"]


def test_the_first_request_is_answered_even_if_there_is_nothing(world):
    world.publish({})
    client = world.client(delta=False, kind="R")
    client.ask("R", "ingress_http")
    assert client.settle() == ["R"]
    world.publish({"R": ([res("ingress_http")], [])})
    assert client.settle() == ["R+ingress_http"]


def test_the_first_request_is_answered_whatever_version_it_names(world):
    world.publish({"C": ([res("a")], [])})
    client = world.client(delta=False)
    client.versions["C"] = world.snapshot.version(CLUSTER)
    client.ask("C")
    assert client.settle() == ["C+a"]


def test_explicit_wildcard(world):
    world.publish({"R": ([res("a"), res("b")], [])})
    client = world.client(delta=False)
    client.ask("R", "*")
    assert client.settle() == ["R+a,b"]


def test_newly_requested_names_are_sent_although_nothing_changed(world):
    world.publish({"S": ([res("a"), res("b")], [])})
    client = world.client(delta=False)
    client.ask("S", "a")
    assert client.settle() == ["S+a"]
    client.ask("S", "a", "b")
    assert client.settle() == ["S+b"]
    client.ask("S", "b")
    client.ask("S", "a", "b")
    assert client.settle() == ["S+a"]


def test_an_empty_list_after_names_means_nothing(world):
    world.publish({"S": ([res("a")], [])})
    client = world.client(delta=False)
    client.ask("S", "a")
    client.settle()
    client.ask("S")
    world.publish({"S": ([res("a", "2"), res("b")], [])})
    assert client.settle() == []


def test_a_stale_nonce_is_ignored(world):
    world.publish({"S": ([res("a"), res("b")], [])})
    client = world.client(delta=False)
    client.ask("S", "a")
    client.feed(StateRequest(LONG["S"], ("a", "b"), "", ""))
    assert client.settle() == ["S+a"]


def test_the_version_is_that_of_the_content(world):
    world.publish({"C": ([res("a")], [])})
    one, other = world.client(delta=False), World()
    other.publish({"C": ([res("b"), res("a", "old")], [])})
    two = other.client(delta=False)
    for client in (one, two):
        client.ask("C")
        client.settle()
    assert one.versions != two.versions
    other.publish({"C": ([res("a")], ["b"])})
    two.settle()
    assert one.versions == two.versions


def test_order_holds_back_parts_of_a_full_state(world):
    """A removed cluster stays in the state until the routes that used it are replaced."""
    world.publish({"C": ([res("old")], []), "R": ([res("r", "uses old")], [])})
    client = world.client(delta=False)
    client.ask("C")
    client.ask("R", "r")
    client.settle()
    world.publish({"C": ([res("new")], ["old"]), "R": ([res("r", "uses new")], [])})
    assert client.heard() == ["C+old,new"]
    client.ack("C")
    assert client.heard() == ["R+r"]
    client.ack("R")
    assert client.heard() == ["C+new"]


def test_a_refused_version_is_not_sent_in_a_loop(world):
    world.publish({"L": ([res("l")], [])})
    client = world.client(delta=False)
    client.ask("L")
    client.settle()
    world.publish({"L": ([res("l", "bad")], [])})
    assert client.heard() == ["L+l"]
    client.nack("L")
    assert client.heard() == []
    assert isinstance(client.verdicts[-1], Refused)
    world.publish({"L": ([res("m")], [])})
    assert client.heard() == ["L+l,m"]
    assert client.stream.channels[LISTENER].flight.present.keys() == {"m"}


def test_a_culprit_in_a_full_state_is_found(world):
    world.publish({"C": ([res(f"c{i}") for i in range(16)], [])})
    client = world.client(delta=False)
    client.ask("C")
    for _ in range(40):
        if not client.inbox:
            break
        names = client.inbox[0][2]
        client.inbox.clear()
        client.ack("C", error="no" if "c5" in names else None)
    assert [v.name for v in client.verdicts if isinstance(v, Refused)] == ["c5"]
    assert client.stream.channels[CLUSTER].known.keys() == {f"c{i}" for i in range(16)} - {"c5"}


def test_single_streams_of_one_resource_each(world):
    """Contour's own bootstrap: every secret and endpoint set on a stream of its own."""
    world.publish({"S": ([res("a"), res("b")], [])})
    a, b = world.client(delta=False, kind="S"), world.client(delta=False, kind="S")
    a.ask("S", "a")
    b.ask("S", "b")
    assert (a.settle(), b.settle()) == (["S+a"], ["S+b"])
    world.publish({"S": ([res("b", "2")], [])})
    assert (a.settle(), b.settle()) == ([], ["S+b"])


def test_secrets_on_the_stream_of_routes(world):
    """`contour cli sds` asks for secrets there (operations.md §1.6)."""
    world.publish({"S": ([res("a")], [])})
    client = world.client(delta=False, kind="R")
    client.ask("S")
    assert client.settle() == ["S+a"]


def test_a_refusal_on_a_new_stream_removes_nothing(world):
    """An empty list of listeners would take away the one that the client still runs."""
    world.publish({"L": ([res("l", "bad")], [])})
    client = world.client(delta=False)
    client.ask("L")
    assert client.heard() == ["L+l"]
    client.nack("L")
    assert client.heard() == []


def test_what_is_gone_is_told_even_if_the_first_answer_was_refused(world):
    world.publish({"L": ([res("l", "bad")], [])})
    client = world.client(delta=False)
    client.ask("L")
    client.heard()
    client.nack("L")
    world.publish({"L": ([], ["l"])})
    assert client.heard() == ["L"]
