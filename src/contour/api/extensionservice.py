"""The kind ExtensionService of `projectcontour.io/v1alpha1`: a service that Envoy itself asks (httpproxy.md §1.10)."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from contour.api.core import Int64, UInt32
from contour.api.meta import Object
from contour.api.projectcontour import DetailedCondition, LoadBalancerPolicy, TimeoutPolicy, UpstreamValidation


class ExtensionServiceTarget(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A Service of the same namespace."""

    name: str = ""
    port: Int64 = 0
    weight: UInt32 = 0


class CircuitBreakerPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    max_connections: UInt32 = 0
    max_pending_requests: UInt32 = 0
    max_requests: UInt32 = 0
    max_retries: UInt32 = 0
    per_host_max_connections: UInt32 = 0


class ExtensionServiceSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    services: tuple[ExtensionServiceTarget, ...] = ()
    validation: UpstreamValidation | None = None
    protocol: str | None = None
    load_balancer_policy: LoadBalancerPolicy | None = None
    timeout_policy: TimeoutPolicy | None = None
    protocol_version: str = ""
    circuit_breaker_policy: CircuitBreakerPolicy | None = None


class ExtensionServiceStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conditions: tuple[DetailedCondition, ...] = ()


class ExtensionService(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "ExtensionService"
    api_version: ClassVar[str] = "projectcontour.io/v1alpha1"

    spec: ExtensionServiceSpec = ExtensionServiceSpec()
    status: ExtensionServiceStatus = ExtensionServiceStatus()
