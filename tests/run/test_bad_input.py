"""Bad input, one after the other, while a real Envoy serves another host: a clear text, and nobody else is harmed."""

from __future__ import annotations

import base64
import itertools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contour.testing.backends import Backend
from contour.testing.certs import Authority
from contour.testing.clients import Http1, Response, connect, get
from contour.testing.running import Running

pytestmark = pytest.mark.traffic

GOOD = """\
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {{name: good, namespace: shop}}
spec:
  virtualhost: {{fqdn: good.test}}
  routes:
  - services: [{{name: web, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1]}}]
ports: [{{port: {port}}}]
"""
PROXY = """\
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {{name: {name}, namespace: shop}}
spec: {spec}
"""
ROUTES = "routes: [{services: [{name: web, port: 80}]}]"


def proxy(spec: str, name: str = "bad") -> str:
    return PROXY.format(name=name, spec=spec)


def tls(secret: str, *objects: str) -> str:
    host = proxy(f"{{virtualhost: {{fqdn: bad.test, tls: {{secretName: {secret}}}}}, {ROUTES}}}")
    return "---\n".join([host, *objects])


def secret(certificate: bytes, key: bytes, namespace: str = "shop") -> str:
    return f"""\
apiVersion: v1
kind: Secret
metadata: {{name: tls, namespace: {namespace}}}
type: kubernetes.io/tls
data: {{tls.crt: {base64.b64encode(certificate).decode()}, tls.key: {base64.b64encode(key).decode()}}}
"""


AUTHORITY = Authority()
PAIR, OTHER = AUTHORITY.sign("bad.test"), AUTHORITY.sign("bad.test")
WEAK = AUTHORITY.sign("bad.test", key="rsa-1024")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise("abcdefghi")
)

# What is written to the folder, and what must be said about it.
CASES = {
    "duplicate fqdn": (
        proxy(f"{{virtualhost: {{fqdn: bad.test}}, {ROUTES}}}")
        + "---\n"
        + proxy(f"{{virtualhost: {{fqdn: bad.test}}, {ROUTES}}}", "worse"),
        r'fqdn "bad.test" is used in multiple HTTPProxies: shop/bad, shop/worse',
    ),
    "missing secret": (tls("none"), 'Secret "none" is invalid: Secret not found'),
    "malformed certificate": (tls("tls", secret(b"rubbish", PAIR.private_key)), "failed to locate certificate"),
    "key of another certificate": (
        tls("tls", secret(PAIR.certificate, OTHER.private_key)),
        "key does not match the certificate",
    ),
    "RSA key of 1024 bits": (tls("tls", secret(WEAK.certificate, WEAK.private_key)), "RSA key has 1024 bits"),
    "secret without delegation": (
        tls("other/tls", secret(PAIR.certificate, PAIR.private_key, "other")),
        "certificate delegation not permitted",
    ),
    "include cycle": (
        proxy("{virtualhost: {fqdn: bad.test}, includes: [{name: loop}]}")
        + "---\n"
        + proxy("{includes: [{name: loop}]}", "loop"),
        "include creates an include cycle: shop/bad -> shop/loop -> shop/loop",
    ),
    "orphan": (proxy(f"{{{ROUTES}}}"), "HTTPProxy shop/bad  orphaned: "),
    "missing service": (
        proxy("{virtualhost: {fqdn: bad.test}, routes: [{services: [{name: none, port: 80}]}]}"),
        'unresolved service reference: service "shop/none" not found',
    ),
    "bad regex": (
        proxy(
            "{virtualhost: {fqdn: bad.test}, routes: [{conditions: [{regex: '/a(?=b)'}], services: [{name: web, port: 80}]}]}"
        ),
        re.escape("route: supplied regex: /a(?=b) invalid. error: error parsing regexp"),
    ),
    "bad duration": (
        proxy(
            "{virtualhost: {fqdn: bad.test}, routes: [{timeoutPolicy: {response: 5parsecs}, services: [{name: web, port: 80}]}]}"
        ),
        re.escape('spec.routes[0].timeoutPolicy.response: Invalid value: "5parsecs"'),
    ),
    "unknown field": (
        proxy(f"{{virtualhost: {{fqdn: bad.test}}, routs: [], {ROUTES}}}"),
        r'bad.yaml:1: HTTPProxy shop/bad: unknown field "spec.routs"',
    ),
    "wrong type": (
        proxy("{virtualhost: {fqdn: bad.test}, routes: [{services: [{name: web, port: eighty}]}]}"),
        r"bad.yaml:1: HTTPProxy shop/bad: spec.routes\[0\].services\[0\].port",
    ),
    "YAML syntax error": ("a: [1,\nb: 2\n", r"bad.yaml:3: .*column"),
    "alias bomb": (BOMB, "bad.yaml:5: aliases repeat more than 100000 values"),
    "object of 2 MB": (
        proxy(f"{{note: {'x' * (2 << 20)}}}"),
        "2097272 bytes, more than the 1572864 that an object may have",
    ),
    "object of 1 MB": (
        proxy(
            f"{{virtualhost: {{fqdn: bad.test}}, routes: [{{directResponsePolicy: {{statusCode: 200, body: {'x' * (1 << 20)}}}}}]}}"
        ),
        "direct_response.body: has 1048576 bytes, more than 4096",
    ),
    "binary": ("\0\0\0", "bad.yaml:1: character U.0000 is not allowed"),
    "no object": ("hello: world\n", "bad.yaml:1: not a Kubernetes object"),
    "unknown kind": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
        "unknown kind apps/v1 Deployment: skipped",
    ),
}


_ENOUGH, _PROBING_TIMEOUT = 50, 30.0


class Prober(threading.Thread):
    """Asks for the good host all the time."""

    def __init__(self, run: Running) -> None:
        super().__init__(daemon=True)
        self._address, self._enough = run.http, threading.Event()
        self.asked = 0
        self.failed: list[Response] = []

    def run(self) -> None:
        with Http1(connect(self._address)) as client:
            while not self._enough.wait(0.005):
                answer = client.get("good.test")
                self.asked += 1
                if answer.backend != "web":
                    self.failed.append(answer)

    def stop(self) -> None:
        """When it has asked for long enough to have seen something, however busy the machine is."""
        deadline = time.monotonic() + _PROBING_TIMEOUT
        while self.asked <= _ENOUGH:
            assert self.is_alive()
            assert time.monotonic() < deadline, f"asked {self.asked} times only"
            time.sleep(0.01)
        self._enough.set()
        self.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Running]:
    with Backend("web") as web:
        (folder / "good.yaml").write_text(GOOD.format(port=web.port))
        with Running(folder) as run:
            prober = Prober(run)
            prober.start()
            yield run
            prober.stop()
            assert prober.failed == []


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_harms_nobody(run: Running, folder: Path, case: str) -> None:
    text, expected = CASES[case]
    since = len(run.lines)
    file = folder / f"{case.replace(' ', '-')}.bad.yaml"
    file.write_text(text)
    run.wait_for(expected, since=since)
    assert get(run.http, "good.test").backend == "web"
    assert not any("good.test" in line for line in run.lines[since:])
    file.unlink()


def answer(body: str, timeout: str = "5s") -> str:
    """A host that answers by itself, and another route of it that Envoy refuses if the timeout is too long."""
    response = f"{{conditions: [{{prefix: /said}}], directResponsePolicy: {{statusCode: 200, body: {body}}}}}"
    route = f"{{services: [{{name: web, port: 80}}], timeoutPolicy: {{response: {timeout}}}}}"
    return proxy(f"{{virtualhost: {{fqdn: said.test}}, routes: [{response}, {route}]}}", "said")


# The longest that a Go duration can be, and half a second more than Envoy takes.
TOO_LONG = "2562047h47m16.5s"


def test_what_envoy_rejects_is_in_the_status_until_it_is_replaced(run: Running, folder: Path) -> None:
    file = folder / "said.yaml"
    refused = "said.test  HTTPProxy shop/said  invalid: Invalid duration: Duration out-of-range"
    valid = "said.test  HTTPProxy shop/said  valid"

    def save(text: str, expected: str) -> None:
        since = len(run.lines)
        file.write_text(text)
        run.wait_for(expected, since=since)

    def said() -> str:
        return get(run.http, "said.test", "/said").body.decode()

    save(answer("one", TOO_LONG), refused)
    assert get(run.http, "said.test", "/said").status == 404
    save(answer("two"), valid)
    assert said() == "two"
    save(answer("three", TOO_LONG), refused)
    assert said() == "two"  # the last good version
    save(answer("two"), valid)  # as Envoy has it: nothing is sent that it could accept
    save(answer("three", TOO_LONG), refused)  # known to be refused: not sent again
    since = len(run.lines)
    file.unlink()
    run.wait_for("said.test  HTTPProxy shop/said  removed", since=since)
    save(answer("four"), valid)
    deadline = time.monotonic() + 5
    while said() != "four":
        assert time.monotonic() < deadline
