"""Two replicas: one writes, both serve, and nobody notices when they change places (issue Cluster, acceptance 2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.cluster.site import (
    SHOP,
    current,
    endpoints,
    events,
    namespace,
    obj,
    proxy,
    service,
    wait_for,
    wait_until,
)
from tests.cluster.xds_client import client

from contour.testing.backends import Backend
from contour.testing.cluster import Api, Cluster
from contour.testing.serving import Serving

pytestmark = pytest.mark.traffic

LEASE = obj("Lease", "coordination.k8s.io/v1", "leader-elect", "projectcontour")
# Seconds; the defaults of 15, 10 and 2 hold for the same machine (tests/kube).
DURATION = 4.0
MASTER = 'leader_election_master_status{name="leader-elect"}'
FLAGS = (
    f"--leader-election-lease-duration={DURATION:g}s",
    "--leader-election-renew-deadline=2s",
    "--leader-election-retry-period=500ms",
)
# Until statuses are written again after the leader has ended (issue Cluster, acceptance 2).
RESUMES = {"killed": DURATION + 3, "stopped": 3.0}
# What an Envoy may take to notice that its replica is gone, and to be served by the other one: less than a Lease.
RECONNECT = 3.0


class Replicas:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.all: list[Serving] = []

    def launch(self, xds_port: int = 0) -> Serving:
        """Another one; wait for it to serve."""
        replica = Serving(self._cluster.kubeconfig, *FLAGS, xds_port=xds_port)
        replica.launch()
        self.all.append(replica)
        return replica

    def leader(self, timeout: float = 10) -> Serving:
        found: list[Serving] = []

        def elected() -> bool:
            alive = [replica for replica in self.all if replica.process.poll() is None]
            found[:] = [one for one in alive if one.metrics()[MASTER] == 1]
            assert len(found) <= 1
            return bool(found)

        wait_until(elected, timeout)
        return found[0]

    def other(self, replica: Serving) -> Serving:
        (other,) = (one for one in self.all if one is not replica and one.process.poll() is None)
        return other


@pytest.fixture(scope="module")
def replicas(cluster: Cluster) -> Iterator[Replicas]:
    """Two, for all tests of this file: the last one ends them by turns."""
    with ExitStack() as stack:
        stack.enter_context(cluster.network.entered())
        api = stack.enter_context(cluster.api())
        stack.callback(api.delete_made)
        api.apply([namespace(SHOP), namespace("projectcontour")])
        api.delete(LEASE)
        pods = stack.enter_context(Backend("pods", host="0.0.0.0"))
        api.apply([service(), endpoints(pods.port), proxy("base")])
        replicas = Replicas(cluster)
        stack.callback(lambda: [replica.stop() for replica in replicas.all])
        for replica in (replicas.launch(), replicas.launch()):
            replica.wait_for(Serving.READY, 30)
        yield replicas


def test_one_writes_and_both_serve_the_same(replicas: Replicas, api: Api) -> None:
    leader = replicas.leader()
    other = replicas.other(leader)
    api.wait_for(proxy("base"), current("valid"))
    api.apply(proxy("a"))
    api.wait_for(proxy("a"), current("valid"))
    assert other.metrics()['contour_status_update_total{kind="HTTPProxy"}'] == 0
    assert other.metrics()["contour_status_waiting"] == 0
    with other.envoy():
        wait_for("a.test", 200)
    wait_until(lambda: events(api, LEASE))
    for kind, reason, text in events(api, LEASE):  # leaders of other tests among them
        assert (kind, reason) == ("Normal", "LeaderElection")
        assert text.endswith(" became leader")


def test_what_an_envoy_refuses_is_said_by_whose_envoy_it_is(replicas: Replicas, api: Api) -> None:
    leader = replicas.leader()
    other = replicas.other(leader)
    api.wait_for(proxy("base"), current("valid"))
    for replica in replicas.all:  # what one Envoy has taken is not kept from those of other tests
        with replica.envoy():
            wait_for("base.test", 200)
    refused = "contour_envoy_refused_objects_total"
    with client(other.xds_port, refusing="not by me"):
        wait_until(lambda: ("Warning", "Rejected", "EnvoyError: not by me") in events(api, proxy("base")))
        assert (leader.metrics()[refused], other.metrics()[refused]) == (0, 1)
        assert api.get(proxy("base"))["status"]["currentStatus"] == "valid"
    with client(leader.xds_port, refusing="nor by me"):
        found = api.wait_for(proxy("base"), current("invalid"))
    (error,) = found["status"]["conditions"][0]["errors"]
    assert (error["type"], error["reason"], error["message"]) == ("EnvoyError", "Rejected", "nor by me")
    wait_until(lambda: ("Warning", "Rejected", "EnvoyError: nor by me") in events(api, proxy("base")))
    for replica, text in ((other, "not by me"), (leader, "nor by me")):
        assert replica.wait_for(f'level=error msg="Envoy refuses HTTPProxy {SHOP}/base: {text}"')
        assert len([line for line in replica.lines if f"/base: {text}" in line]) == 1


@pytest.mark.timeout(120)
def test_propagation_has_no_gap_while_leaders_come_and_go(replicas: Replicas, cluster: Cluster, api: Api) -> None:
    """Statuses have one, of the length of the Lease. Hosts are added all the while, through an Envoy that reaches either replica, as by their Service."""
    took: list[float] = []
    failed: list[str] = []
    done = threading.Event()

    def add(adder: Api) -> None:
        while not done.is_set():
            name = f"h{len(took)}"
            adder.apply(proxy(name))
            begun = time.monotonic()
            try:
                wait_for(f"{name}.test", 200)
            except AssertionError as error:
                failed.append(str(error))
            took.append(time.monotonic() - begun)
            time.sleep(0.1)  # the processor is also for those who are to begin

    first, second = replicas.all
    with first.envoy(second), cluster.api() as adder:
        wait_for("base.test", 200)
        thread = threading.Thread(target=add, args=(adder,))
        thread.start()  # inside the network, as its parent is
        try:
            for number, how in enumerate(("killed", "stopped", "killed", "stopped")):
                leader = replicas.leader(timeout=DURATION + 3)
                ends = time.monotonic() + RESUMES[how]
                if how == "killed":
                    leader.kill()
                else:
                    assert leader.stop() == 0
                following = proxy(f"after{number}")
                api.apply(following)
                api.wait_for(following, current("valid"), timeout=ends - time.monotonic())
                replicas.all.remove(leader)
                replicas.launch(leader.xds_port).wait_for(Serving.READY, 30)
        finally:
            done.set()
            thread.join()
        assert failed == []
        assert len(took) > 20
        assert max(took) < RECONNECT, sorted(took)[-5:]
        for number in range(len(took)):
            api.wait_for(proxy(f"h{number}"), current("valid"))
        adder.delete_made()
