"""What `contour serve` is told about its own process, besides its settings (operations.md §1.3)."""

from __future__ import annotations

import msgspec

from contour.control.settings import Settings


class Election(msgspec.Struct, frozen=True, gc=False):
    """Where the Lease is, and its durations in seconds."""

    namespace: str
    name: str = "leader-elect"
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


class Options(msgspec.Struct, frozen=True, gc=False):
    """`election`: None makes this replica the leader for good. `disabled`: features whose kinds are not watched."""

    settings: Settings
    election: Election | None
    disabled: tuple[str, ...] = ()
