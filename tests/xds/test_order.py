"""Make before break: what is sent after what, and what waits for which acknowledgement."""

from __future__ import annotations

import pytest
from tests.xds.dialogue import World, cluster, none, pods, res

from contour.envoy.resource import CLUSTER, SCOPED_ROUTE
from contour.xds.events import Published
from contour.xds.stream import Timing


@pytest.fixture
def world() -> World:
    return World()


def running(world: World, **options):
    """A client that has cluster `old` with endpoints `e-old`, a scope that uses it, a listener and a secret."""
    world.publish(
        {
            "C": ([cluster("old", endpoints="e-old")], []),
            "E": ([pods("e-old")], []),
            "S": ([res("s")], []),
            "SR": ([res("host", "uses old")], []),
            "L": ([res("l", "1")], []),
        }
    )
    client = world.client(**options)
    client.ask("C")
    client.ask("E", "e-old")
    client.ask("S", "s")
    client.ask("SR")
    client.ask("L")
    client.settle()
    return client


def switched(assignment):
    """The host uses a new cluster; the old one stays."""
    return {
        "C": ([cluster("new", endpoints=assignment.name)], []),
        "E": ([assignment], []),
        "SR": ([res("host", "new")], []),
    }


def published_without_endpoints(world, client):
    world.publish(switched(none("e")))
    client.ack("C")
    client.ask("E", "e")
    client.ack("E")


def test_switching_a_backend(world):
    client = running(world)
    world.publish(
        {
            "SR": ([res("host", "uses new")], []),
            "E": ([pods("e-new")], ["e-old"]),
            "C": ([cluster("new", endpoints="e-new")], ["old"]),
        }
    )
    assert client.heard() == ["C+new"]
    client.ack("C")
    assert client.heard() == []  # Envoy has not asked for the endpoints yet
    client.ask("E", "e-new")
    assert client.heard() == ["E+e-new"]
    client.ack("E")
    assert client.heard() == ["SR+host"]
    client.ack("SR")
    assert client.heard() == ["C-old"]
    client.ask("E", drop=("e-old",))
    client.ack("C")
    assert client.heard() == []


def test_endpoints_may_be_asked_for_before_the_cluster_is_acknowledged(world):
    client = running(world)
    world.publish(switched(pods("e")))
    client.ask("E", "e")
    assert client.heard() == ["C+new", "E+e"]
    client.ack("E")
    assert client.heard() == ["SR+host"]


def test_a_cluster_without_endpoints_by_eds_is_ready_when_acknowledged(world):
    client = running(world)
    world.publish({"C": ([cluster("dns")], []), "SR": ([res("host", "dns")], [])})
    assert client.heard() == ["C+dns"]
    client.ack("C")
    assert client.heard() == ["SR+host"]


def test_routes_do_not_wait_for_ever(world):
    client = running(world)
    world.publish(switched(pods("e")))
    client.ack("C")
    assert client.heard() == ["C+new"]
    world.pass_time(4.9)
    assert client.heard() == []
    world.pass_time(0.2)
    assert client.heard() == ["SR+host"]


def test_a_health_check_is_given_its_time(world):
    client = running(world)
    world.publish(switched(pods("e")), holds={"new": 2.0})
    client.ack("C")
    client.ask("E", "e")
    client.ack("E")
    assert client.heard() == ["C+new", "E+e"]
    world.pass_time(1.9)
    assert client.heard() == []
    world.pass_time(0.2)
    assert client.heard() == ["SR+host"]


def test_endpoints_may_become_known_later_than_what_uses_them(world):
    client = running(world)
    published_without_endpoints(world, client)
    assert client.heard() == ["C+new", "E+e"]
    world.publish({"E": ([pods("e")], [])})
    assert client.heard() == ["E+e"]
    client.ack("E")
    assert client.heard() == ["SR+host"]


def test_endpoints_that_are_none_are_taken_at_their_word_soon(world):
    client = running(world)
    published_without_endpoints(world, client)
    world.pass_time(0.05)
    assert client.heard() == ["C+new", "E+e"]
    world.pass_time(0.06)
    assert client.heard() == ["SR+host"]


def test_a_backend_may_become_known_later_than_what_uses_it(world):
    client = running(world)
    world.publish({"SR": ([res("group/host", "503")], [])}, backends={"host": False})
    world.publish({"SR": ([res("group/host", "503, edited"), res("group/other", "uses old")], [])})
    assert client.heard() == ["SR+group/other"]  # which did not lose any
    client.ack("SR")
    world.publish({"SR": ([res("group/host", "uses old")], [])}, backends={"host": True})
    assert client.heard() == ["SR+group/host"]


def test_a_backend_that_is_missing_is_missing_soon(world):
    client = running(world)
    world.publish({"SR": ([res("b/host", "503")], ["host"]), "C": ([], ["old"])}, backends={"host": False})
    world.pass_time(0.09)
    assert client.heard() == []  # the old scope and its cluster serve on
    world.pass_time(0.02)
    assert client.settle() == ["SR+b/host-host", "C-old"]
    world.publish({"SR": ([res("b/host", "503, edited")], [])})
    assert client.heard() == ["SR+b/host"]  # it was lost before


def test_a_first_load_does_not_wait_for_backends(world):
    client = world.client()
    client.ask("SR")
    world.publish({"SR": ([res("host", "503")], [])}, backends={"host": False})
    assert client.heard() == ["SR+host"]


def test_a_first_load_does_not_wait_for_endpoints(world):
    world.publish(switched(none("e")))
    client = world.client()
    for kind, names in (("C", ()), ("E", ("e",)), ("SR", ())):
        client.ask(kind, *names)
    assert client.settle() == ["C+new", "E+e", "SR+host"]


def test_what_a_health_check_takes_is_known_of_clusters_that_are_there(world):
    holds = {"new": 2.0, "new/in-the-other-shape": 2.0}
    world.publish({"C": ([cluster("new", endpoints="e")], [])}, holds=holds)
    assert world.snapshot.health_holds == {"new": 2.0}
    world.publish({"C": ([], ["new"])})
    assert world.snapshot.health_holds == {}


def test_what_does_not_use_the_new_cluster_does_not_wait(world):
    client = running(world)
    world.publish({"C": ([cluster("slow", endpoints="e")], []), "SR": ([res("other", "slow")], [])})
    world.publish({"SR": ([res("host", "uses old, edited")], [])})
    world.publish({"E": ([pods("e-old", "moved")], [])})
    assert client.heard() == ["C+slow", "SR+host", "E+e-old"]


def test_a_change_set_is_released_together(world):
    client = running(world)
    world.publish(
        {"C": ([cluster("new", endpoints="e")], []), "SR": ([res("a/host", "new"), res("b/host", "421")], ["host"])}
    )
    assert client.heard() == ["C+new"]
    client.ack("C")
    client.ask("E", "e")
    assert client.heard() == ["E-e"]
    client.ack("E")
    world.pass_time(0.2)  # endpoints that are none may still come
    assert client.heard() == ["SR+a/host,b/host-host"]


def test_a_newer_version_of_a_held_resource_replaces_it(world):
    client = running(world)
    world.publish({"C": ([cluster("new", endpoints="e")], []), "SR": ([res("host", "new")], [])})
    world.publish({"SR": ([res("host", "uses old again")], [])})
    assert client.heard() == ["C+new", "SR+host"]
    client.ack("SR")
    client.ack("C")
    assert client.settle() == []


def test_endpoints_again_after_a_changed_cluster(world):
    client = running(world)
    world.publish({"C": ([cluster("old", endpoints="e-old", note="edited")], [])})
    assert client.heard() == ["C+old", "E+e-old"]
    client.ack("C")
    client.ack("E")
    assert client.settle() == []


def test_a_new_cluster_that_shares_endpoints_is_not_asked_for(world):
    """Envoy subscribes to each assignment once: a second cluster that uses it gets it without asking."""
    client = running(world)
    world.publish({"C": ([cluster("twin", endpoints="e-old")], []), "SR": ([res("host", "twin")], [])})
    assert client.heard() == ["C+twin", "E+e-old"]
    client.ack("C")
    assert client.heard() == []
    client.ack("E")
    assert client.heard() == ["SR+host"]


def test_endpoints_acknowledged_for_an_earlier_response_do_not_count(world):
    client = running(world)
    world.publish({"E": ([pods("e-old", "2")], [])})
    assert client.heard() == ["E+e-old"]
    world.publish({"C": ([cluster("twin", endpoints="e-old")], []), "SR": ([res("host", "twin")], [])})
    assert client.heard() == ["C+twin"]
    client.ack("E")
    assert client.heard() == ["E+e-old"]
    client.ack("E")
    assert client.heard() == ["SR+host"]


def test_a_cluster_removed_and_added_again_in_flight_is_new(world):
    client = running(world)
    world.publish({"SR": ([], ["host"]), "C": ([], ["old"])})
    client.ack("SR")
    assert client.heard() == ["SR-host", "C-old"]
    world.publish({"SR": ([res("host", "old")], []), "C": ([cluster("old", endpoints="e-old")], [])})
    assert client.heard() == []
    client.ack("C")
    assert client.heard() == ["C+old", "E+e-old"]
    client.ack("C")
    client.ack("E")
    assert client.heard() == ["SR+host"]


def test_secrets_before_listeners_and_listeners_before_removals(world):
    client = running(world)
    world.publish(
        {
            "L": ([res("l", "two chains")], []),
            "S": ([res("s", "rotated")], []),
            "SR": ([res("b/host")], ["host"]),
        }
    )
    assert client.heard() == ["S+s", "SR+b/host", "L+l"]
    client.ack("SR")
    client.ack("S")
    assert client.heard() == []  # the old chain may still be asked for `host`
    client.ack("L")
    assert client.heard() == ["SR-host"]


def test_a_removed_secret_goes_after_the_listener(world):
    client = running(world)
    world.publish({"L": ([res("l", "no chain")], []), "S": ([], ["s"])})
    assert client.heard() == ["L+l"]
    client.ack("L")
    assert client.heard() == ["S-s"]


def test_listeners_wait_for_the_scopes_of_their_change_set(world):
    client = running(world)
    world.publish({"SR": ([res("x")], [])})
    world.publish({"SR": ([res("y")], []), "L": ([res("l", "2")], [])})
    assert client.heard() == ["SR+x"]
    client.ack("SR")
    assert client.heard() == ["SR+y", "L+l"]


def test_an_isolated_removal_goes_at_once(world):
    client = running(world)
    world.publish({"SR": ([], ["host"])})
    assert client.heard() == ["SR-host"]


def test_clusters_stay_while_later_changes_are_under_way(world):
    """A removal waits for what was published with it, not for what comes later."""
    client = running(world)
    world.publish({"SR": ([res("host", "direct response")], []), "C": ([], ["old"])})
    world.publish({"SR": ([res("h2")], [])})
    client.ack("SR")
    assert client.heard() == ["SR+host", "C-old", "SR+h2"]


def test_a_reconnecting_client_is_ordered_too(world):
    running(world)
    world.publish({"C": ([cluster("new")], []), "SR": ([res("host", "new")], [])})
    client = world.client()
    client.ask("C", has={"old": cluster("old", endpoints="e-old").version})
    client.ask("SR", has={"host": res("host", "uses old").version})
    assert client.heard() == ["C+new"]
    client.ack("C")
    assert client.heard() == ["SR+host"]


def test_removed_clusters_linger_where_streams_cannot_be_ordered(world):
    world.publish({"C": ([cluster("a"), cluster("b")], [])})
    client = world.client(kind="C", timing=Timing(linger=5))
    client.ask("C")
    client.settle()
    world.publish({"C": ([cluster("c")], ["a"])})
    assert client.settle() == ["C+c"]
    world.pass_time(4)
    world.publish({"C": ([], ["b"])})
    assert client.settle() == []
    world.pass_time(1.1)
    assert client.settle() == ["C-a"]
    world.pass_time(4)
    assert client.settle() == ["C-b"]


def test_a_cluster_that_returns_while_it_lingers_is_never_removed(world):
    world.publish({"C": ([cluster("a")], [])})
    client = world.client(kind="C")
    client.ask("C")
    client.settle()
    world.publish({"C": ([], ["a"])})
    world.publish({"C": ([cluster("a")], [])})
    world.pass_time(60)
    assert client.settle() == []


def checked(world: World, *clients) -> None:
    """A new cluster with a health check and, in the same change set, hosts that have nothing to do with it."""
    world.publish(
        {
            "C": ([cluster("slow", endpoints="e-slow"), cluster("new", endpoints="e-new")], []),
            "E": ([pods("e-slow"), pods("e-new")], []),
            "SR": (
                [res("a/checked", "slow"), res("b/checked", "421"), res("a/other", "new"), res("a/edited")],
                ["host"],
            ),
        },
        holds={"slow": 3.0},
    )
    for client in clients:
        client.ask("E", "e-slow", "e-new")
        client.ack("C")
        client.ack("E")


def test_only_the_host_that_uses_it_waits_for_a_health_check(world):
    client = running(world)
    checked(world, client)
    assert client.heard() == ["C+slow,new", "SR+a/edited", "E+e-slow,e-new"]
    client.ack("SR")
    assert client.heard() == ["SR+a/other"]
    client.ack("SR")
    world.pass_time(2.9)
    assert client.heard() == []
    world.pass_time(0.2)
    assert client.heard() == ["SR+a/checked,b/checked-host"]


def test_only_the_host_that_uses_it_waits_for_a_health_check_in_a_large_change(world):
    client = running(world)
    many = [f"new{i}" for i in range(200)]
    world.publish(
        {
            "C": ([cluster("slow"), *(cluster(name) for name in many)], []),
            "SR": ([res("checked", "slow"), *(res(f"h{name}", name) for name in many)], []),
        },
        holds={"slow": 3.0},
    )
    client.heard()
    client.ack("C")
    assert client.heard() == ["SR+" + ",".join(f"h{name}" for name in many)]
    client.ack("SR")
    world.pass_time(3.1)
    assert client.heard() == ["SR+checked"]


def test_a_first_load_does_not_wait_for_health_checks(world):
    checked(world)
    world.publish({"L": ([res("l", "1")], [])})
    client = world.client()
    client.ask("C")
    assert client.heard() == ["C+slow,new"]
    client.ask("E", "e-slow", "e-new")
    client.ack("C")
    client.ask("L")
    client.ask("SR")
    assert client.heard() == ["E+e-slow,e-new", "L+l"]  # which is not used before there are scopes
    client.ack("E")
    assert client.heard() == ["SR+a/checked,b/checked,a/other,a/edited"]


def test_a_client_that_comes_back_waits_for_health_checks(world):
    running(world)
    checked(world)
    client = world.client()
    client.ask("C", has={"old": cluster("old", endpoints="e-old").version})
    client.ask("E", "e-slow", "e-new")
    client.ack("C")
    client.ack("E")
    client.ask("SR", has={"host": res("host", "uses old").version})
    assert client.settle() == ["C+slow,new", "E+e-slow,e-new", "SR+a/other,a/edited"]
    world.pass_time(3.1)
    assert client.settle() == ["SR+a/checked,b/checked-host"]


def test_what_a_withheld_resource_goes_on_with_keeps_its_cluster(world):
    client = running(world)
    touched = world.snapshot.publish({CLUSTER: ({}, {"old"})}, None, [(SCOPED_ROUTE, "host")])
    client.feed(Published(touched))
    assert client.heard() == []
    world.publish({"SR": ([res("host", "mended")], [])})
    assert client.heard() == ["SR+host"]
    client.ack("SR")
    assert client.heard() == ["C-old"]
