"""The workload: N hosts, each an HTTPProxy with two routes, its Service, and its EndpointSlice of five endpoints.

`tls` of them terminate TLS behind one wildcard certificate, as a platform with many teams does.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from contour.api.decode import decode
from contour.api.meta import Object
from contour.testing.certs import Authority, Pair

SECRET_NAME = "wildcard"
NAMESPACE = "team"


def host(number: int, *, generation: int = 1, tls: bool = False, backend: str = "", header: str = "1") -> list[Object]:
    """The three objects of a host."""
    root = proxy(number, generation=generation, tls=tls, backend=backend, header=header)
    return [service(number), endpoint_slice(number), root]


def proxy(number: int, *, generation: int = 1, tls: bool = False, backend: str = "", header: str = "1") -> Object:
    name = f"h{number}"
    virtualhost: dict[str, Any] = {"fqdn": fqdn(number)}
    if tls:
        virtualhost["tls"] = {"secretName": SECRET_NAME}
    services = [{"name": backend or name, "port": 80}]
    return _decode(
        "projectcontour.io/v1",
        "HTTPProxy",
        name,
        spec={
            "virtualhost": virtualhost,
            "routes": [
                {
                    "conditions": [{"prefix": "/api"}],
                    "services": services,
                    "timeoutPolicy": {"response": "20s"},
                    "responseHeadersPolicy": {"set": [{"name": "X-Generation", "value": header}]},
                },
                {
                    "services": services,
                    "permitInsecure": True,
                    "responseHeadersPolicy": {"set": [{"name": "X-Generation", "value": header}]},
                },
            ],
        },
        generation=generation,
    )


def service(number: int, *, port: int = 80, annotations: dict[str, str] | None = None) -> Object:
    return _decode(
        "v1",
        "Service",
        f"h{number}",
        spec={"ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": 8080}]},
        annotations=annotations,
    )


def endpoint_slice(number: int, *, addresses: tuple[str, ...] = (), port: int = 8080) -> Object:
    found = addresses or tuple(f"10.{number >> 8 & 255}.{number & 255}.{last}" for last in range(1, 6))
    return _decode(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        f"h{number}-x",
        labels={"kubernetes.io/service-name": f"h{number}"},
        addressType="IPv4",
        endpoints=[{"addresses": [address], "conditions": {"ready": True}} for address in found],
        ports=[{"name": "http", "port": port, "protocol": "TCP"}],
    )


def secret(pair: Pair | None = None) -> Object:
    """The wildcard certificate as a Secret."""
    found = pair or Authority().sign("*.example.com")
    data = {
        "tls.crt": base64.b64encode(found.certificate).decode(),
        "tls.key": base64.b64encode(found.private_key).decode(),
    }
    return _decode("v1", "Secret", SECRET_NAME, type="kubernetes.io/tls", data=data)


def config_secret(name: str) -> Object:
    """A Secret that nothing here refers to."""
    return _decode("v1", "Secret", name, type="Opaque", data={"password": "c2VjcmV0"})


def cluster(hosts: int, *, tls: int = 0) -> Iterator[Object]:
    """All objects; the first `tls` hosts terminate TLS."""
    if tls:
        yield secret()
    for number in range(hosts):
        yield from host(number, tls=number < tls)


def fqdn(number: int) -> str:
    return f"h{number}.example.com"


def _decode(
    api_version: str,
    kind: str,
    name: str,
    *,
    generation: int = 1,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **rest: Any,
) -> Object:
    metadata = {
        "namespace": NAMESPACE,
        "name": name,
        "generation": generation,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": annotations,
        "labels": labels,
    }
    return decode({"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest})
