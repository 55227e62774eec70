"""An Envoy resource as it travels: name, version, bytes. The value that `contour.envoy` ends in and `contour.xds` sends."""

from __future__ import annotations

import hashlib
from typing import Any, NewType

import msgspec

from contour.api.meta import ObjectRef

TypeUrl = NewType("TypeUrl", str)

_PREFIX = "type.googleapis.com/envoy."
LISTENER = TypeUrl(_PREFIX + "config.listener.v3.Listener")
ROUTE = TypeUrl(_PREFIX + "config.route.v3.RouteConfiguration")
SCOPED_ROUTE = TypeUrl(_PREFIX + "config.route.v3.ScopedRouteConfiguration")
CLUSTER = TypeUrl(_PREFIX + "config.cluster.v3.Cluster")
ENDPOINTS = TypeUrl(_PREFIX + "config.endpoint.v3.ClusterLoadAssignment")
SECRET = TypeUrl(_PREFIX + "extensions.transport_sockets.tls.v3.Secret")
RUNTIME = TypeUrl(_PREFIX + "service.runtime.v3.Runtime")


class Resource(msgspec.Struct, frozen=True, gc=False):
    """`body` is the deterministic serialisation of the message, `version` a hash of it: same content, same version."""

    name: str
    version: str
    body: bytes

    def __repr__(self) -> str:  # a Secret's bytes never reach a log
        return f"Resource({self.name!r}, {self.version})"


class Withheld(msgspec.Struct, frozen=True, gc=False):
    """A resource that is not sent because Envoy would refuse it; `reason` is for the status of `objects`."""

    name: str
    reason: str
    objects: tuple[ObjectRef, ...] = ()


def version_of(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def resource(name: str, message: Any) -> Resource:
    """Serialise a message whose nested Any values were packed deterministically too (design: envoy.md §2, Versions)."""
    body = message.SerializeToString(deterministic=True)
    return Resource(name, version_of(body), body)
