"""`contour render` as a user runs it."""

from __future__ import annotations

import base64
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from contour.testing.certs import Authority

PROXY = """
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: a, namespace: ns}
spec:
  virtualhost: {fqdn: a.test}
  routes: [{services: [{name: s, port: 80}]}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: s, namespace: ns}
spec: {ports: [{name: http, port: 80}]}
"""


def contour(*arguments: str, stdin: str = "", wrapper: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    program = [*wrapper, sys.executable, "-c", "from contour.cli import main; main()", "render", *arguments]
    return subprocess.run(program, capture_output=True, text=True, input=stdin, check=False, timeout=60)


def state(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def test_standard_input_files_and_folders_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text(PROXY)
    (tmp_path / "sub" / "s.yml").write_text(SERVICE)
    (tmp_path / "ignored.txt").write_text("not a manifest")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hidden.yaml").write_text("[")  # `contour run` does not read it either
    folder = state(contour("-f", str(tmp_path)))
    assert folder == state(contour("-f", "-", stdin=f"{PROXY}---{SERVICE}"))
    assert folder == state(contour("-f", str(tmp_path / "a.yaml"), "-f", str(tmp_path / "sub/s.yml")))
    assert folder == json.loads(contour("-f", str(tmp_path), "-o", "json").stdout)


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PROXY)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    wrapper = []
    if os.geteuid() == 0:  # may read everything, unless it gives that up
        rights = "-dac_override,-dac_read_search"
        wrapper = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--"]
    done = contour("-f", str(tmp_path), wrapper=wrapper)
    assert (done.returncode, done.stderr) == (1, f"contour: error: {closed}: Permission denied\n")


def test_an_extension_service_that_the_configuration_names_and_that_is_not_there(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("tracing: {extensionService: ops/collector}\nrateLimitService: {extensionService: limits}\n")
    done = contour("-c", str(config), "--strict", stdin=f"{PROXY}---{SERVICE}")
    assert done.stderr.splitlines() == [
        "error getting extension service default/limits: not found",
        "error getting extension service ops/collector: not found",
    ]
    assert done.returncode == 2


def test_the_sections_of_a_state() -> None:
    found = state(contour(stdin=f"{PROXY}---{SERVICE}"))
    sections = ["listeners", "routes", "scoped_routes", "clusters", "endpoints", "secrets", "runtime", "status"]
    assert list(found) == sections
    assert [cluster["name"] for cluster in found["clusters"]] == ["ns/s/80/da39a3ee5e"]
    assert [scope["name"] for scope in found["scoped_routes"]] == ["http/a.test"]
    (entry,) = found["status"]
    assert (entry["kind"], entry["namespace"], entry["name"]) == ("HTTPProxy", "ns", "a")
    assert entry["status"]["currentStatus"] == "valid"
    assert all("lastTransitionTime" not in condition for condition in entry["status"]["conditions"])


def test_the_classic_shape_has_the_reference_form() -> None:
    found = state(contour("--shape", "classic", stdin=f"{PROXY}---{SERVICE}"))
    assert [route["name"] for route in found["routes"]] == ["ingress_http"]
    assert found["scoped_routes"] == []


def test_strict_exits_2_when_an_object_is_invalid() -> None:
    assert contour("--strict", stdin=f"{PROXY}---{SERVICE}").returncode == 0
    assert contour("--strict", stdin=PROXY).returncode == 2
    assert contour(stdin=PROXY).returncode == 0


def test_an_object_of_the_wrong_type_is_in_the_status_with_its_field() -> None:
    done = contour("--strict", stdin=PROXY.replace("port: 80", "port: eighty") + "---" + SERVICE)
    assert done.returncode == 2
    (entry,) = yaml.safe_load(done.stdout)["status"]
    (error,) = entry["status"]["conditions"][0]["errors"]
    assert (error["type"], error["reason"]) == ("SchemaError", "Invalid")
    assert "spec.routes[0].services[0].port" in error["message"]


def test_a_field_that_is_left_out_is_named() -> None:
    done = contour(stdin=PROXY.replace("virtualhost:", "typo: 1\n  virtualhost:") + "---" + SERVICE)
    assert "-:2: HTTPProxy ns/a: " in done.stderr
    assert "spec.typo" in done.stderr
    assert state(done)["status"][0]["status"]["currentStatus"] == "valid"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [\n", ":2: "),
        ("a: 1\na: 2\n", "duplicate"),
        ("\x00", ""),
    ],
)
def test_unreadable_input_names_file_line_and_reason(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    done = contour("-f", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"contour: error: {file}:")
    assert message in done.stderr
    assert "--help" not in done.stderr


def test_an_object_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(PROXY)
    done = contour("-f", str(tmp_path))
    assert done.returncode == 1
    assert "one.yaml" in done.stderr
    assert "two.yaml" in done.stderr
    assert "HTTPProxy ns/a" in done.stderr


def test_a_broken_ingress_is_told_and_counts_for_strict() -> None:
    """It has no place for errors in its status."""
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, namespace: ns}
spec: {rules: [{host: i.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: no, port: {number: 80}}}}]}}]}
"""
    done = contour("--strict", stdin=ingress)
    assert done.returncode == 2
    assert "Ingress ns/i: ServiceUnresolvedReference: " in done.stderr
    assert 'service "ns/no" not found' in done.stderr


def test_an_ingress_that_envoy_would_refuse_is_told_and_counts_for_strict() -> None:
    ingress = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, namespace: ns, annotations: {projectcontour.io/response-timeout: -1s}}
spec: {rules: [{host: i.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}
"""
    done = contour("--strict", stdin=ingress + "---" + SERVICE)
    assert done.returncode == 2
    assert "Ingress ns/i: Rejected: i.test, route with prefix /: timeout: must not be negative" in done.stderr


def test_an_ingressroute_counts_for_strict_though_it_has_no_conditions() -> None:
    route = """
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: r, namespace: ns}
spec: {virtualhost: {fqdn: r.test}, routes: [{match: /, services: [{name: s, port: 80}]}]}
"""
    assert contour("--strict", stdin=route + "---" + SERVICE).returncode == 0
    assert contour("--strict", stdin=route).returncode == 2


def test_private_keys_are_redacted_unless_asked_for() -> None:
    pair = Authority().sign("a.test")
    data = {
        "tls.crt": base64.b64encode(pair.certificate).decode(),
        "tls.key": base64.b64encode(pair.private_key).decode(),
    }
    secret = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"namespace": "ns", "name": "t"},
            "data": data,
        }
    )
    proxy = PROXY.replace("fqdn: a.test", "fqdn: a.test, tls: {secretName: t}")
    text = f"{proxy}---{SERVICE}---\n{secret}"
    hidden = contour(stdin=text)
    assert state(hidden)["secrets"][0]["tls_certificate"]["private_key"] == {"inline_string": "[redacted]"}
    assert data["tls.key"][:40] not in hidden.stdout + hidden.stderr
    shown = state(contour("--show-secrets", stdin=text))
    assert shown["secrets"][0]["tls_certificate"]["private_key"] == {"inline_bytes": data["tls.key"]}


def test_flags_and_the_configuration_file_shape_it(tmp_path: Path) -> None:
    config = tmp_path / "contour.yaml"
    config.write_text("ingress-status-address: 192.0.2.1\n")
    arguments = ("--config-path", str(config), "--envoy-service-http-port=8081")
    found = state(contour(*arguments, stdin=f"{PROXY}---{SERVICE}"))
    (listener,) = [item for item in found["listeners"] if item["name"] == "ingress_http"]
    assert listener["address"]["socket_address"]["port_value"] == 8081
    assert found["status"][0]["status"]["loadBalancer"] == {"ingress": [{"ip": "192.0.2.1"}]}


def test_an_unknown_key_of_the_configuration_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "contour.yaml"
    config.write_text("nonsense: 1\n")
    done = contour("-c", str(config), stdin=PROXY)
    assert done.returncode == 1
    assert "nonsense" in done.stderr


def request(name: str, *documents: str, **more: Any) -> str:
    return json.dumps({"name": name, "objects": [yaml.safe_load(text) for text in documents], **more})


def test_requests_are_answered_in_order_and_an_error_ends_nothing() -> None:
    lines = [
        request("one", PROXY, SERVICE),
        "garbage",
        '{"a":' * 200_000,
        request("two", PROXY, args=["--nonsense"]),
        request("three", PROXY, config="nonsense: 1"),
        request("four", PROXY, SERVICE, "{apiVersion: v1, kind: Pod, metadata: {name: p}}"),
        request("five", PROXY.replace("a.test", "old.test"), PROXY, SERVICE),
    ]
    done = contour("--jsonl", "--shape", "classic", "--skip-admission", stdin="\n".join(lines) + "\n")
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["name"] for answer in answers] == ["one", "", "", "two", "three", "four", "five"]
    assert [("error" in answer) for answer in answers] == [False, True, True, True, True, False, False]
    assert answers[0]["clusters"] == answers[5]["clusters"] == answers[6]["clusters"]
    hosts = [host["domains"] for host in answers[6]["routes"][0]["virtual_hosts"]]
    assert hosts == [["a.test"]]  # of two objects with one key the last wins


def test_a_hundred_requests_a_second() -> None:
    """Processor time, the start included, because other tests run beside this one."""
    text = "\n".join(request(str(number), PROXY, SERVICE) for number in range(300)) + "\n"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = contour("--jsonl", "--shape", "classic", "--skip-admission", stdin=text)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.count("\n") == 300
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_notices_and_errors_command_no_terminal() -> None:
    done = contour(stdin='apiVersion: v1\nkind: "Pod\\e[2J\\n"\n')
    assert done.stderr == "-:1: unknown kind v1 Pod\\x1b[2J\\n: skipped\n"
    done = contour("-f", "no\x1b[2J.yaml")
    assert done.stderr == "contour: error: no\\x1b[2J.yaml: No such file or directory\n"
