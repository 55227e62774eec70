"""A small site in the test cluster: its objects, and what an Envoy answers for it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from contour.testing.clients import Response, get
from contour.testing.cluster import Api
from contour.testing.cluster.api import Object

SHOP = "shop"
POD = "10.244.1.2"
ENVOY = ("127.0.0.1", 8080)  # the default of --envoy-service-http-port: nobody else is in this network

_POLL = 0.005  # Envoy tells nobody when it has taken something


def obj(kind: str, api_version: str, name: str, namespace: str = SHOP, **fields: Any) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | fields.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def namespace(name: str) -> Object:
    return obj("Namespace", "v1", name, "")


def service(name: str = "web", **fields: Any) -> Object:
    return obj("Service", "v1", name, spec={"ports": [{"name": "http", "port": 80}]}, **fields)


def endpoints(port: int, name: str = "web", address: str = POD) -> Object:
    return obj(
        "EndpointSlice", "discovery.k8s.io/v1", f"{name}-1", addressType="IPv4",
        metadata={"labels": {"kubernetes.io/service-name": name}},
        endpoints=[{"addresses": [address]}], ports=[{"name": "http", "port": port, "protocol": "TCP"}],
    )  # fmt: skip


def proxy(name: str, to: str = "web", **spec: Any) -> Object:
    """A root for `<name>.test`."""
    routes = [{"services": [{"name": to, "port": 80}]}]
    return obj(
        "HTTPProxy", "projectcontour.io/v1", name,
        spec={"virtualhost": {"fqdn": f"{name}.test"}, "routes": routes, **spec},
    )  # fmt: skip


def ingress(name: str, to: str = "web") -> Object:
    backend = {"service": {"name": to, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return obj(
        "Ingress", "networking.k8s.io/v1", name, spec={"rules": [{"host": f"{name}.test", "http": {"paths": [path]}}]}
    )


def ingressroute(name: str, to: str = "web") -> Object:
    """A root for `<name>.test`."""
    spec = {"virtualhost": {"fqdn": f"{name}.test"}, "routes": [{"match": "/", "services": [{"name": to, "port": 80}]}]}
    return obj("IngressRoute", "contour.heptio.com/v1beta1", name, spec=spec)


def ask(host: str) -> Response:
    return get(ENVOY, host)


def wait_for(host: str, status: int, timeout: float = 10, backend: str | None = None) -> Response:
    """The first answer of this status (and from this backend). An Envoy that has just begun has no listener yet."""
    deadline = time.monotonic() + timeout
    found = "nobody listens"
    while time.monotonic() < deadline:
        with suppress(ConnectionRefusedError):
            answer = ask(host)
            if answer.status == status and backend in (None, answer.backend):
                return answer
            found = f"{answer.status} from {answer.backend}"
        time.sleep(_POLL)
    raise AssertionError(f"{host}: {found}, wanted {status}")


def current(status: str) -> Any:
    """For `Api.wait_for`: the object's `currentStatus`, observed in its newest generation."""

    def wanted(found: Object) -> bool:
        block = found.get("status", {})
        generations = [condition.get("observedGeneration") for condition in block.get("conditions", ())]
        return block.get("currentStatus") == status and generations == [found["metadata"]["generation"]]

    return wanted


def events(api: Api, about: Object) -> list[tuple[str, str, str]]:
    """Events beside an object: type, reason, message."""
    selector = f"involvedObject.name={about['metadata']['name']},involvedObject.kind={about['kind']}"
    found = api.list("v1", "Event", about["metadata"]["namespace"], fieldSelector=selector)
    return [(event["type"], event["reason"], event["message"]) for event in found]


def wait_until(condition: Any, timeout: float = 15) -> None:
    """For what can only be asked: another process's metrics, a list of Events."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {timeout} s")
        time.sleep(0.02)
