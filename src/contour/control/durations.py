"""How long something takes, as a Prometheus summary shows it: count, sum, and quantiles of the recent ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_RECENT = 500


class Durations:
    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def add(self, seconds: float) -> None:
        self.count += 1
        self.sum += seconds
        self._recent.append(seconds)

    def quantiles(self, wanted: Sequence[float]) -> list[float]:
        """Of the last 500, by nearest rank; NaN when there is none."""
        ordered = sorted(self._recent)
        if not ordered:
            return [float("nan")] * len(wanted)
        return [ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] for quantile in wanted]
