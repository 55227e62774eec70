"""The test cluster itself: a real server, its network, its rights, and what can be done to it."""

from __future__ import annotations

import os
import socket
import subprocess
import time

import pytest

from contour.testing.backends import Backend
from contour.testing.clients import get
from contour.testing.cluster import Api, ApiError, Cluster, Network
from contour.testing.cluster.api import ref
from contour.testing.cluster.server import API_PORT

TEAM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
PROXY = {
    "apiVersion": "projectcontour.io/v1",
    "kind": "HTTPProxy",
    "metadata": {"name": "web", "namespace": "team"},
    "spec": {"virtualhost": {"fqdn": "web.example.com"}, "routes": [{"services": [{"name": "web", "port": 80}]}]},
}
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: team, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [ADDRESS]}]
ports: [{name: http, port: 8080}]
"""


def test_objects_are_made_read_changed_and_deleted(api: Api) -> None:
    api.apply([TEAM, PROXY])
    assert api.get(PROXY)["status"]["currentStatus"] == "NotReconciled"  # the CRD's default
    api.patch(PROXY, {"status": {"currentStatus": "valid"}}, subresource="status")
    api.patch(PROXY, {"metadata": {"annotations": {"a": "b"}}})
    found = api.get(PROXY)
    assert (found["status"]["currentStatus"], found["metadata"]["annotations"]) == ("valid", {"a": "b"})
    assert [one["metadata"]["name"] for one in api.list("projectcontour.io/v1", "HTTPProxy", "team")] == ["web"]
    api.delete(PROXY)
    assert api.find(PROXY) is None


def test_the_schema_of_our_crds_is_enforced(api: Api) -> None:
    api.apply(TEAM)
    with pytest.raises(ApiError, match=r"spec\.routes") as refused:
        api.create({**PROXY, "spec": {"routes": [{"services": [{"name": "web", "port": 0}]}]}})
    assert refused.value.status == 422


def test_pods_are_this_machine_and_nothing_leaves_it(api: Api) -> None:
    api.apply(TEAM)
    api.apply(SLICE.replace("ADDRESS", "10.244.1.2"))
    with Backend("pods", host="0.0.0.0") as backend:
        assert get(("10.244.1.2", backend.port), "web.example.com").backend == "pods"
        child = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://10.244.255.9:{backend.port}/"]
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "200"
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), 1)


def test_an_endpoint_slice_may_not_name_loopback(api: Api) -> None:
    api.apply(TEAM)
    with pytest.raises(ApiError, match="loopback"):
        api.apply(SLICE.replace("ADDRESS", "127.0.0.1"))


def test_who_has_not_entered_is_outside(cluster: Cluster) -> None:
    with socket.create_connection(("127.0.0.1", API_PORT), 1):
        pass
    with Network() as other, other.entered(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", API_PORT), 1)


def test_a_service_account_has_its_rights_alone(cluster: Cluster, api: Api) -> None:
    api.apply(TEAM)
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "team"}})
    with cluster.api(cluster.service_account("team", "reader")) as reader:
        with pytest.raises(ApiError, match=r"system:serviceaccount:team:reader.*cannot list") as refused:
            reader.list("v1", "Secret")
        assert refused.value.status == 403
        api.apply(
            """
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: {name: reader}
            rules: [{apiGroups: [""], resources: [secrets], verbs: [list]}]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: {name: reader}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
            subjects: [{kind: ServiceAccount, name: reader, namespace: team}]
            """
        )
        deadline = time.monotonic() + 5
        while True:  # the authoriser follows by a watch of its own and tells nobody
            try:
                assert reader.list("v1", "Secret") == []
                break
            except ApiError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_waiting_sees_each_change(api: Api) -> None:
    api.apply([TEAM, PROXY])
    with pytest.raises(TimeoutError, match="HTTPProxy team/web"):
        api.wait_for(PROXY, lambda found: "done" in found["metadata"].get("annotations", {}), timeout=0.2)
    watch = api.watch(api.path(PROXY, named=False), 5)
    assert next(watch)["type"] == "ADDED"
    api.patch(PROXY, {"metadata": {"annotations": {"done": "yes"}}})
    assert next(watch)["object"]["metadata"]["annotations"] == {"done": "yes"}
    api.wait_for(PROXY, lambda found: found["metadata"]["annotations"]["done"] == "yes", timeout=5)


def test_killed_and_started_again_with_what_it_held(own_cluster: Cluster, api: Api) -> None:
    api.apply([TEAM, PROXY])
    own_cluster.etcd.kill()
    own_cluster.etcd.start()
    assert api.get(PROXY)["spec"] == PROXY["spec"]
    own_cluster.apiserver.kill()
    with pytest.raises(OSError):
        api.get(PROXY)
    own_cluster.apiserver.start()
    assert api.get(PROXY)["spec"] == PROXY["spec"]
    own_cluster.apiserver.stop()
    own_cluster.apiserver.start()
    assert api.get(PROXY)["spec"] == PROXY["spec"]


def test_a_server_that_is_held_up_answers_when_it_goes_on(own_cluster: Cluster) -> None:
    with own_cluster.api(timeout=0.3) as impatient:
        impatient.get(ref("v1", "Namespace", "", "default"))
        own_cluster.apiserver.pause()
        with pytest.raises(TimeoutError):
            impatient.get(ref("v1", "Namespace", "", "default"))
        own_cluster.apiserver.resume()
    with own_cluster.api() as patient:
        patient.get(ref("v1", "Namespace", "", "default"))


def test_its_controllers_do_their_work(own_cluster: Cluster, api: Api) -> None:
    own_cluster.start_controllers()
    api.apply(TEAM)
    api.apply(
        """
        apiVersion: v1
        kind: Node
        metadata: {name: node}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: team}
        spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web-1, namespace: team, labels: {app: web}}
        spec: {nodeName: node, containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
        """
    )
    # What a kubelet would say of it.
    ready = {"type": "Ready", "status": "True"}
    status = {"phase": "Running", "podIP": "10.244.3.4", "podIPs": [{"ip": "10.244.3.4"}], "conditions": [ready]}
    api.patch(ref("v1", "Pod", "team", "web-1"), {"status": status}, subresource="status")
    path = api.path(ref("discovery.k8s.io/v1", "EndpointSlice", "team", ""), named=False)
    events = api.watch(path, 15, labelSelector="kubernetes.io/service-name=web")
    addresses = (one["addresses"] for event in events for one in event["object"].get("endpoints") or [])
    assert next(addresses) == ["10.244.3.4"]


def test_nothing_of_it_is_left() -> None:
    with Cluster(crds=False) as cluster:
        pids = (cluster.etcd.pid, cluster.apiserver.pid)
        assert cluster.directory.exists()
    assert not cluster.directory.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
