"""What `contour run` shows: a table that is kept up to date on a terminal, lines anywhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Protocol

from contour.control.table import Hosts, Row
from contour.control.visible import visible
from contour.manifests.folder import Problem


class Display(Protocol):
    """All text that comes here may be a user's: what is shown of it is `visible`."""

    def note(self, text: str) -> None:
        """Something that happened."""

    def show(self, changed: Sequence[Row], gone: Sequence[Row]) -> None:
        """Hosts that are new or differ, and hosts that are gone."""

    def problems(self, problems: Sequence[Problem]) -> None:
        """All that is wrong in the folder now."""

    def close(self) -> None: ...


def display(hosts: Hosts) -> Display:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an encoding may lack what objects are called
    if not sys.stdout.isatty():
        return _Lines()
    from contour.control.terminal import Terminal  # noqa: PLC0415  # rich takes 50 ms

    return Terminal(hosts)


class _Lines:
    """Each thing once, when it begins and when it ends."""

    def __init__(self) -> None:
        self._problems: frozenset[Problem] = frozenset()

    def note(self, text: str) -> None:
        print(visible(text), flush=True)  # noqa: T201  # this is the program's output

    def show(self, changed: Sequence[Row], gone: Sequence[Row]) -> None:
        width = max((len(row.host) for row in changed), default=0)
        for row in changed:
            text = f": {row.text}" if row.text else ""
            self.note(f"{row.host or '-':{width}}  {row.name}  {row.status}{text}")
        for row in gone:
            self.note(f"{row.host or '-'}  {row.name}  removed")

    def problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            if problem not in self._problems:
                self.note(str(problem))
        for problem in sorted(self._problems.difference(problems)):
            self.note(f"{problem.path}: no longer: {problem.text}")
        self._problems = frozenset(problems)

    def close(self) -> None:
        pass
