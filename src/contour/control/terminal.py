"""The table of hosts on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from contour.control.table import VALID, Hosts, Row
from contour.control.visible import visible
from contour.manifests.folder import Problem

# Lines of the terminal that are kept for what is not the table.
_RESERVED_LINES = 8
_FEWEST_ROWS = 5


class Terminal:
    """One table, drawn again in place; notes scroll above it."""

    def __init__(self, hosts: Hosts, console: Console | None = None) -> None:
        self._hosts = hosts
        self._found: tuple[Problem, ...] = ()
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def note(self, text: str) -> None:
        self._live.console.print(visible(text), markup=False, highlight=False)

    def show(self, changed: Sequence[Row], gone: Sequence[Row]) -> None:
        if changed or gone:
            self._draw()

    def problems(self, problems: Sequence[Problem]) -> None:
        if self._found != tuple(problems):
            self._found = tuple(problems)
            self._draw()

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> None:
        room = max(_FEWEST_ROWS, self._live.console.height - _RESERVED_LINES)
        problems = self._found[: room // 2]
        lines = [Text(visible(str(problem)), style="red") for problem in problems]
        if len(self._found) > len(problems):
            lines.append(Text(f"… and {len(self._found) - len(problems)} more problems", style="red"))
        self._live.update(Group(self._table(room - len(lines)), *lines), refresh=True)

    def _table(self, room: int) -> Table:
        rows, left = self._hosts.first(room)
        table = Table(caption=f"… and {left} more" if left else None, box=None, pad_edge=False)
        for title in ("HOST", "STATUS", "OBJECT", ""):
            table.add_column(title, no_wrap=title != "", overflow="fold")
        for row in rows:
            style = "green" if row.status == VALID else "red"
            table.add_row(
                Text(visible(row.host) or "-"),
                Text(row.status, style=style),
                Text(visible(row.name)),
                Text(visible(row.text)),
            )
        return table
