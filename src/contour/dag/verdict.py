"""What the graph has to say about an object: conditions with errors and warnings, as values.

In: the checks of `contour.dag`. Out: verdicts that `contour.status` turns into status blocks.
Shapes and polarity follow httpproxy.md §3.1: one condition `Valid` per object, errors and warnings below it.
"""

from __future__ import annotations

import msgspec

from contour.api.invalid import Invalid

__all__ = ["Finding", "Invalid", "Verdict"]


class Finding(msgspec.Struct, frozen=True, gc=False, order=True):
    """One entry of a condition's `errors` or `warnings`."""

    type: str
    reason: str
    message: str


class Verdict(msgspec.Struct, frozen=True, gc=False, order=True):
    """All that one evaluation found about one object. No errors: the object is valid (as far as this root goes)."""

    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.errors
