"""`contour run` as a child process."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from contour.testing.clients import Address
from contour.testing.ports import free_port
from contour.testing.program import Program

_SERVES = re.compile(r"^serving .* on http://\S+:(\d+) and https://\S+:(\d+); statistics on http://\S+:(\d+)")
_LOGS = re.compile(r"^logs, until this ends: (\S+)")


class Running(Program):
    """Serves `folder` at free ports unless flags say otherwise. `show` gets each line of output when it comes."""

    READY = _LOGS

    def __init__(self, folder: Path, *flags: str, show: Callable[[str], None] = lambda _: None) -> None:
        ports = [
            f"--envoy-service-{scheme}-port={free_port()}"
            for scheme in ("http", "https")
            if not any(flag.startswith(f"--envoy-service-{scheme}-port") for flag in flags)
        ]
        super().__init__("run", str(folder), *ports, *flags)
        self.http: Address = ("127.0.0.1", 0)
        self.https: Address = ("127.0.0.1", 0)
        self.stats: Address = ("127.0.0.1", 0)
        self.directory = Path()
        self._show = show

    def envoys(self) -> list[int]:
        """Process ids of the Envoy that it has."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def heard(self, line: str) -> None:
        if found := _SERVES.match(line):
            self.http, self.https, self.stats = (("127.0.0.1", int(port)) for port in found.groups())
        elif found := _LOGS.match(line):
            self.directory = Path(found[1])
        self._show(line)
