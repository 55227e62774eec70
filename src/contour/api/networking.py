"""Kinds of `networking.k8s.io/v1`: Ingress and IngressClass.

The retired versions of Ingress are converted to these when they are decoded (`contour.api.decode`).
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from contour.api.core import Int32, LoadBalancerStatus
from contour.api.meta import Object


class ServiceBackendPort(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    number: Int32 = 0


class IngressServiceBackend(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class TypedLocalObjectReference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_group: str | None = None
    kind: str = ""
    name: str = ""


class IngressBackend(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    path: str = ""
    path_type: str | None = None
    backend: IngressBackend = IngressBackend()


class HTTPIngressRuleValue(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    paths: tuple[HTTPIngressPath, ...] = ()


class IngressRule(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class IngressStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Ingress(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "Ingress"
    api_version: ClassVar[str] = "networking.k8s.io/v1"

    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()


class IngressClassParameters(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_group: str | None = None
    kind: str = ""
    name: str = ""
    scope: str | None = None
    namespace: str | None = None


class IngressClassSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    controller: str = ""
    parameters: IngressClassParameters | None = None


class IngressClass(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "IngressClass"
    api_version: ClassVar[str] = "networking.k8s.io/v1"

    spec: IngressClassSpec = IngressClassSpec()
