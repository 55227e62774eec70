"""Two replicas: one writes, both serve, and nobody notices when they change places (issue Cluster, acceptance 2)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import grpc
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

from contour.envoy.resource import CLUSTER
from contour.testing.backends import Backend
from contour.testing.cluster import Api, Cluster
from contour.testing.serving import Serving
from contour.xds.messages import AGGREGATED, DeltaDiscoveryRequest, DeltaDiscoveryResponse

pytestmark = pytest.mark.traffic

LEASE = obj("Lease", "coordination.k8s.io/v1", "leader-elect", "projectcontour")
# Seconds; the defaults of 15, 10 and 2 hold for the same machine (tests/kube).
DURATION = 4.0
FLAGS = (
    f"--leader-election-lease-duration={DURATION:g}s",
    "--leader-election-renew-deadline=2s",
    "--leader-election-retry-period=500ms",
)


# What an Envoy takes to notice that its replica is gone, and to be served by the other one.
RECONNECT = 2.0


class Replicas:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.all: list[Serving] = []

    def start(self, xds_port: int = 0) -> Serving:
        replica = Serving(self._cluster.kubeconfig, *FLAGS, xds_port=xds_port).start()
        self.all.append(replica)
        return replica

    def leader(self, timeout: float = 10) -> Serving:
        found: list[Serving] = []

        def elected() -> bool:
            alive = [replica for replica in self.all if replica.process.poll() is None]
            found[:] = [r for r in alive if r.metrics()['leader_election_master_status{name="leader-elect"}'] == 1]
            assert len(found) <= 1
            return bool(found)

        wait_until(elected, timeout)
        return found[0]

    def other(self, replica: Serving) -> Serving:
        (other,) = (one for one in self.all if one is not replica and one.process.poll() is None)
        return other


@pytest.fixture
def replicas(cluster: Cluster, api: Api) -> Iterator[Replicas]:
    api.apply([namespace(SHOP), namespace("projectcontour")])
    api.delete(LEASE)
    with Backend("pods", host="0.0.0.0") as pods, ExitStack() as stack:
        api.apply([service(), endpoints(pods.port), proxy("base")])
        replicas = Replicas(cluster)
        stack.callback(lambda: [replica.stop() for replica in replicas.all])
        replicas.start()
        replicas.start()
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


@pytest.mark.parametrize(("how", "limit"), [("stopped", 3.0), ("killed", DURATION + 3.0)])
def test_status_goes_on_when_the_leader_is(replicas: Replicas, api: Api, how: str, limit: float) -> None:
    leader = replicas.leader()
    other = replicas.other(leader)
    api.wait_for(proxy("base"), current("valid"))
    with other.envoy():
        wait_for("base.test", 200)
        begun = time.monotonic()
        if how == "stopped":
            assert leader.stop() == 0
        else:
            leader.kill()
        api.apply(proxy("a"))
        wait_for("a.test", 200, timeout=1)
        api.wait_for(proxy("a"), current("valid"), timeout=limit - (time.monotonic() - begun))
    assert replicas.leader() is other


@pytest.mark.timeout(120)
def test_propagation_has_no_gap_while_leaders_come_and_go(replicas: Replicas, cluster: Cluster, api: Api) -> None:
    """Hosts are added all the while, through an Envoy that reaches either replica, as by their Service."""
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

    first, second = replicas.all
    with first.envoy(second), cluster.api() as adder:
        wait_for("base.test", 200)
        thread = threading.Thread(target=add, args=(adder,))
        thread.start()  # inside the network, as its parent is
        try:
            for how in ("killed", "stopped", "killed", "stopped"):
                leader = replicas.leader(timeout=DURATION + 3)
                if how == "killed":
                    leader.kill()
                else:
                    leader.stop()
                replicas.all.remove(leader)
                replicas.start(leader.xds_port)
        finally:
            done.set()
            thread.join()
        assert failed == []
        assert len(took) > 20
        assert max(took) < RECONNECT, sorted(took)[-5:]
        api.wait_for(proxy(f"h{len(took) - 1}"), current("valid"), timeout=DURATION + 3)
        adder.delete_made()


@contextmanager
def refusing(replica: Serving, text: str) -> Iterator[None]:
    """An Envoy that takes no cluster, connected to a replica."""
    requests: queue.Queue[DeltaDiscoveryRequest | None] = queue.Queue()

    def client(channel: grpc.Channel) -> None:
        call = channel.stream_stream(
            AGGREGATED.format("Delta"), DeltaDiscoveryRequest.SerializeToString, DeltaDiscoveryResponse.FromString
        )
        with suppress(grpc.RpcError):
            for response in call(iter(requests.get, None)):
                answer = DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=response.nonce)
                answer.error_detail.message = text
                requests.put(answer)

    first = DeltaDiscoveryRequest(type_url=CLUSTER)
    first.node.id, first.node.user_agent_name = "refusing", "envoy"
    first.node.metadata.update({"contour": {"shape": "scoped"}})
    requests.put(first)
    with grpc.insecure_channel(f"127.0.0.1:{replica.xds_port}") as channel:
        thread = threading.Thread(target=client, args=(channel,))
        thread.start()
        try:
            yield
        finally:
            requests.put(None)
            channel.close()
            thread.join()


def test_what_an_envoy_refuses_is_said_by_whose_envoy_it_is(replicas: Replicas, api: Api) -> None:
    leader = replicas.leader()
    other = replicas.other(leader)
    api.wait_for(proxy("base"), current("valid"))
    refused = "contour_envoy_refused_objects_total"
    with refusing(other, "not by me"):
        wait_until(lambda: ("Warning", "Rejected", "EnvoyError: not by me") in events(api, proxy("base")))
        assert (leader.metrics()[refused], other.metrics()[refused]) == (0, 1)
        assert api.get(proxy("base"))["status"]["currentStatus"] == "valid"
    with refusing(leader, "nor by me"):
        found = api.wait_for(proxy("base"), current("invalid"))
    (error,) = found["status"]["conditions"][0]["errors"]
    assert (error["type"], error["reason"], error["message"]) == ("EnvoyError", "Rejected", "nor by me")
    wait_until(lambda: ("Warning", "Rejected", "EnvoyError: nor by me") in events(api, proxy("base")))
