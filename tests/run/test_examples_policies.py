"""The examples of what HTTPProxies can say, served at once, as they stand but for ports; each answers as it says."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.traffic.world import until

from contour.testing.backends import Backend
from contour.testing.certs import Authority
from contour.testing.clients import Http1, Http2, Response, connect, get, get_tls
from contour.testing.jwks import Issuer, JwksServer
from contour.testing.running import Running

ROOT = Path(__file__).parents[2] / "examples"
FOLDERS = (
    "cors", "jwt", "ip-filters", "cookies", "internal-redirects", "load-balancing", "health-checks",
    "circuit-breakers", "upstreams", "header-values",
)  # fmt: skip
ISSUER = Issuer("https://issuer.example")

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("examples-policies")]


class Served(NamedTuple):
    run: Running
    backends: Mapping[int, Backend]  # by the port that the example names
    keys: JwksServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("examples")
    with ExitStack() as stack:
        keys = stack.enter_context(JwksServer(ISSUER.key_set()))
        texts = {file: file.read_text() for folder in FOLDERS for file in (ROOT / folder).glob("*.yaml")}
        ports = sorted({int(port) for text in texts.values() for port in re.findall(r"port: (91\d\d)\b", text)})
        backends = {port: stack.enter_context(Backend(str(port))) for port in ports}
        backends[9151].health = 503
        for file, text in texts.items():
            for port, backend in backends.items():
                text = re.sub(rf"port: {port}\b", f"port: {backend.port}", text)  # noqa: PLW2901
            copy = directory / file.parent.name / file.name
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text.replace("localhost:9444", f"localhost:{keys.port}"))
        (directory / "secret.json").write_text(json.dumps(_certificate("secure.localhost")))
        yield Served(stack.enter_context(Running(directory)), backends, keys)


def _certificate(name: str) -> dict[str, object]:
    pair = Authority().sign(name)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secure-tls", "namespace": "shop"},
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": base64.b64encode(pair.certificate).decode(),
            "tls.key": base64.b64encode(pair.private_key).decode(),
        },
    }


def test_all_are_there() -> None:
    """Those that have no test of their own are tried here."""
    others = {"contour", "external-authorization", "ingress", "ingressroute", "policies", "quickstart", "rate-limit"}
    named = re.findall(r"^\| \[?([a-z-]+)\]?", (ROOT / "README.md").read_text(), re.MULTILINE)
    found = {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    assert set(FOLDERS) | others <= found
    assert sorted(set(named) - {"folder"}) == sorted(found)


def test_cors(served: Served) -> None:
    def asked(origin: str) -> Response:
        headers = [("origin", origin), ("access-control-request-method", "PUT")]
        with Http1(connect(served.run.http)) as client:
            return client.request("OPTIONS", "cors.localhost", "/", headers)

    for origin in ("https://shop.example.com", "https://one.partners.example"):
        answer = asked(origin)
        assert (answer.backend, answer.header("access-control-allow-origin")) == (None, origin)
        assert answer.header("access-control-max-age") == "600"
    assert asked("https://evil.example").header("access-control-allow-origin") is None


def test_jwt(served: Served) -> None:
    def ask(path: str, *tokens: str) -> Response:
        headers = [("authorization", f"Bearer {token}") for token in tokens]
        return get_tls(served.run.https, "secure.localhost", path, headers)

    assert [ask(path).status for path in ("/", "/open", "/partners")] == [401, 200, 401]
    token = ISSUER.token(aud="shop")
    assert ask("/", token).backend == "9142"
    assert ask("/partners", token).status == 401
    assert ask("/", ISSUER.token(aud="else")).status == 403
    assert served.keys.fetched == ["/keys"]


def test_the_issuer_of_the_example() -> None:
    command = [sys.executable, "-m", "contour.testing.jwks", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as issuer:
        try:
            assert issuer.stdout is not None
            keys, token = (issuer.stdout.readline().split(": ", 1) for _ in range(2))
            port = int(keys[1].split(":")[2].split("/")[0])
            published = get(("127.0.0.1", port), "localhost", "/keys", version="1.0")
        finally:
            issuer.terminate()
    assert json.loads(published.body)["keys"][0]["kid"] == "one"
    claims = token[1].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"iss": "https://issuer.example", "aud": "shop"}


def test_ip_filters(served: Served) -> None:
    def ask_from(source: str, path: str) -> int:
        with Http1(socket.create_connection(served.run.http, 10, source_address=(source, 0))) as client:
            return client.get("addresses.localhost", path).status

    sources = ("127.0.0.1", "127.0.0.66", "127.0.0.77")
    assert [ask_from(source, "/") for source in sources] == [200, 403, 200]
    assert [ask_from(source, "/metrics") for source in sources] == [403, 403, 200]


def test_cookies(served: Served) -> None:
    cookie = get(served.run.http, "cookies.localhost", "/cookie").header("set-cookie") or ""
    assert set(cookie.split("; ")) == {"a=b", "Path=/shop", "Domain=cookies.localhost", "Secure", "SameSite=Lax"}


def test_internal_redirects(served: Served) -> None:
    served.backends[9145].planned.append("/redirect/302?http://redirects.localhost/stored/x")
    answer = get(served.run.http, "redirects.localhost", "/files/x")
    assert (answer.status, answer.backend, answer.seen.path) == (200, "9146", "/stored/x")
    served.backends[9145].planned.append("/redirect/301?http://redirects.localhost/stored/x")
    assert get(served.run.http, "redirects.localhost", "/files/x").status == 301


def test_load_balancing(served: Served) -> None:
    ports = {"9147", "9148", "9149"}
    with Http1(connect(served.run.http)) as client:

        def ask(path: str, *headers: tuple[str, str]) -> Response:
            return client.get("balancing.localhost", path, headers)

        for path in ("/", "/least"):
            assert {ask(path).backend for _ in range(100)} == ports
        first = ask("/session")
        cookie = ("cookie", (first.header("set-cookie") or "").split(";")[0])
        assert {ask("/session", cookie).backend for _ in range(5)} == {first.backend}
        assert len({ask("/user").backend for _ in range(10)}) == 1
        for name in ("one", "two", "three", "four"):
            assert len({ask("/user", ("x-user", name)).backend for _ in range(3)}) == 1
            assert len({ask(f"/user?user={name}").backend for _ in range(3)}) == 1
        assert len({ask("/user", ("x-user", str(i))).backend for i in range(40)}) > 1


def test_health_checks(served: Served) -> None:
    assert {get(served.run.http, "health.localhost").backend for _ in range(20)} == {"9150"}
    assert {seen.header("host") for seen in served.backends[9151].seen} == {"health.localhost"}


def test_circuit_breakers(served: Served) -> None:
    backend = served.backends[9152]
    with Http1(connect(served.run.http)) as first, Http1(connect(served.run.http)) as second:
        for client in (first, second):
            client.socket.sendall(b"GET /slow/30000 HTTP/1.1\r\nHost: limits.localhost\r\n\r\n")
        until(lambda: len(backend.seen) == 2)
        answer = get(served.run.http, "limits.localhost")
        assert (answer.status, answer.header("x-envoy-overloaded")) == (503, "true")
    until(lambda: get(served.run.http, "limits.localhost").status == 200)


def test_upstreams(served: Served) -> None:
    seen = {
        path: get(served.run.http, "upstreams.localhost", path).seen.protocol
        for path in ("/", "/annotated", "/declared", "/field")
    }
    assert seen == {"/": "HTTP/1.1", "/annotated": "HTTP/2", "/declared": "HTTP/2", "/field": "HTTP/2"}
    with Http2(connect(served.run.http)) as client:
        assert client.grpc("upstreams.localhost", "/echo.Echo/Call", b"hello").body[5:] == b"hello"


def test_header_values(served: Served) -> None:
    answer = get(served.run.http, "values.localhost", "/", [("x-trace", "t1")])
    names = ("x-client", "x-was-for", "x-trace", "x-service", "host")
    assert [answer.seen.header(name) for name in names] == [
        "127.0.0.1 by HTTP/1.1", "values.localhost", "t1", "values/site:80", "site.internal",
    ]  # fmt: skip
    assert (answer.header("x-discount"), answer.backend) == ("50%", None)
    assert get(served.run.http, "values.localhost", "/tenant", [("x-tenant", "a.test")]).seen.header("host") == "a.test"
