"""What the kernel says of processes: CPU seconds, memory, and what all others took meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Stat(NamedTuple):
    pid: int
    session: int
    cpu: float
    rss: int


def session_cpu(leader: int) -> float:
    """CPU seconds of a process and everything of its session."""
    return sum(one.cpu for one in _all() if leader in (one.session, one.pid))


def session_mb(leader: int) -> int:
    """Resident MB (10^6 bytes) of a process and everything of its session."""
    return sum(one.rss for one in _all() if leader in (one.session, one.pid)) // 1_000_000


class Window:
    """CPU seconds of named processes (by session or process id) between its making and `end`, and of all others."""

    def __init__(self, named: dict[str, int]) -> None:
        self._named = named
        self._before = self._now()

    def end(self) -> dict[str, Any]:
        now = self._now()
        spent = {name: round(now[name] - self._before[name], 2) for name in now}
        spent["others"] = round(spent.pop("busy") - sum(spent[name] for name in self._named), 2)
        return spent

    def _now(self) -> dict[str, float]:
        stats = _all()
        cpu = {
            name: sum(one.cpu for one in stats if leader in (one.session, one.pid))
            for name, leader in self._named.items()
        }
        user, nice, system, _, _, irq, softirq, *_ = (
            int(field) / _TICK for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        )
        return {**cpu, "busy": user + nice + system + irq + softirq}


def _all() -> list[_Stat]:
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                text = (directory / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it ended meanwhile
            fields = text.rpartition(")")[2].split()  # proc(5): from field 3 on
            cpu = sum(int(field) for field in fields[11:15]) / _TICK
            found.append(_Stat(int(directory.name), int(fields[3]), cpu, int(fields[21]) * _PAGE))
    return found
