"""`examples/contour`: a real API server takes it, and its rights are what `contour serve` uses, no more and no less."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.site import (
    SHOP,
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
)

from contour.control.settings import load
from contour.testing.backends import Backend
from contour.testing.cluster import Api, Cluster
from contour.testing.cluster.api import Object
from contour.testing.envoy import Envoy
from contour.testing.serving import Serving

ROOT = Path(__file__).parents[2]
INSTALLATION = ROOT / "examples" / "contour"
FILES = sorted(INSTALLATION.glob("*.yaml"))
ACCOUNT = "system:serviceaccount:projectcontour:contour"
Right = tuple[str, str, str, str]  # namespace ("" for all), group, resource, verb

pytestmark = pytest.mark.traffic


def objects(pattern: str = "*") -> list[Object]:
    return [obj for file in FILES if file.match(pattern) for obj in yaml.safe_load_all(file.read_text()) if obj]


def named(kind: str, name: str) -> Object:
    (found,) = (obj for obj in objects() if (obj["kind"], obj["metadata"]["name"]) == (kind, name))
    return found


@pytest.fixture
def own_cluster(cluster: Cluster) -> Iterator[Cluster]:  # skips where there can be no cluster
    """With nothing in it, and an audit log."""
    with Cluster(crds=False, audit=ACCOUNT) as own:
        yield own


@pytest.fixture
def installed(own_cluster: Cluster, api: Api) -> Cluster:
    """In the order of the files, as `kubectl apply -f` does it."""
    for one in objects():
        api.apply(one)
        if one["kind"] == "CustomResourceDefinition":
            api.wait_for(one, established)
    return own_cluster


def established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Established", "True") for one in conditions)


def granted() -> set[Right]:
    """Of the rules in the files."""
    rights = set()
    for role in objects("02-role-contour.yaml"):
        for rule in role["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    rights |= {(role["metadata"].get("namespace", ""), group, resource, v) for v in rule["verbs"]}
    return rights


def used(cluster: Cluster) -> tuple[set[Right], list[str]]:
    """Rights that were used, and requests that were refused."""
    rights, refused = set(), []
    local = {(group, resource) for where, group, resource, _ in granted() if where}
    for event in cluster.audited():
        about = event.get("objectRef", {})
        if event["responseStatus"].get("code") == 403:
            refused.append(f"{event['verb']} {event['requestURI']}")
        if "resource" not in about:
            continue  # /version is open to everybody
        resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
        group = about.get("apiGroup", "")
        where = about.get("namespace", "") if (group, resource) in local else ""
        rights.add((where, group, resource, event["verb"]))
    return rights, refused


def test_serve_uses_exactly_the_rights_that_it_has(installed: Cluster, api: Api) -> None:
    kubeconfig = installed.service_account("projectcontour", "contour")
    extension = obj(
        "ExtensionService", "projectcontour.io/v1alpha1", "extension", spec={"services": [{"name": "web", "port": 80}]}
    )
    nowhere = ingress("nowhere", to="nothing")
    with Backend("pods", host="0.0.0.0") as pods:
        old = ingressroute("old")
        api.apply([namespace(SHOP), service(), endpoints(pods.port), proxy("a"), extension, nowhere, old])
        envoy = named("Service", "envoy")
        api.patch(envoy, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}, subresource="status")
        with Serving(kubeconfig, "--leader-election-retry-period=300ms") as serving:
            with serving.envoy():
                wait_for("a.test", 200)
            for proxied in (proxy("a"), nowhere):
                api.wait_for(proxied, lambda one: bool(one["status"].get("loadBalancer", {}).get("ingress")))
            api.wait_for(proxy("a"), current("valid"))
            api.wait_for(old, lambda one: one.get("status", {}).get("currentStatus") == "valid")
            api.wait_for(extension, lambda one: bool(one.get("status", {}).get("conditions")))
            wait_until(lambda: events(api, nowhere))
            lease = obj("Lease", "coordination.k8s.io/v1", "leader-elect", "projectcontour")
            first = api.get(lease)["spec"]["renewTime"]
            api.wait_for(lease, lambda one: one["spec"]["renewTime"] != first)
            assert serving.page("/healthz") == "OK\n"
            assert serving.stop() == 0
        assert not [line for line in serving.lines if "level=error" in line]
    rights, refused = used(installed)
    assert refused == []
    assert granted() - rights == set(), "rights that are not used"
    assert rights - granted() == set(), "rights that something else gave"


def test_without_the_right_to_write_a_status_it_serves_and_says_so_once(installed: Cluster, api: Api) -> None:
    role = named("ClusterRole", "contour")
    rules = [rule for rule in role["rules"] if rule["verbs"] != ["patch"]]
    api.patch(role, {"rules": rules})
    kubeconfig = installed.service_account("projectcontour", "contour")
    with Backend("pods", host="0.0.0.0") as pods:
        api.apply([namespace(SHOP), service(), endpoints(pods.port), *(proxy(f"h{number}") for number in range(50))])
        with Serving(kubeconfig) as serving, serving.envoy():
            wait_for("h7.test", 200)
            serving.wait_for("may not be written")
            written = 'contour_status_update_total{kind="HTTPProxy"}'
            before = serving.metrics()[written]
            assert before <= 16, "as many as are under way at once"
            api.apply(proxy("h51"))
            wait_for("h51.test", 200)
            assert serving.metrics()[written] == before
            assert serving.metrics()['contour_status_update_failed_total{kind="HTTPProxy"}'] == before
            assert len([line for line in serving.lines if "may not be written" in line]) == 1


def test_names_are_those_of_the_reference() -> None:
    assert [file.name for file in FILES] == [
        "00-common.yaml", "01-contour-config.yaml", "01-crds.yaml", "02-rbac.yaml", "02-role-contour.yaml",
        "02-service-contour.yaml", "02-service-envoy.yaml", "03-contour.yaml", "03-envoy.yaml",
    ]  # fmt: skip


def test_the_configuration_in_it_is_the_default() -> None:
    text = named("ConfigMap", "contour")["data"]["contour.yaml"]
    assert load(text) == load("")
    uncommented = re.sub(r"^(\s*)# (?=\s*[A-Za-z-]+:( |$))", r"\1", text, flags=re.MULTILINE)
    assert yaml.safe_load(uncommented).keys() >= {"disablePermitInsecure", "ingress-status-address", "tls"}
    load(uncommented)


def stats(envoy: Envoy, wanted: str) -> dict[str, int]:
    try:
        return envoy.stats(wanted)
    except OSError:
        return {}  # its admin does not listen yet


def certificates(directory: Path) -> None:
    """Run the script of the page."""
    (script,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "serve.md").read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run(["sh", "-c", script], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_certificates_of_the_page_are_good_for_both_sides(cluster: Cluster, api: Api, tmp_path: Path) -> None:
    certificates(tmp_path)
    flags = [f"--contour-{flag}={tmp_path}/{file}" for flag, file in (
        ("cafile", "ca.crt"), ("cert-file", "contour.crt"), ("key-file", "contour.key"),
    )]  # fmt: skip
    settings: dict[str, Any] = {"ca_file": f"{tmp_path}/ca.crt"}
    settings |= {"cert_file": f"{tmp_path}/envoy.crt", "key_file": f"{tmp_path}/envoy.key"}
    with Backend("pods", host="0.0.0.0") as pods:
        api.apply([namespace(SHOP), namespace("projectcontour"), service(), endpoints(pods.port), proxy("a")])
        with Serving(cluster.kubeconfig, *flags) as serving:
            with serving.envoy(**settings):
                wait_for("a.test", 200)
            stranger = tmp_path / "stranger"
            stranger.mkdir()
            certificates(stranger)
            settings |= {"cert_file": f"{stranger}/envoy.crt", "key_file": f"{stranger}/envoy.key"}
            envoy = serving.envoy(**settings)
            envoy.launch()
            try:
                tried = "cluster.projectcontour_contour_[0-9]+.upstream_cx_total"
                wait_until(lambda: any(count >= 2 for count in stats(envoy, tried).values()))
                assert not envoy.ready()
                assert serving.metrics()['contour_xds_streams{shape="scoped"}'] == 0
            finally:
                envoy.stop()
