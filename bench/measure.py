"""Spread of a series, memory of a process, the machine: what every benchmark prints beside its figures."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: least, median, 99th percentile, most, and how many; of an empty series the number alone."""
    if not seconds:
        return {"n": 0}
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 3)

    return {"min": at(0), "p50": at(0.5), "p99": at(0.99), "max": at(1), "n": len(ordered)}


def rss_mb(pid: int | str = "self") -> int:
    """Resident memory in MB (10^6 bytes) of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 // 1_000_000
    raise ValueError(f"process {pid} has no memory")


def machine() -> dict[str, Any]:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }
