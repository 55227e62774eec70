"""Memory of an Envoy with many TLS hosts, each with a certificate of its own: `python -m bench.tls_memory [HOSTS]`.

`chains`: one route each, all to one Service, so that what TLS takes is seen. `own`: a Service and two routes each.
`mixed`: as that, and of every hundred hosts five check clients' certificates, two verify tokens, two ask an authorization
server. `--classic` measures the reference's configuration, too. Prints a table and a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from bench import objects
from bench.measure import machine, rss_mb
from contour.api.decode import decode
from contour.api.meta import Object, ObjectRef
from contour.control.loop import Loop
from contour.control.pipeline import Pipeline, ShapeName
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.envoy.options import Options as EnvoyOptions
from contour.testing import clients
from contour.testing.certs import Authority
from contour.testing.envoy import Envoy
from contour.xds.server import Server

Load = Literal["chains", "own", "mixed"]

LOADS: tuple[Load, ...] = get_args(Load)
HOSTS = 2_000
GOAL_MB = 250
SAMPLES = 20
PATIENCE_S = 120.0
# Of a hundred hosts; they are not the ones that are asked.
_CLIENTS, _TOKENS, _ASKED = range(5), range(5, 7), range(7, 9)
_NOBODY = 1  # a port where nobody listens: a route that is there answers 503
_LOOPBACK = "127.0.0.1"
_KEYS = '{"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}'


def load(hosts: int, kind: Load) -> Iterator[Object]:
    authority = Authority()
    yield _secret("clients", "Opaque", {"ca.crt": authority.certificate})
    yield _secret("keys", "Opaque", {"keys": _KEYS.encode()})
    yield objects.service(hosts)
    yield _object("projectcontour.io/v1alpha1", "ExtensionService", "server", {"services": [_to(hosts)]})
    for number in range(hosts):
        pair = authority.sign(objects.fqdn(number))
        yield _secret(f"h{number}", "kubernetes.io/tls", {"tls.crt": pair.certificate, "tls.key": pair.private_key})
        if kind != "chains" or number == 0:
            yield objects.service(number)
            yield objects.endpoint_slice(number, addresses=(_LOOPBACK,), port=_NOBODY)
        yield _proxy(number, kind)


def _proxy(number: int, kind: Load) -> Object:
    tls: dict[str, Any] = {"secretName": f"h{number}"}
    virtualhost: dict[str, Any] = {"fqdn": objects.fqdn(number), "tls": tls}
    routes: list[dict[str, Any]] = [{"services": [_to(0 if kind == "chains" else number)]}]
    if kind != "chains":
        routes.append({"conditions": [{"prefix": "/api"}], "services": [_to(number)]})
    mixed = kind == "mixed"
    if mixed and number % 100 in _CLIENTS:
        tls["clientValidation"] = {"caSecret": "clients"}
    if mixed and number % 100 in _TOKENS:
        provider = {"name": "tokens", "default": True, "localJWKS": {"secretName": "keys", "key": "keys"}}
        virtualhost["jwtProviders"] = [provider]
    if mixed and number % 100 in _ASKED:
        virtualhost["authorization"] = {"extensionRef": {"name": "server"}}
    return _object("projectcontour.io/v1", "HTTPProxy", f"h{number}", {"virtualhost": virtualhost, "routes": routes})


async def measure(hosts: int, shape: ShapeName, kind: Load) -> dict[str, Any]:
    options = EnvoyOptions(
        http_address=_LOOPBACK, http_port=0, https_address=_LOOPBACK, https_port=0, stats_address=_LOOPBACK,
        stats_port=0, admin_port=0, http_access_log="/dev/null", https_access_log="/dev/null",
    )  # fmt: skip
    loop = Loop(Pipeline(Settings(envoy=options, graph=GraphOptions(loopback_endpoints=True))))
    running = asyncio.ensure_future(loop.run())
    loop.submit((ObjectRef(one.kind, *one.ref), one) for one in load(hosts, kind))
    server = Server(loop.hub_of)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        server.listen(f"unix:{directory}/xds.sock", None)
        await server.start()
        settings = BootstrapSettings(
            shape=shape, admin_address=f"{directory}/admin.sock", xds_socket=f"{directory}/xds.sock"
        )
        node = ("--service-cluster", "bench", "--service-node", "bench")
        envoy = Envoy(bootstrap(settings), directory=directory, concurrency=2, arguments=node)
        started = time.monotonic()
        envoy.launch()
        try:
            await asyncio.to_thread(_served, envoy, hosts, started + PATIENCE_S)
            seconds = round(time.monotonic() - started, 1)
            return {"serving_s": seconds, "envoy_mb": rss_mb(envoy.process.pid), "contour_mb": rss_mb()}
        finally:
            envoy.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await server.stop()


def _served(envoy: Envoy, hosts: int, deadline: float) -> None:
    """Wait until hosts from all over answer with a certificate of their own; the last of a hundred has no features."""
    for number in range(99, hosts, max(100, hosts // SAMPLES)):
        name = objects.fqdn(number)
        while not _answers(envoy, name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is not served: {envoy.log()[-2000:]}")
            time.sleep(0.1)  # Envoy tells nobody


def _answers(envoy: Envoy, name: str) -> bool:
    try:
        return clients.get_tls(envoy.address("ingress_https"), name).status == 503
    except (OSError, KeyError):
        return False


def _to(number: int) -> dict[str, Any]:
    return {"name": f"h{number}", "port": 80}


def _object(api_version: str, kind: str, name: str, spec: dict[str, Any]) -> Object:
    metadata = {"namespace": objects.NAMESPACE, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return decode({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


def _secret(name: str, type_: str, data: dict[str, bytes]) -> Object:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"namespace": objects.NAMESPACE, "name": name}
    return decode({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "data": encoded})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="?", type=int, default=HOSTS)
    parser.add_argument("--classic", action="store_true", help="the reference's configuration, too")
    parser.add_argument("--only", choices=[f"{shape}-{kind}" for shape in ("scoped", "classic") for kind in LOADS])
    arguments = parser.parse_args()
    if arguments.only:
        shape, _, kind = arguments.only.partition("-")
        print(json.dumps(asyncio.run(measure(arguments.hosts, shape, kind))))
        return 0
    result: dict[str, Any] = {"machine": machine(), "hosts": arguments.hosts}
    for shape in ("scoped", "classic") if arguments.classic else ("scoped",):
        for title in (f"{shape}-{kind}" for kind in LOADS):
            print(f"{title} …", file=sys.stderr)
            # In a process of its own: grpc.aio has one event loop in each.
            command = [sys.executable, "-m", "bench.tls_memory", str(arguments.hosts), "--only", title]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found = result[title] = json.loads(done.stdout)
            print(f"{title:16} Envoy {found['envoy_mb']} MB (goal {GOAL_MB}), served after {found['serving_s']} s")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
