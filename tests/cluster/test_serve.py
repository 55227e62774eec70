"""`contour serve` with a real API server and a real Envoy."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.site import (
    SHOP,
    ask,
    current,
    endpoints,
    events,
    ingress,
    ingressroute,
    namespace,
    obj,
    proxy,
    service,
    wait_for,
    wait_until,
)  # fmt: skip

from contour.testing.backends import Backend
from contour.testing.cluster import Api, Cluster
from contour.testing.cluster.api import Object
from contour.testing.envoy import Envoy
from contour.testing.serving import Serving

pytestmark = pytest.mark.traffic


@pytest.fixture
def pods() -> Iterator[Backend]:
    with Backend("pods", host="0.0.0.0") as backend:
        yield backend


@pytest.fixture
def shop(api: Api, pods: Backend) -> None:
    api.apply([namespace(SHOP), namespace("projectcontour")])
    api.apply([service(), endpoints(pods.port), proxy("base")])  # without a host there is no listener


@pytest.fixture
def serving(cluster: Cluster, shop: None) -> Iterator[Serving]:
    with Serving(cluster.kubeconfig) as serving:
        yield serving


@pytest.fixture
def envoy(serving: Serving) -> Iterator[Envoy]:
    with serving.envoy() as envoy:
        yield envoy


def test_a_host_comes_changes_and_goes(api: Api, envoy: Envoy) -> None:
    assert ask("a.test").status == 404
    api.apply(proxy("a"))
    wait_for("a.test", 200)
    api.wait_for(proxy("a"), current("valid"))

    api.apply(proxy("a", routes=[{"directResponsePolicy": {"statusCode": 418}}]))
    wait_for("a.test", 418)

    api.apply(ingress("i"))
    wait_for("i.test", 200)
    api.delete(ingress("i"))
    wait_for("i.test", 404)
    api.delete(proxy("a"))
    wait_for("a.test", 404)


def test_what_the_configuration_names_and_is_not_there(cluster: Cluster, shop: None, tmp_path: Path) -> None:
    """It is told, and the rest is served."""
    config = tmp_path / "config.yaml"
    config.write_text("tracing: {extensionService: ops/collector}\n")
    with Serving(cluster.kubeconfig, f"--config-path={config}") as serving:
        assert serving.wait_for("error getting extension service ops/collector: not found")


def test_endpoints_follow_their_slices(api: Api, envoy: Envoy) -> None:
    with Backend("others", host="0.0.0.0") as others:
        api.apply(proxy("a"))
        wait_for("a.test", 200, backend="pods")
        api.apply(endpoints(others.port))
        wait_for("a.test", 200, backend="others")


def test_what_is_wrong_stands_in_the_status_and_beside_the_object(api: Api, serving: Serving) -> None:
    bad = proxy("bad", to="nothing")
    api.apply(bad)
    found = api.wait_for(bad, current("invalid"))
    (condition,) = found["status"]["conditions"]
    (error,) = condition["errors"]
    text = 'Spec.Routes unresolved service reference: service "shop/nothing" not found'
    assert (error["type"], error["reason"], error["message"]) == ("ServiceError", "ServiceUnresolvedReference", text)
    assert (condition["status"], condition["reason"]) == ("False", "ErrorPresent")
    wait_until(lambda: events(api, bad))  # an Event is an object of its own
    assert events(api, bad) == [("Warning", "ServiceUnresolvedReference", f"ServiceError: {text}")]

    api.apply(service("nothing"))
    found = api.wait_for(bad, current("valid"))
    assert "errors" not in found["status"]["conditions"][0]
    api.delete(service("nothing"))
    api.wait_for(bad, current("invalid"))
    assert len(events(api, bad)) == 1, "the same event again is the same event"


def test_an_orphan_and_an_ingress_that_leads_nowhere(api: Api, serving: Serving) -> None:
    spec = {"routes": [{"services": [{"name": "web", "port": 80}]}]}
    orphan = obj("HTTPProxy", "projectcontour.io/v1", "orphan", spec=spec)
    nowhere = ingress("nowhere", to="nothing")
    api.apply([orphan, nowhere])
    found = api.wait_for(orphan, current("orphaned"))
    assert found["status"]["description"] == "this HTTPProxy is not part of a delegation chain from a root HTTPProxy"
    wait_until(lambda: events(api, nowhere))
    ((kind, _, message),) = events(api, nowhere)
    assert kind == "Warning"
    assert "shop/nothing" in message


def test_an_annotation_without_effect_is_logged(api: Api, serving: Serving) -> None:
    api.apply({**proxy("a"), "metadata": {**proxy("a")["metadata"], "annotations": {"projectcontour.io/rewrite": "/"}}})
    said = serving.wait_for("HTTPProxy shop/a: ignoring invalid or unsupported annotation")
    assert "projectcontour.io/rewrite" in said
    assert "level=error" in said


def test_an_ingressroute_is_served_told_and_counted(api: Api, serving: Serving, envoy: Envoy) -> None:
    good, bad = ingressroute("good"), ingressroute("bad", to="nothing")
    api.apply([good, bad])
    wait_for("good.test", 200)
    for one, says in ((good, "valid IngressRoute"), (bad, "Service [nothing:80] is invalid or missing")):
        api.wait_for(one, lambda found, says=says: found.get("status", {}).get("description") == says)
    wait_until(lambda: events(api, bad))
    metrics = serving.metrics()
    assert metrics['contour_ingressroute_total{namespace="shop"}'] == 2
    assert metrics['contour_ingressroute_valid_total{namespace="shop",vhost="good.test"}'] == 1
    assert metrics['contour_ingressroute_invalid_total{namespace="shop",vhost="bad.test"}'] == 1
    api.delete(good)
    wait_for("good.test", 404)


def test_a_crd_of_ingressroute_without_a_status_subresource(own_cluster: Cluster, api: Api, shop: None) -> None:
    """The status is a part of the object then (operations.md §12.9); one that is gone is told nothing."""
    crd = obj("CustomResourceDefinition", "apiextensions.k8s.io/v1", "ingressroutes.contour.heptio.com", "")
    (version,) = api.get(crd)["spec"]["versions"]
    del version["subresources"]
    api.patch(crd, {"spec": {"versions": [version]}})
    old = ingressroute("old")
    wait_until(lambda: _has_no_status(api, old))
    with Serving(own_cluster.kubeconfig):
        api.wait_for(old, lambda found: found.get("status", {}).get("currentStatus") == "valid")


def _has_no_status(api: Api, route: Object) -> bool:
    """The server needs a moment to take a CRD's change: until then it drops the status of what is written."""
    api.apply({**route, "status": {"currentStatus": "unknown"}})
    return bool(api.get(route).get("status"))


def test_the_address_of_the_envoy_service_is_written(api: Api, serving: Serving) -> None:
    api.apply([proxy("a"), ingress("i")])
    api.wait_for(proxy("a"), current("valid"))
    envoy = {**service("envoy"), "metadata": {"name": "envoy", "namespace": "projectcontour"}}
    envoy["spec"] = {**envoy["spec"], "type": "LoadBalancer"}
    api.apply(envoy)
    api.patch(envoy, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}, subresource="status")
    for about in (proxy("a"), ingress("i")):
        found = api.wait_for(about, lambda one: bool(one["status"].get("loadBalancer")))
        assert [entry["ip"] for entry in found["status"]["loadBalancer"]["ingress"]] == ["192.0.2.7"]


def test_a_touch_writes_nothing_and_tells_envoys_nothing(api: Api, serving: Serving, envoy: Envoy) -> None:
    api.apply(proxy("a"))
    wait_for("a.test", 200)
    api.wait_for(proxy("a"), current("valid"))
    before = serving.metrics()
    for number in range(5):
        api.patch(proxy("a"), {"metadata": {"annotations": {"touched": str(number)}}})
    api.apply(proxy("b"))  # comes after the touches
    api.wait_for(proxy("b"), current("valid"))
    after = serving.metrics()
    updates = 'contour_eventhandler_operation_total{kind="HTTPProxy",op="update"}'
    assert after[updates] - before[updates] >= 5
    writes = 'contour_status_update_total{kind="HTTPProxy"}'
    assert after[writes] - before[writes] == 1


def test_nothing_is_answered_before_everything_is_known(cluster: Cluster, api: Api, shop: None) -> None:
    """An Envoy that asked a replica which knows half of the cluster would lose the other half."""
    api.apply([proxy(f"h{number}") for number in range(20)])
    serving = Serving(cluster.kubeconfig)
    cluster.apiserver.pause()
    try:
        serving.launch()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", serving.xds_port), 1)
            time.sleep(0.1)
    finally:
        cluster.apiserver.resume()
    try:
        serving.wait_for("serving xDS")
        with serving.envoy():
            assert {ask(f"h{number}.test").status for number in range(20)} == {200}
    finally:
        serving.stop()


def test_health_follows_the_api_server(cluster: Cluster, serving: Serving) -> None:
    assert serving.page("/healthz") == serving.page("/health") == "OK\n"
    cluster.apiserver.pause()
    try:
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            serving.page("/healthz")
        assert refused.value.read().startswith(b"Failed Kubernetes Check: ")
    finally:
        cluster.apiserver.resume()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(serving: Serving, envoy: Envoy, api: Api, number: int) -> None:
    api.apply(proxy("a"))
    wait_for("a.test", 200)
    assert serving.stop(number) == 0
    assert serving.lines[-1].endswith("msg=stopped")
    assert "Traceback" not in "\n".join(serving.lines)
    assert ask("a.test").status == 200, "an Envoy goes on with what it has"


def test_a_namespace_that_is_not_there_is_told(cluster: Cluster, shop: None) -> None:
    with Serving(cluster.kubeconfig, f"--watch-namespaces={SHOP},sohp") as serving:
        serving.wait_for("nothing is in namespace sohp: does it exist?")
        assert not [line for line in serving.lines if f"nothing is in namespace {SHOP}" in line]


def test_the_log_tells_of_streams_when_asked(cluster: Cluster, shop: None) -> None:
    with Serving(cluster.kubeconfig, "--debug") as serving:
        with serving.envoy():
            serving.wait_for('level=debug msg="stream opened" context=xds')
            serving.wait_for(
                f'msg="handling v3 xDS resource request".* node_id=test-{serving.xds_port} node_version=v1'
            )
        serving.wait_for(f'msg="stream closed".* node_id=test-{serving.xds_port}')


def test_the_log_can_be_json(cluster: Cluster, shop: None) -> None:
    serving = Serving(cluster.kubeconfig)
    serving.arguments = ["--log-format=json", *serving.arguments]
    serving.launch()
    try:
        line = serving.wait_for('"msg":"serving xDS"|"msg": "serving xDS"', 20)
        assert line.startswith("{")
    finally:
        serving.stop()


def test_each_metric_is_on_the_page_and_in_the_docs(api: Api, serving: Serving, envoy: Envoy) -> None:
    bad = proxy("bad", to="nothing")
    api.apply(bad)
    api.wait_for(bad, current("invalid"))
    page = serving.page("/metrics")
    names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    text = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`((?:contour|leader|rest_client)_\w+)`", text))
    for line in text.splitlines():
        first, *rest = (
            re.findall(r"`(contour_\w+|…\w+)`", line.split("|")[1]) if line.startswith("| `contour") else [""]
        )
        stem = first.removesuffix("_messages_total").removesuffix("_total")
        documented |= {stem + other.removeprefix("…") for other in rest if other.startswith("…")}
    shown = {name for name in names if not name.startswith("process_")}
    assert shown - documented == set()
    assert documented - shown == {"contour_httpproxy_orphaned"} - shown
    assert 'contour_httpproxy_invalid{namespace="shop",vhost="bad.test"} 1.0' in page
