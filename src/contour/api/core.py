"""The core and discovery kinds that decide anything here: Service, Endpoints, EndpointSlice, Secret, Namespace.

Zero values are those of the Go types (an absent string is "", an absent list is empty, a Go pointer is None).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from contour.api.meta import Object

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


# --- load balancer status (Service, Ingress, HTTPProxy) ----------------------------------------------------------


class PortStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    port: Int32 = 0
    protocol: str = ""
    error: str | None = None


class LoadBalancerIngress(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class LoadBalancerStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ingress: tuple[LoadBalancerIngress, ...] = ()


# --- Service ------------------------------------------------------------------------------------------------------


class ServicePort(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    port: Int32 = 0
    protocol: str = ""
    app_protocol: str | None = None
    target_port: Int32 | str | None = None
    node_port: Int32 = 0


class ServiceSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str = ""
    ports: tuple[ServicePort, ...] = ()
    external_name: str = ""
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    selector: dict[str, str] | None = None


class ServiceStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "Service"
    api_version: ClassVar[str] = "v1"

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


# --- endpoints ----------------------------------------------------------------------------------------------------


class EndpointAddress(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ip: str = ""
    hostname: str = ""


class EndpointPort(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A port of an Endpoints subset."""

    name: str = ""
    port: Int32 = 0
    protocol: str = ""
    app_protocol: str | None = None


class EndpointSubset(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "Endpoints"
    api_version: ClassVar[str] = "v1"

    subsets: tuple[EndpointSubset, ...] = ()


SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointConditions(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None


class EndpointSlicePort(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str | None = None
    port: Int32 | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointSlice(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "EndpointSlice"
    api_version: ClassVar[str] = "discovery.k8s.io/v1"

    address_type: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointSlicePort, ...] = ()

    @property
    def service_name(self) -> str:
        """Name of the Service that the slice belongs to (its label); "" if it has none."""
        return (self.metadata.labels or {}).get(SERVICE_NAME_LABEL, "")


# --- Secret, Namespace --------------------------------------------------------------------------------------------


class Secret(Object, frozen=True, gc=False, rename="camel"):
    """`data` holds the decoded bytes; they never show in a repr (security.md)."""

    kind: ClassVar[str] = "Secret"
    api_version: ClassVar[str] = "v1"

    type: str = ""
    data: dict[str, bytes] | None = None

    def __repr__(self) -> str:
        keys = ", ".join(f"{key}: {len(value)} bytes" for key, value in sorted((self.data or {}).items()))
        return f"Secret({self.ref}, type={self.type!r}, data={{{keys}}})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("ref", str(self.ref)), ("type", self.type), ("keys", sorted(self.data or {}))]


class Namespace(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "Namespace"
    api_version: ClassVar[str] = "v1"
