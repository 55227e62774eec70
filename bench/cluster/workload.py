"""The workload: hosts, each an HTTPProxy with two routes, its Service, and its EndpointSlice of three pods.

Pods are addresses of 10.244.0.0/16, which are all the one backend; it answers with the address it was asked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

PODS = 3
PORT = 9000  # of the backend, beside the ports of Envoy and the controller
# Addresses from here on are for scenarios that move a host to new pods; those below are the hosts' first ones.
MOVED = 200 << 8
# Hosts are spread over this many namespaces.
TEAMS = 20

PROXIES = "/apis/projectcontour.io/v1/httpproxies"
_LISTS = {
    "HTTPProxy": "/apis/projectcontour.io/v1/namespaces/{}/httpproxies",
    "Service": "/api/v1/namespaces/{}/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Namespace": "/api/v1/namespaces",
}

Request = tuple[str, bytes]


def fqdn(number: int) -> str:
    return f"h{number}.example.com"


def team(number: int) -> str:
    return f"team-{number % TEAMS}"


def address(index: int) -> str:
    """The pod of that number, below 51,200 (MOVED) for first pods and below 65,536 for others."""
    return f"10.244.{index >> 8}.{index & 255}"


def index_of(pod: str) -> int:
    _, _, high, low = pod.split(".")
    return int(high) << 8 | int(low)


def path(kind: str, number: int, *, named: bool = True) -> str:
    """Where a host's object is, or the list that it is in."""
    found = _LISTS[kind].format(team(number))
    return f"{found}/h{number}" if named else found


def creation(number: int) -> Iterator[Request]:
    """Requests (path, body) that make a host: its HTTPProxy last."""
    for kind, obj in (("Service", service(number)), ("EndpointSlice", pods(number)), ("HTTPProxy", proxy(number))):
        yield path(kind, number, named=False), json.dumps(obj).encode()


def namespaces() -> Iterator[Request]:
    for number in range(TEAMS):
        yield _LISTS["Namespace"], json.dumps(_object("v1", "Namespace", name=team(number))).encode()


def proxy(number: int) -> dict[str, Any]:
    return _object("projectcontour.io/v1", "HTTPProxy", number, spec=spec(number))


def spec(number: int, *, mark: str = "1", backend: int | None = None) -> dict[str, Any]:
    """`mark` is a response header's value; `backend` the host whose Service answers, by default its own."""
    services = [{"name": f"h{number if backend is None else backend}", "port": 80}]
    marked = {"set": [{"name": "X-Mark", "value": mark}]}
    return {
        "virtualhost": {"fqdn": fqdn(number)},
        "routes": [
            {
                "conditions": [{"prefix": "/api"}], "services": services, "timeoutPolicy": {"response": "20s"},
                "responseHeadersPolicy": marked,
            },
            {"services": services, "responseHeadersPolicy": marked},
        ],
    }  # fmt: skip


def service(number: int) -> dict[str, Any]:
    """Headless: a server that gives addresses away takes the longer the more are taken, 0.6 s a Service at 9,000."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": PORT}]
    return _object("v1", "Service", number, spec={"clusterIP": "None", "ports": ports})


def pods(number: int) -> dict[str, Any]:
    return _object(
        "discovery.k8s.io/v1", "EndpointSlice", number,
        labels={"kubernetes.io/service-name": f"h{number}"}, addressType="IPv4", endpoints=endpoints(number * PODS),
        ports=[{"name": "http", "port": PORT, "protocol": "TCP"}],
    )  # fmt: skip


def endpoints(first: int) -> list[dict[str, Any]]:
    return [{"addresses": [address(first + one)], "conditions": {"ready": True}} for one in range(PODS)]


def secret(name: str, number: int) -> dict[str, Any]:
    """One that no host refers to."""
    return _object("v1", "Secret", name=name, namespace=team(number), stringData={"password": "secret"})


def _object(
    api_version: str, kind: str, number: int | None = None, *, name: str = "", namespace: str = "",
    labels: dict[str, str] | None = None, **rest: Any,
) -> dict[str, Any]:  # fmt: skip
    metadata: dict[str, Any] = {"name": name}
    if number is not None:
        metadata = {"name": f"h{number}", "namespace": team(number)}
    elif namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
