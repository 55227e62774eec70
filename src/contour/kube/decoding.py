"""Answers of the API server to objects: a list or a watch event, each object for itself."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from contour.api.core import Secret
from contour.api.decode import DecodeError, decode_as
from contour.api.meta import Object, ObjectMeta, ObjectRef

# Only these keep what they hold (operations.md §6.1).
_SECRET_TYPES = frozenset({"kubernetes.io/tls", "Opaque"})
# What kubectl writes: the whole object once more, the data of a Secret included. Nothing reads it.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Unreadable(Exception):  # noqa: N818 - what it says is enough
    """An answer that is not what was asked for."""


class Version(NamedTuple):
    """One version of one object; `value` is None when it does not decode, `problem` says why."""

    key: ObjectRef
    version: str
    value: Object | None
    problem: str = ""


class Page(NamedTuple):
    """One page of a list. `more` asks for the next one; `version` is where a watch of the list begins."""

    items: list[Version]
    version: str
    more: str


class WatchEvent(NamedTuple):
    """`type`: ADDED, MODIFIED, DELETED, BOOKMARK, ERROR."""

    type: str
    raw: bytes


class Meta(NamedTuple):
    """What a bookmark or a deleted object says of itself."""

    key: ObjectRef
    version: str


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    more: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: tuple[msgspec.Raw, ...] | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str
    object: msgspec.Raw


class _Identity(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Identified(msgspec.Struct, frozen=True, gc=False):
    metadata: _Identity


_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)
_IDENTIFIED = msgspec.json.Decoder(_Identified)
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def page(kind: type[Object], body: bytes) -> Page:
    """Raises Unreadable when it is no list; an item that does not decode is one of its items."""
    try:
        found = _LIST.decode(body)
    except _WRONG as error:
        raise Unreadable(f"not a list of {kind.kind}: {error}") from None
    if not found.metadata.resource_version:
        raise Unreadable(f"a list of {kind.kind} without a resourceVersion")
    items = [version(kind, bytes(raw)) for raw in found.items or ()]
    return Page(items, found.metadata.resource_version, found.metadata.more)


def event(line: bytes) -> WatchEvent:
    """Raises Unreadable."""
    try:
        found = _EVENT.decode(line)
    except _WRONG as error:
        raise Unreadable(f"not a watch event: {error}") from None
    return WatchEvent(found.type, bytes(found.object))


def version(kind: type[Object], raw: bytes) -> Version:
    """An item of a list, or the object of an event."""
    try:
        value = decode_as(kind, raw)
    except DecodeError as error:
        key, resource_version = identity(kind, raw)
        return Version(key, resource_version, None, f"{error.reason} at {error.path}" if error.path else error.reason)
    meta = value.metadata
    return Version(ObjectRef(kind.kind, meta.namespace, meta.name), meta.resource_version, _stripped(value, meta))


def identity(kind: type[Object], raw: bytes) -> Meta:
    """Name and version, of whatever has them; "" where they cannot be read."""
    try:
        found = _IDENTIFIED.decode(raw).metadata
    except _WRONG:
        found = _Identity()
    return Meta(ObjectRef(kind.kind, found.namespace, found.name), found.resource_version)


def _stripped(value: Object, meta: ObjectMeta) -> Object:
    """Without what nothing may read. The value is new: nobody else sees the change in place."""
    if meta.annotations:
        meta.annotations.pop(_LAST_APPLIED, None)
    if isinstance(value, Secret) and value.type not in _SECRET_TYPES:
        return Secret(metadata=msgspec.structs.replace(meta, annotations=None), type=value.type)
    return value
