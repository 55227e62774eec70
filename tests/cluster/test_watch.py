"""Mirroring a real API server, and what becomes of the mirror when server and network fail."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.cluster.mirror import Mirror, mirror
from tests.cluster.relay import relay

from contour.api.core import Namespace
from contour.kube import reflector
from contour.kube.events import Trouble, Well
from contour.kube.kinds import BY_NAME, KINDS, Kind
from contour.testing.cluster import Api, ApiError, Cluster
from contour.testing.cluster.server import API_PORT, CRDS

SERVICES = BY_NAME["Service"]
PROXIES = BY_NAME["HTTPProxy"]


def namespace(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service(name: str, ns: str, port: int = 80) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": ns},
        "spec": {"ports": [{"port": port}]},
    }


def versions(api: Api, *namespaces: str) -> dict[str, str]:
    """What the server has."""
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for ns in namespaces or ("",)
        for item in api.list("v1", "Service", ns)
    }


def restart(cluster: Cluster, api: Api) -> None:
    """Kill the server unless it is dead already, and start it again."""
    cluster.apiserver.kill()
    api.close()
    cluster.apiserver.start()


def until_not_served(api: Api, kind: Kind) -> None:
    while status(api, kind.path()) != 404:
        time.sleep(0.05)


def status(api: Api, path: str) -> int:
    try:
        api.request("GET", path)
    except ApiError as error:
        return error.status
    return 200


def same(found: Mirror, api: Api):
    return lambda: found.versions() == versions(api)


async def test_every_kind_is_listed_and_followed(cluster: Cluster, api: Api):
    api.apply([namespace("all"), service("a", "all")])
    async with mirror(cluster.kubeconfig, KINDS) as found:
        assert set(found.watches.waiting_for) == {kind.name for kind in KINDS}
        await asyncio.wait_for(found.watches.synced(), 10)
        assert found.watches.waiting_for == ()
        assert sorted(batch.kind.name for batch in found.batches if batch.synced) == sorted(kind.name for kind in KINDS)
        assert "all/a" in found.names()
        api.apply([service("b", "all"), service("a", "all", 81)])
        await found.until(same(found, api))
        api.delete(service("a", "all"))
        await found.until(lambda: "all/a" not in found.names())
        assert found.versions() == versions(api)
    assert found.notices == []


async def test_a_list_of_many_pages(cluster: Cluster, api: Api, monkeypatch):
    monkeypatch.setattr(reflector.Reflector.__init__, "__kwdefaults__", {"page": 7})
    api.apply([namespace("pages"), *(service(f"s{number}", "pages") for number in range(40))])
    async with mirror(cluster.kubeconfig, [SERVICES], ["pages"]) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
        assert found.versions() == versions(api, "pages")
        assert [batch.added for batch in found.batches] == [7, 7, 7, 7, 7, 5]


async def test_only_the_namespaces_that_were_named(cluster: Cluster, api: Api):
    """With no more rights than in those (operations.md §6.3)."""
    for name in ("one", "two", "three"):
        api.apply([namespace(name), service("x", name)])
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "contour", "namespace": "one"}],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "contour", "namespace": "one"}}
    api.apply(account)
    api.apply([{**role, "metadata": {"name": "reader", "namespace": "one"}}])
    api.apply([{**binding, "metadata": {"name": "reader", "namespace": "one"}}])
    kubeconfig = cluster.service_account("one", "contour")
    async with mirror(kubeconfig, [SERVICES], ["one", "two"]) as found:
        await found.until(lambda: found.notices and found.names())
        (notice,) = found.notices
        assert notice.namespace == "two"
        assert notice.report.text.startswith("not allowed to list services of v1 in namespace two: 403 Forbidden")
        assert (found.names(), found.watches.waiting_for) == ({"one/x"}, ("Service",))
        api.apply([{**role, "metadata": {"name": "reader", "namespace": "two"}}])
        api.apply([{**binding, "metadata": {"name": "reader", "namespace": "two"}}])
        await asyncio.wait_for(found.watches.synced(), 15)
        await found.until(lambda: found.notices[-1].report == Well())
        assert found.names() == {"one/x", "two/x"}


async def test_a_kind_that_is_installed_later(own_cluster: Cluster, api: Api, monkeypatch):
    monkeypatch.setattr(reflector, "_ABSENT", 0.5)
    for crd in api.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        api.delete({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **crd})
    for kind in (PROXIES, BY_NAME["ExtensionService"]):
        until_not_served(api, kind)
    optional = Kind(BY_NAME["ExtensionService"].type, "extensionservices", optional=True)
    async with mirror(own_cluster.kubeconfig, [PROXIES, optional, SERVICES]) as found:
        await found.until(lambda: found.watches.waiting_for == ("HTTPProxy",) and found.notices)
        (notice,) = found.notices
        assert isinstance(notice.report, Trouble)
        assert notice.report.absent
        assert "httpproxies of projectcontour.io/v1" in notice.report.text
        for file in CRDS.glob("*.yaml"):
            api.apply(file.read_text())
        await asyncio.wait_for(found.watches.synced(), 15)
        assert found.notices[-1].report == Well()
        proxy = {
            "apiVersion": "projectcontour.io/v1",
            "kind": "HTTPProxy",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {},
        }
        api.apply(proxy)
        await found.until(lambda: found.names("HTTPProxy") == {"default/p"})


async def test_the_server_is_killed_and_comes_back(own_cluster: Cluster, api: Api):
    api.apply([namespace("k"), service("a", "k"), service("b", "k")])
    async with mirror(own_cluster.kubeconfig, [SERVICES, PROXIES]) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
        own_cluster.apiserver.kill()
        await found.until(lambda: found.notices)
        assert [notice.kind for notice in found.notices] == [None]  # told once, not for each kind
        assert found.notices[0].report.whole
        assert "k/a" in found.names()
        restart(own_cluster, api)
        api.delete(service("a", "k"))
        api.apply(service("c", "k"))
        await found.until(same(found, api))
        await found.until(lambda: found.notices[-1].report == Well())
    assert len(found.notices) == 2


async def test_etcd_is_killed_and_comes_back(own_cluster: Cluster, api: Api):
    api.apply([namespace("k"), service("a", "k"), service("b", "k")])
    async with mirror(own_cluster.kubeconfig, [SERVICES]) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
        own_cluster.etcd.kill()
        await asyncio.sleep(1)  # what the API server does about it is what is tested
        assert "k/a" in found.names()
        own_cluster.etcd.start()
        own_cluster.apiserver.wait_ready()
        api.delete(service("a", "k"))
        api.apply(service("c", "k"))
        await found.until(same(found, api))


async def test_killed_during_the_first_list(own_cluster: Cluster, api: Api, monkeypatch):
    monkeypatch.setattr(reflector.Reflector.__init__, "__kwdefaults__", {"page": 2})
    api.apply([namespace("k"), *(service(f"s{number}", "k") for number in range(20))])
    async with mirror(own_cluster.kubeconfig, [SERVICES]) as found:
        await found.until(lambda: len(found.batches) >= 3)
        assert found.watches.waiting_for
        own_cluster.apiserver.kill()
        await found.until(lambda: found.notices)
        restart(own_cluster, api)
        await asyncio.wait_for(found.watches.synced(), 20)
        assert found.versions() == versions(api)


async def test_too_far_behind_the_server_says_410(own_cluster: Cluster, api: Api):
    """A server that was started meanwhile has no memory of the versions before."""
    api.apply([namespace("k"), service("a", "k"), service("b", "k"), service("c", "k")])
    async with (
        relay("127.0.0.1", API_PORT) as between,
        mirror(own_cluster.kubeconfig, [SERVICES], port=between.port) as found,
    ):
        await asyncio.wait_for(found.watches.synced(), 10)
        await between.close()
        api.apply([service("a", "k", 81), service("d", "k")])
        api.delete(service("b", "k"))
        restart(own_cluster, api)
        api.apply(service("e", "k"))
        lists = [batch for batch in found.batches if batch.synced]
        await between.open()
        await found.until(same(found, api))
        assert found.names() >= {"k/a", "k/c", "k/d", "k/e"}
        # One list brought it all, and of what was as before nothing: a watch would have brought it one by one.
        assert len(lists) == 1
        last = found.batches[-1]
        assert (last.added, last.updated, last.deleted) == (2, 1, 1)


async def test_a_silent_connection_is_left(cluster: Cluster, api: Api, monkeypatch):
    monkeypatch.setattr(reflector, "SILENCE", 0.5)
    api.apply([namespace("quiet"), service("a", "quiet")])
    async with (
        relay("127.0.0.1", API_PORT) as between,
        mirror(cluster.kubeconfig, [SERVICES], ["quiet"], port=between.port) as found,
    ):
        await asyncio.wait_for(found.watches.synced(), 10)
        between.pause()
        api.delete(service("a", "quiet"))
        api.apply(service("b", "quiet"))
        await between.another()  # it tries one, which stalls as well
        between.resume()
        await found.until(lambda: found.names() == {"quiet/b"})


async def test_connections_are_cut_all_the_time(cluster: Cluster, api: Api):
    api.apply([namespace("cut"), service("s0", "cut")])
    async with (
        relay("127.0.0.1", API_PORT) as between,
        mirror(cluster.kubeconfig, [SERVICES], ["cut"], port=between.port) as found,
    ):
        await asyncio.wait_for(found.watches.synced(), 10)
        for number in range(1, 15):
            api.apply([service(f"s{number}", "cut"), service("s0", "cut", 8000 + number)])
            if number % 3 == 0:
                api.delete(service(f"s{number - 1}", "cut"))
            await between.cut()
            await asyncio.sleep(0.02)
        await found.until(lambda: found.versions() == versions(api, "cut"))
        assert sum(batch.synced for batch in found.batches) == 1


async def test_a_token_that_is_wrong_and_then_right(cluster: Cluster, api: Api, tmp_path):
    token = tmp_path / "token"
    token.write_text("wrong")
    text = cluster.kubeconfig.read_text()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text.replace("token: admin", f"tokenFile: {token}"))
    async with mirror(kubeconfig, [SERVICES]) as found:
        await found.until(lambda: found.notices)
        assert "401 Unauthorized" in found.notices[0].report.text
        token.write_text("admin")
        await asyncio.wait_for(found.watches.synced(), 15)
        assert found.notices[-1].report == Well()


async def test_from_acknowledgement_to_event(cluster: Cluster, api: Api):
    """Milliseconds; the limit is wide as the machine may be busy."""
    api.apply([namespace("fast"), service("a", "fast")])
    async with mirror(cluster.kubeconfig, [SERVICES], ["fast"]) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
        waits = []
        for number in range(20):
            changed = api.patch(service("a", "fast"), {"spec": {"ports": [{"port": 1000 + number}]}})
            wanted = changed["metadata"]["resourceVersion"]
            started = time.monotonic()
            await found.until(lambda wanted=wanted: found.versions()["fast/a"] == wanted)
            waits.append(time.monotonic() - started)
    assert sorted(waits)[len(waits) // 2] < 0.1


@pytest.mark.parametrize("kind", [Kind(Namespace, "namespaces", namespaced=False)])
async def test_a_kind_without_namespaces(cluster: Cluster, kind: Kind):
    async with mirror(cluster.kubeconfig, [kind], ["any"]) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
        assert "/default" in found.names("Namespace")
