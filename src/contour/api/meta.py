"""What every Kubernetes object has: metadata, and the keys by which the program knows objects."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import msgspec


class Ref(NamedTuple):
    """Key of a namespaced object; renders as `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ObjectRef(NamedTuple):
    """Kind and key of an object: the origin of a route, the blame for a refusal."""

    kind: str
    namespace: str
    name: str


class ObjectMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The part of `metadata` that decides anything here."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = ""
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What all kinds share. `kind` and `api_version` belong to the class, not to the instance.

    Where two groups have a kind of one name, the older group's is `Kind.group`, as `kubectl` takes it.
    """

    kind: ClassVar[str]
    api_version: ClassVar[str]

    metadata: ObjectMeta = ObjectMeta()

    @property
    def ref(self) -> Ref:
        return Ref(self.metadata.namespace, self.metadata.name)
