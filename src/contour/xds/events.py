"""What a stream is told and what it answers with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from contour.envoy.resource import TypeUrl


class DeltaRequest(msgspec.Struct, frozen=True, gc=False):
    """A DeltaDiscoveryRequest; `error` is the text of its error_detail, None for none."""

    type_url: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = {}
    nonce: str = ""
    error: str | None = None


class StateRequest(msgspec.Struct, frozen=True, gc=False):
    """A DiscoveryRequest (state of the world)."""

    type_url: str = ""
    names: tuple[str, ...] = ()
    version: str = ""
    nonce: str = ""
    error: str | None = None


class Published(msgspec.Struct, frozen=True, gc=False):
    """The snapshot has changed under these names. `backends`: hosts of which a route lost its last backend (False), and
    hosts whose routes all have one again (True).
    """

    names: Mapping[TypeUrl, Collection[str]]
    backends: Mapping[str, bool] = {}


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The time that `Stream.wake` named has come."""


Event = DeltaRequest | StateRequest | Published | Tick


class Send(msgspec.Struct, frozen=True, gc=False):
    """An encoded response; `resources` is how many it sets or removes."""

    type_url: TypeUrl
    nonce: str
    data: bytes
    resources: int = 0

    def __repr__(self) -> str:  # a Secret's bytes never reach a log
        return f"Send({self.type_url!r}, {self.nonce!r}, {len(self.data)} bytes, {self.resources} resources)"


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Envoy refuses this version of a resource. `everywhere`: it is now sent to nobody."""

    type_url: TypeUrl
    name: str
    version: str
    text: str
    everywhere: bool = True


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The first Envoy acknowledged this version of a resource."""

    type_url: TypeUrl
    name: str
    version: str


class Nacked(msgspec.Struct, frozen=True, gc=False):
    """A response was refused; the culprit may not be known yet."""

    type_url: TypeUrl
    text: str
    resources: int


class Close(msgspec.Struct, frozen=True, gc=False):
    """End the stream with INVALID_ARGUMENT."""

    message: str


Command = Send | Refused | Accepted | Nacked | Close
