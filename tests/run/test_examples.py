"""What README and examples print is run as it stands."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from contour.control import settings
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.control.sources import load
from contour.control.table import Hosts
from contour.testing import demo
from contour.testing.authorization import Authorizer, bearer
from contour.testing.backends import Backend
from contour.testing.certs import Authority
from contour.testing.clients import Http1, connect, get, get_tls
from contour.testing.collector import Collector
from contour.testing.ratelimit import RateLimits, UnavailableError
from contour.testing.running import Running

ROOT = Path(__file__).parents[2]
INSTALLATION = "contour"  # what is applied to a cluster; not a folder to serve
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != INSTALLATION)

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1]}}]
ports: [{{port: {port}}}]
"""


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_admitted_and_valid_as_it_stands(folder: Path) -> None:
    config, manifests = folder / "config.yaml", folder / "manifests"
    found = (manifests if manifests.is_dir() else folder).glob("*.yaml")
    sources = load([str(file) for file in found if file.name != "tls-secret.yaml"])
    assert (sources.refused, sources.notices) == ({}, [])
    pipeline = Pipeline(settings.load(config.read_text()) if config.exists() else Settings())
    hosts = Hosts(pipeline)
    for obj in sources.objects.values():
        pipeline.store.apply(obj)
    hosts.update(pipeline.commit())
    assert hosts.rows()
    problems = {row.text for row in hosts.rows() if row.status == "invalid"}
    # Private keys belong into no repository: the page tells how to make them.
    assert all(text.endswith("Secret not found") for text in problems), problems
    page = folder / "README.md"
    assert bool(problems) == (page.exists() and "invalid" in page.read_text())


def test_the_ports_of_the_quickstart_are_those_of_the_demo() -> None:
    slices = {
        key.name: obj.ports[0].port
        for key, obj in load([str(ROOT / "examples/quickstart")]).objects.items()
        if key.kind == "EndpointSlice"
    }
    assert slices == demo.BACKENDS
    page = (ROOT / "examples/quickstart/README.md").read_text()
    assert all(str(port) in page for port in demo.BACKENDS.values())


@pytest.mark.traffic
def test_the_demo_passes() -> None:
    """Beside another program on the usual ports, which no other test can take meanwhile then."""
    with ExitStack() as taken:
        for port in (8080, 8443):
            one = taken.enter_context(socket.socket())
            with suppress(OSError):  # somebody else has it: as good
                one.bind(("0.0.0.0", port))
                one.listen()
        done = subprocess.run(
            [sys.executable, "-m", "contour.testing.demo", "--once"],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All answers were right." in done.stdout
    assert "WRONG" not in done.stdout
    assert "the redirect keeps the port that was asked for" in done.stdout
    assert "PRIVATE KEY" not in done.stdout


@pytest.mark.traffic
def test_the_demo_fails_when_an_answer_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**demo.BACKENDS, "web": demo.BACKENDS["blog"], "blog": demo.BACKENDS["web"]}
    monkeypatch.setattr(demo, "BACKENDS", wrong)
    monkeypatch.setattr(demo, "_LIVE_TIMEOUT", 0.5)
    monkeypatch.setattr(sys, "argv", ["demo", "--once"])
    assert demo.main() == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.traffic
def test_the_manifests_of_the_readme(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block)
    with Backend("web") as web, Backend("v1") as one, Backend("v2") as two:
        for name, namespace, backend in (
            ("web", "shop", web),
            ("cart-v1", "team-cart", one),
            ("cart-v2", "team-cart", two),
        ):
            text = SERVICE.format(name=name, namespace=namespace, port=backend.port)
            (tmp_path / f"{name}.yaml").write_text(text)
        with Running(tmp_path) as run:
            assert get(run.http, "shop.localhost").backend == "web"
            seen: set[str | None] = set()
            for _ in range(300):  # one in ten goes to v2: by chance none of sixty did
                seen.add(get(run.http, "shop.localhost", "/cart").backend)
                if len(seen) > 1:
                    break
            assert seen == {"v1", "v2"}


@pytest.mark.traffic
def test_the_policies_do_what_they_say(tmp_path: Path) -> None:
    with Backend("api") as api, Backend("next") as following:
        text = (ROOT / "examples/policies/api.yaml").read_text()
        text = text.replace("port: 9111", f"port: {api.port}").replace("port: 9112", f"port: {following.port}")
        (tmp_path / "api.yaml").write_text(text)
        with Running(tmp_path) as run:
            name = "api.localhost"
            answer = get(run.http, name, "/")
            assert answer.backend == "api"
            assert "X-Contour-Session-Affinity" in (answer.header("set-cookie") or "")
            assert get(run.http, name, "/", [("X-Canary", "yes")]).backend == "next"
            answer = get(run.http, name, "/v1/things")
            assert answer.backend is None
            assert (answer.seen.path, answer.seen.header("x-api-version")) == ("/things", "1")
            with Http1(connect(run.http)) as client:
                assert client.websocket(name, "/events").body == b"hello"
            with Http1(connect(run.http)) as client:
                assert client.websocket(name, "/").status == 403
            answer = get(run.http, name, "/old")
            assert (answer.status, answer.header("location")) == (301, f"http://{name}/v1/new")
            answer = get(run.http, name, "/teapot")
            assert (answer.status, answer.body) == (418, b"I am a teapot")


@pytest.mark.traffic
def test_the_certificate_that_the_quickstart_tells_to_make(tmp_path: Path) -> None:
    """The recipe of its README, with the paths of this test."""
    page = (ROOT / "examples/quickstart/README.md").read_text()
    recipe = "".join(
        line.removeprefix("    ") + "\n"
        for line in re.search(r"(    openssl req.*?EOF)\n    curl", page, re.DOTALL)[1].splitlines()  # type: ignore[index]
    )
    (tmp_path / "examples/quickstart").mkdir(parents=True)
    for file in (ROOT / "examples/quickstart").glob("*.yaml"):
        (tmp_path / "examples/quickstart" / file.name).write_text(file.read_text())
    subprocess.run(["sh", "-ec", recipe], cwd=tmp_path, check=True, capture_output=True)
    with Running(tmp_path / "examples/quickstart") as run:
        assert "secure.localhost  HTTPProxy shop/secure  valid" in run.lines
        # Nobody is at 9106: Envoy itself answers, behind the right certificate.
        context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        assert get_tls(run.https, "secure.localhost", context=context).status in {200, 503}


@pytest.mark.traffic
def test_the_example_of_external_authorization(tmp_path: Path) -> None:
    folder = ROOT / "examples/external-authorization"
    with Backend("web") as web, Authorizer(bearer) as server:
        ports = {"9121": web.port, "9443": server.port}
        for file in (folder / "manifests").glob("*.yaml"):
            (tmp_path / file.name).write_text(_with_ports(file, ports))
        pair = Authority().sign("secure.localhost")
        data = {"tls.crt": pair.certificate, "tls.key": pair.private_key}
        metadata = {"name": "secure-tls", "namespace": "shop"}
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "kubernetes.io/tls",
            "data": encoded,
        }
        (tmp_path / "secret.yaml").write_text(json.dumps(secret))
        with Running(tmp_path, "-c", str(folder / "config.yaml")) as run:
            key = [("authorization", "Bearer let-me-in")]
            assert get(run.http, "shop.localhost", "/").status == 401
            answer = get(run.http, "shop.localhost", "/", key)
            assert (answer.backend, answer.seen.header("x-user")) == ("web", "you")
            assert server.checks[-1].context == {"site": "examples", "area": "shop"}
            assert get(run.http, "shop.localhost", "/public").backend == "web"
            assert get_tls(run.https, "secure.localhost").status == 401
            assert get_tls(run.https, "secure.localhost", "/", key).backend == "web"
            assert server.checks[-1].context == {}


@pytest.mark.traffic
def test_the_example_of_a_configuration_file(tmp_path: Path) -> None:
    folder = ROOT / "examples/configuration"
    with Backend("web") as web, Collector() as collector:
        web.extra.append(("server", "mine"))
        for file in (folder / "manifests").glob("*.yaml"):
            (tmp_path / file.name).write_text(_with_ports(file, {"9123": web.port, "4317": collector.port}))
        with Running(tmp_path, "-c", str(folder / "config.yaml")) as run:
            headers = [("x-tenant", "blue"), ("x-debug", "1"), ("accept-encoding", "zstd")]
            answer = get(run.http, "shop.localhost.", "/", headers[:2])
            assert (answer.backend, answer.header("server")) == ("web", "mine")
            assert answer.header("strict-transport-security") == "max-age=31536000"
            assert (answer.seen.header("x-service"), answer.seen.header("x-debug")) == ("web.shop", None)
            assert get(run.http, "shop.localhost", "/plain").seen.header("x-service") == "mine"
            assert get(run.http, "old.localhost", "/").seen.header("x-service") == "web.shop"
            assert get(run.http, "shop.localhost", "/", headers).header("content-encoding") == "zstd"
            span = collector.find(lambda span: span.tags.get("tenant") == "blue")
            assert span.service == "edge"
            assert get(run.http, "shop.localhost", "/status/404", headers[:1]).status == 404
            (line,) = _log(run.directory / "access-http.log")
            assert line.pop("@timestamp")
            assert line == {
                "method": "GET", "authority": "shop.localhost", "path": "/status/404", "response_code": 404,
                "response_flags": "-", "contour_config_namespace": "shop", "contour_config_name": "shop", "tenant": "blue",
            }  # fmt: skip


def _log(path: Path) -> list[dict[str, Any]]:
    """Of the run that wrote it, which flushes it some seconds after the first line."""
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.traffic
def test_the_example_of_rate_limits(tmp_path: Path) -> None:
    folder = ROOT / "examples/rate-limit"
    try:
        limits = RateLimits((folder / "limits.yaml").read_text())
    except UnavailableError as error:
        pytest.skip(f"NOT TESTED, the example of rate limits: {error}")
    with Backend("web") as web, limits:
        ports = {"9122": web.port, "8081": limits.port}
        for file in (folder / "manifests").glob("*.yaml"):
            (tmp_path / file.name).write_text(_with_ports(file, ports))
        with Running(tmp_path, "-c", str(folder / "config.yaml")) as run:
            tenant = [("x-tenant", "a")]
            assert [get(run.http, "api.localhost", "/", tenant).status for _ in range(3)] == [200, 200, 429]
            answers = [get(run.http, "api.localhost", "/free") for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 429]
            assert answers[2].header("x-limited-by") == "envoy"
            assert [get(run.http, "shop.localhost").status for _ in range(4)] == [200, 200, 200, 429]


def _with_ports(file: Path, ports: dict[str, int]) -> str:
    """An example's manifest, with the ports of this test."""
    text = file.read_text()
    for written, port in ports.items():
        text = text.replace(f"port: {written}", f"port: {port}")
    return text
