"""How long to wait before another attempt; chance is an argument."""

from __future__ import annotations

_FIRST, _LONGEST = 0.2, 10.0
_MOST = 16  # doublings that are computed


def delay(failures: int, chance: float) -> float:
    """Seconds after so many failures in a row: none after none, then twice as long each time, 10 s at most.

    `chance` of [0, 1) takes up to half of it away, so that clients which failed together do not come back together.
    """
    if failures <= 0:
        return 0.0
    return min(_LONGEST, _FIRST * 2.0 ** min(failures - 1, _MOST)) * (1 - chance / 2)
