"""Elections on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.cluster.relay import relay

from contour.kube.client import Client
from contour.kube.config import load
from contour.kube.election import Election
from contour.kube.lease import Acquired, Holder, Lost, Timing, Trouble, Well
from contour.testing.cluster import Api, Cluster
from contour.testing.cluster.api import ref
from contour.testing.cluster.server import API_PORT

QUICK = Timing(lease=2, renew=1.2, retry=0.3)


class Replica:
    def __init__(self, client: Client, name: str, lease: str) -> None:
        self.news: list = []
        self._heard = asyncio.Event()
        self.election = Election(client, "default", lease, identity=name, timing=QUICK, tell=self._hear)
        self.task = asyncio.create_task(self.election.run())

    def _hear(self, news) -> None:
        self.news.append(news)
        self._heard.set()

    async def until(self, kind: type, seconds: float = 10) -> None:
        """Until the newest news is of that kind."""
        async with asyncio.timeout(seconds):
            while not self.news or not isinstance(self.news[-1], kind):
                self._heard.clear()
                await self._heard.wait()


@asynccontextmanager
async def replica(cluster: Cluster, name: str, lease: str, port: int = API_PORT) -> AsyncIterator[Replica]:
    configuration = msgspec.structs.replace(load(cluster.kubeconfig), server=f"https://127.0.0.1:{port}")
    async with Client(configuration) as client:
        made = Replica(client, name, lease)
        try:
            yield made
        finally:
            made.task.cancel()
            await asyncio.gather(made.task, return_exceptions=True)


def spec(api: Api, lease: str) -> dict:
    return api.get(ref("coordination.k8s.io/v1", "Lease", "default", lease))["spec"]


async def test_one_leads_stops_and_the_next_one_leads(cluster: Cluster, api: Api):
    async with replica(cluster, "a", "handover") as a:
        await a.until(Acquired)
        async with replica(cluster, "b", "handover") as b:
            await b.until(Holder)
            held = spec(api, "handover")
            assert (held["holderIdentity"], held["leaseDurationSeconds"], held["leaseTransitions"]) == ("a", 2, 0)
            assert (a.election.leading, b.election.leading) == (True, False)
            a.election.stop()
            await asyncio.wait_for(a.task, 5)
            assert not spec(api, "handover")["holderIdentity"]
            await b.until(Acquired, 1)  # without waiting for the Lease to end
            assert spec(api, "handover")["leaseTransitions"] == 1
    assert a.news == [Acquired(), Lost("stopped")]


async def test_one_that_dies_is_followed(cluster: Cluster):
    async with replica(cluster, "a", "death") as a:
        await a.until(Acquired)
        async with replica(cluster, "b", "death") as b:
            await b.until(Holder)
            a.task.cancel()
            await b.until(Acquired, QUICK.lease + 2)


async def test_what_others_keep_in_the_lease_stays(cluster: Cluster, api: Api):
    async with replica(cluster, "a", "labelled") as a:
        await a.until(Acquired)
        api.patch(ref("coordination.k8s.io/v1", "Lease", "default", "labelled"), {"metadata": {"labels": {"x": "y"}}})
        before = spec(api, "labelled")["renewTime"]
        await asyncio.sleep(3 * QUICK.retry)  # a conflict, and a renewal
        found = api.get(ref("coordination.k8s.io/v1", "Lease", "default", "labelled"))
        assert found["metadata"]["labels"] == {"x": "y"}
        assert found["spec"]["renewTime"] != before
    assert a.news == [Acquired()]


async def test_one_that_is_cut_off_loses_before_the_other_leads(cluster: Cluster):
    async with relay("127.0.0.1", API_PORT) as between, replica(cluster, "a", "cut-off", between.port) as a:
        await a.until(Acquired)
        async with replica(cluster, "b", "cut-off") as b:
            await b.until(Holder)
            between.pause()
            await a.until(Lost)
            assert not b.election.leading
            await b.until(Acquired)
            between.resume()
            await a.until(Holder)
            assert (a.election.leading, b.election.leading) == (False, True)


async def test_without_a_server_the_leader_steps_down_and_comes_back(own_cluster: Cluster, api: Api):
    async with replica(own_cluster, "a", "outage") as a:
        await a.until(Acquired)
        own_cluster.apiserver.kill()
        await a.until(Lost)
        api.close()
        await asyncio.to_thread(own_cluster.apiserver.start)
        await a.until(Acquired)
    kinds = [type(news) for news in a.news]
    assert kinds == [Acquired, Trouble, Lost, Well, Acquired]


@pytest.mark.parametrize("verb", ["get", "create"])
async def test_without_the_right_it_is_told_once(cluster: Cluster, api: Api, verb: str):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": verb, "namespace": "default"}}
    api.apply(account)
    if verb == "create":
        rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]}]
        meta = {"name": "lease-reader", "namespace": "default"}
        group = "rbac.authorization.k8s.io"
        api.apply(
            [
                {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules},
                {
                    "apiVersion": f"{group}/v1",
                    "kind": "RoleBinding",
                    "metadata": meta,
                    "roleRef": {"apiGroup": group, "kind": "Role", "name": "lease-reader"},
                    "subjects": [{"kind": "ServiceAccount", "name": verb, "namespace": "default"}],
                },
            ]
        )
    async with Client(load(cluster.service_account("default", verb))) as client:
        a = Replica(client, "a", f"forbidden-{verb}")
        await a.until(Trouble)
        await asyncio.sleep(4 * QUICK.retry)
        a.task.cancel()
        await asyncio.gather(a.task, return_exceptions=True)
    (trouble,) = a.news
    assert f"cannot {verb} resource" in trouble.text
    assert not a.election.leading
