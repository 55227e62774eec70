"""Delta streams: who is sent what."""

from __future__ import annotations

import pytest
from tests.xds.dialogue import LONG, World, cluster, res


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_answered_before_the_first_publish(world):
    client = world.client()
    client.ask("C")
    client.ask("L")
    client.ask("S", "a")
    assert client.heard() == []
    world.publish({"C": ([cluster("c")], [])})
    assert client.heard() == ["C+c", "S-a", "L"]


def test_the_first_wildcard_request_is_answered_even_when_empty(world):
    world.publish({})
    client = world.client()
    client.ask("C")
    assert client.heard() == ["C"]
    client.ack("C")
    assert client.heard() == []


def test_only_what_changed_is_sent(world):
    world.publish({"S": ([res("a", "1"), res("b", "1")], [])})
    client = world.client()
    client.ask("S")
    assert client.settle() == ["S+a,b"]
    world.publish({"S": ([res("a", "1"), res("b", "2")], [])})
    assert client.settle() == ["S+b"]
    world.publish({"S": ([res("b", "2")], [])})
    assert client.settle() == []
    world.publish({"S": ([], ["a", "never there"])})
    assert client.settle() == ["S-a"]


def test_named_subscription_and_absent_names(world):
    world.publish({"S": ([res("a"), res("b")], [])})
    client = world.client()
    client.ask("S", "a", "missing")
    assert client.settle() == ["S+a-missing"]
    world.publish({"S": ([res("missing", "x"), res("c")], ["b"])})
    assert client.settle() == ["S+missing"]
    world.publish({"S": ([], ["missing"])})
    assert client.settle() == ["S-missing"]


def test_subscribing_again_sends_again(world):
    world.publish({"S": ([res("a")], [])})
    client = world.client()
    client.ask("S", "a")
    assert client.settle() == ["S+a"]
    client.ask("S", "a")
    assert client.settle() == ["S+a"]


def test_subscribing_again_while_in_flight_sends_again(world):
    world.publish({"S": ([res("a")], [])})
    client = world.client()
    client.ask("S", "a")
    client.ask("S", "a")
    assert client.heard() == ["S+a"]
    client.ack("S")
    assert client.settle() == ["S+a"]


def test_leaving_a_name_under_a_wildcard(world):
    world.publish({"C": ([cluster("a")], [])})
    client = world.client()
    client.ask("C", "*", "a", "gone")
    assert client.settle() == ["C+a-gone"]
    client.ask("C", drop=("a", "gone"))
    assert client.settle() == ["C+a-gone"]


def test_leaving_a_name_is_not_answered(world):
    world.publish({"S": ([res("a")], [])})
    client = world.client()
    client.ask("S", "a")
    client.settle()
    client.ask("S", drop=("a",))
    world.publish({"S": ([res("a", "2")], [])})
    assert client.settle() == []


def test_reconnecting_with_current_versions_is_sent_nothing(world):
    a, b = res("a", "1"), res("b", "1")
    world.publish({"C": ([cluster("c")], []), "S": ([a, b], [])})
    client = world.client()
    client.ask("C", has={"c": cluster("c").version})
    client.ask("S", "a", "b", has={"a": a.version, "b": b.version})
    assert client.heard() == []


def test_reconnecting_is_sent_the_difference(world):
    world.publish({"C": ([cluster("same"), cluster("new"), cluster("edited", note="x")], [])})
    client = world.client()
    client.ask("C", has={"same": cluster("same").version, "edited": cluster("edited").version, "old": "1"})
    assert client.settle() == ["C+new,edited-old"]


def test_one_response_in_flight_and_changes_coalesce(world):
    world.publish({"S": ([res("a", "0")], [])})
    client = world.client()
    client.ask("S")
    client.settle()
    for i in range(1, 5):
        world.publish({"S": ([res("a", str(i)), res(f"n{i}")], ["n1"] if i == 4 else [])})
    assert client.heard() == ["S+a,n1"]
    client.ack("S")
    assert client.heard() == ["S+n2,n3,a,n4-n1"]


def test_a_stale_nonce_acknowledges_nothing_but_changes_the_subscription(world):
    world.publish({"S": ([res("a"), res("b")], [])})
    client = world.client()
    client.ask("S", "a")
    client.ack("S", nonce="77")
    client.ask("S", "b")
    assert client.heard() == ["S+a"]
    client.ack("S")
    assert client.settle() == ["S+b"]


def test_the_first_load_is_one_response_and_later_ones_are_limited(world):
    world.publish({"SR": ([res(f"s{i}", str(i)) for i in range(2500)], [])})
    client = world.client()
    client.ask("SR")
    assert [len(m[2]) for m in client.inbox] == [2500]
    client.settle()
    world.publish({"SR": ([res(f"s{i}", f"x{i}") for i in range(2500)], [])})
    sizes = []
    while client.inbox:
        sizes.append(len(client.inbox.pop()[2]))
        client.ack("SR")
    assert sizes == [1000, 1000, 500]


def test_responses_are_limited_by_bytes(world):
    world.publish({"SR": ([res("s")], [])})
    client = world.client()
    client.ask("SR")
    client.settle()
    world.publish({"SR": ([res(f"s{i}", "x" * 3_000_000 + str(i)) for i in range(3)], [])})
    assert client.settle() == ["SR+s0,s1", "SR+s2"]


def test_a_type_url_is_required_on_an_aggregated_stream(world):
    client = world.client()
    client.stream.feed  # noqa: B018
    from contour.xds.events import DeltaRequest

    client.feed(DeltaRequest())
    assert client.closed == "a type URL is required on this stream"


def test_an_unknown_type_ends_the_stream(world):
    from contour.xds.events import DeltaRequest

    client = world.client(kind="C")
    client.feed(DeltaRequest("type.googleapis.com/envoy.Nothing"))
    assert client.closed == "unknown type URL 'type.googleapis.com/envoy.Nothing'"


def test_the_type_of_the_request_wins_over_the_method(world):
    world.publish({"S": ([res("a")], []), "R": ([res("a")], [])})
    client = world.client(kind="R")
    client.ask("S")
    assert client.settle() == ["S+a"]
    from contour.xds.events import DeltaRequest

    client.feed(DeltaRequest())
    assert client.settle() == ["R+a"]


def test_a_client_that_never_answers_is_sent_more_after_a_while(world):
    world.publish({"S": ([res("a", "1")], [])})
    client = world.client()
    client.ask("S")
    world.publish({"S": ([res("a", "2")], [])})
    assert client.heard() == ["S+a"]
    world.pass_time(29)
    assert client.heard() == []
    world.pass_time(2)
    assert client.heard() == ["S+a"]
    assert client.verdicts == []


def test_bytes_are_shared_by_streams(world):
    world.publish({"S": ([res("a", "x" * 1000)], [])})
    first, second = world.client(), world.client()
    for client in (first, second):
        client.ask("S")
    channels = [c.stream.channels[LONG["S"]].flight.present["a"] for c in (first, second)]
    assert channels[0] is channels[1]


def test_a_refusal_that_comes_late_is_heard(world):
    world.publish({"S": ([res("a", "good")], [])})
    client = world.client()
    client.ask("S")
    client.settle()
    world.publish({"S": ([res("a", "bad")], [])})
    world.pass_time(31)
    assert client.heard() == ["S+a"]
    client.ack("S", nonce="2", error="no")
    assert client.heard() == ["S+a"]
    client.nack("S")
    assert client.heard() == []  # it goes on with the good one
    assert client.verdicts[-1].name == "a"
    assert client.stream.channels[LONG["S"]].known["a"].version == res("a", "good").version
