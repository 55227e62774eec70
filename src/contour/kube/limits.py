"""A token bucket, with the time as an argument."""

from __future__ import annotations


class Bucket:
    """At most `rate` a second in the long run, `burst` at once. A rate of 0 means no limit."""

    def __init__(self, rate: float, burst: int = 1) -> None:
        self._rate = rate
        self._burst = max(1, burst)
        self._tokens = float(self._burst)
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Take the next turn: seconds to wait for it. Turns are given in the order of the calls."""
        if self._rate <= 0:
            return 0.0
        if self._at is not None:
            self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)
