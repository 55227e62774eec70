"""The few pieces of protobuf wire format that let encoded resources be shared instead of encoded again for each client.

A response is the concatenation of its fields, so the part that is equal for all clients (a resource) is kept as bytes and
the part that differs (nonce, removed names) is put around it. Field numbers: envoy/service/discovery/v3/discovery.proto,
envoy/config/cluster/v3/cluster.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def varint(n: int) -> bytes:
    if n < 0x80:
        return bytes((n,))
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def text(number: int, value: str) -> bytes:
    return field(number, value.encode()) if value else b""


def _open(number: int, length: int) -> bytes:
    """Tag and length of a length-delimited field whose content follows."""
    return varint(number << 3 | _BYTES) + varint(length)


def any_prefix(type_url: str, body_length: int) -> bytes:
    """What precedes the body in a `google.protobuf.Any`, so that prefix + body is the message."""
    return text(1, type_url) + (_open(2, body_length) if body_length else b"")


def delta_prefix(type_url: str, name: str, version: str, body_length: int) -> bytes:
    """What precedes the body in a `resources` item of DeltaDiscoveryResponse; the body is last, so that it is never copied."""
    packed = any_prefix(type_url, body_length)
    head = text(3, name) + text(1, version) + _open(2, len(packed) + body_length) + packed
    return _open(2, len(head) + body_length) + head


def state_prefix(type_url: str, body_length: int) -> bytes:
    """The same for a `resources` item of DiscoveryResponse."""
    packed = any_prefix(type_url, body_length)
    return _open(2, len(packed) + body_length) + packed


def delta_response(type_url: str, version: str, nonce: str, items: Iterable[bytes], removed: Iterable[str]) -> bytes:
    return b"".join(
        (text(1, version), text(4, type_url), text(5, nonce), *(field(6, name.encode()) for name in removed), *items)
    )


def state_response(type_url: str, version: str, nonce: str, items: Iterable[bytes]) -> bytes:
    return b"".join((text(1, version), text(4, type_url), text(5, nonce), *items))


_ROUTE_CONFIGURATION, _METADATA, _FILTER_METADATA = 5, 17, 1


def other_scope(body: bytes, salt: int) -> bytes:
    """The same ScopedRouteConfiguration with another hash: a mark in the metadata of its RouteConfiguration.

    A singular message that occurs twice is merged by whoever reads it, so appending is enough.
    """
    mark = text(1, f"contour.again.{salt}") + field(2, b"")
    return body + field(_ROUTE_CONFIGURATION, field(_METADATA, field(_FILTER_METADATA, mark)))


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one encoded message, nested messages as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
        elif kind == _BYTES:
            length, at = _read_varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif kind in (_FIXED64, _FIXED32):
            width = 8 if kind == _FIXED64 else 4
            yield number, int.from_bytes(data[at : at + width], "little")
            at += width
        else:
            raise ValueError(f"wire type {kind} in field {number}")


_CLUSTER_TYPE, _CLUSTER_EDS_CONFIG, _EDS = 2, 3, 3
_EDS_SERVICE_NAME = 2


def endpoints_of(cluster_name: str, body: bytes) -> str | None:
    """Name of the ClusterLoadAssignment that a Cluster waits for; None when its endpoints do not come by EDS."""
    kind: int | bytes = 0
    config = b""
    for number, value in fields(body):
        if number == _CLUSTER_TYPE:
            kind = value
        elif number == _CLUSTER_EDS_CONFIG and isinstance(value, bytes):
            config = value
    if kind != _EDS:
        return None
    for number, value in fields(config):
        if number == _EDS_SERVICE_NAME and isinstance(value, bytes):
            return value.decode()
    return cluster_name  # no service_name: Envoy asks by the cluster's own name


_ASSIGNMENT_ENDPOINTS = 2


def has_endpoints(assignment: bytes) -> bool:
    """Whether a ClusterLoadAssignment has any."""
    return any(number == _ASSIGNMENT_ENDPOINTS for number, _ in fields(assignment))
