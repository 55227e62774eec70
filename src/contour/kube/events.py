"""What is fed to a reflector and what it answers."""

from __future__ import annotations

import msgspec

from contour.api.meta import Object, ObjectRef
from contour.kube.answers import Failure

# --- what is fed --------------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Begin."""


class Answered(msgspec.Struct, frozen=True):
    """The page that was asked for."""

    body: bytes

    def __repr__(self) -> str:  # it may hold Secrets
        return f"Answered({len(self.body)} bytes)"


class Opened(msgspec.Struct, frozen=True):
    """The watch is accepted."""


class Chunk(msgspec.Struct, frozen=True):
    """Bytes of the watch, cut anywhere."""

    data: bytes

    def __repr__(self) -> str:  # it may hold Secrets
        return f"Chunk({len(self.data)} bytes)"


class Ended(msgspec.Struct, frozen=True):
    """The watch ended as it should."""


class Refused(msgspec.Struct, frozen=True):
    """The list or the watch was answered with a refusal."""

    failure: Failure


class Lost(msgspec.Struct, frozen=True):
    """No answer, or one that broke off. `whole`: it is about the server, not about this kind."""

    reason: str
    whole: bool = True


class Woken(msgspec.Struct, frozen=True):
    """The pause is over."""


Input = Start | Answered | Opened | Chunk | Ended | Refused | Lost | Woken


# --- what comes back ----------------------------------------------------------------------------------------------


class List(msgspec.Struct, frozen=True):
    path: str
    params: dict[str, str]


class Watch(msgspec.Struct, frozen=True):
    """`silence`: seconds without a byte after which it counts as lost."""

    path: str
    params: dict[str, str]
    silence: float


class Pause(msgspec.Struct, frozen=True):
    seconds: float


Command = List | Watch | Pause


class Trouble(msgspec.Struct, frozen=True):
    """The kind cannot be read now; what is known of it stays. Told once, until it changes or `Well` follows.

    `absent`: the kind is not installed. `whole`: the trouble is with the server and will be the same for all kinds.
    """

    text: str
    absent: bool = False
    whole: bool = False


class Well(msgspec.Struct, frozen=True):
    """The trouble is over."""


class Unread(msgspec.Struct, frozen=True):
    """One version of an object does not decode; its last good version stays. Told once for each version."""

    key: ObjectRef
    text: str


Report = Trouble | Well | Unread


class Step(msgspec.Struct):
    """`changes`: each object's newest value, None for gone, even when it came and went within one step.

    `synced`: this step completed the first list.
    """

    changes: dict[ObjectRef, Object | None] = {}
    added: int = 0
    updated: int = 0
    deleted: int = 0
    reports: list[Report] = []
    synced: bool = False
    next: Command | None = None
