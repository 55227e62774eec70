"""The answer of a check to bad input: a value, because a user's mistake is not an exception."""

from __future__ import annotations

import msgspec


class Invalid(msgspec.Struct, frozen=True, gc=False):
    """What is wrong, in the words that a user reads; the caller adds the prefix that says where."""

    text: str
