"""Kinds of `contour.heptio.com/v1beta1`: IngressRoute, and its TLSCertificateDelegation (operations.md §12.2, §12.5).

They are what Contour had before HTTPProxy. Every field of any version that had one; what was documented and never
implemented is not here.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from contour.api.core import Int64, UInt32
from contour.api.meta import Object
from contour.api.projectcontour import TLSCertificateDelegationSpec

API_VERSION = "contour.heptio.com/v1beta1"


class Delegate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""


class HealthCheck(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    path: str = ""
    host: str = ""
    interval_seconds: Int64 = 0
    timeout_seconds: Int64 = 0
    unhealthy_threshold_count: UInt32 = 0
    healthy_threshold_count: UInt32 = 0


class UpstreamValidation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ca_secret: str = ""
    subject_name: str = ""


class Service(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    port: Int64 = 0
    weight: Int64 = 0
    strategy: str = ""
    health_check: HealthCheck | None = None
    validation: UpstreamValidation | None = None


class TimeoutPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    request: str = ""


class RetryPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    count: UInt32 = 0
    per_try_timeout: str = ""


class Route(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    match: str = ""
    services: tuple[Service, ...] = ()
    delegate: Delegate | None = None
    enable_websockets: bool = False
    permit_insecure: bool = False
    prefix_rewrite: str = ""
    timeout_policy: TimeoutPolicy | None = None
    retry_policy: RetryPolicy | None = None


class TCPProxy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    services: tuple[Service, ...] = ()
    delegate: Delegate | None = None


class TLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    secret_name: str = ""
    minimum_protocol_version: str = ""
    passthrough: bool = False


class VirtualHost(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    fqdn: str = ""
    tls: TLS | None = None


class IngressRouteSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    virtualhost: VirtualHost | None = None
    routes: tuple[Route, ...] = ()
    tcpproxy: TCPProxy | None = None


class IngressRouteStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    current_status: str = ""
    description: str = ""


class IngressRoute(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "IngressRoute"
    api_version: ClassVar[str] = API_VERSION

    spec: IngressRouteSpec = IngressRouteSpec()
    status: IngressRouteStatus = IngressRouteStatus()


class HeptioCertificateDelegation(Object, frozen=True, gc=False, rename="camel"):
    """`TLSCertificateDelegation` of this group; one of the other group may have its name, so the kind names the group."""

    kind: ClassVar[str] = "TLSCertificateDelegation.contour.heptio.com"
    api_version: ClassVar[str] = API_VERSION

    spec: TLSCertificateDelegationSpec = TLSCertificateDelegationSpec()
