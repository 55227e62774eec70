"""What `contour serve` is told about its own process, besides its settings (operations.md §1.3)."""

from __future__ import annotations

import msgspec

from contour.control.settings import Settings
from contour.kube.lease import Timing


class Election(msgspec.Struct, frozen=True, gc=False):
    """Where the Lease is, and how long it holds."""

    namespace: str
    name: str
    timing: Timing


class Options(msgspec.Struct, frozen=True, gc=False):
    """`election`: None makes this replica the leader for good. `disabled`: features whose kinds are not watched."""

    settings: Settings
    election: Election | None
    disabled: tuple[str, ...] = ()
