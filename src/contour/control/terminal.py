"""The table of hosts on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, OverflowMethod
from rich.live import Live
from rich.table import Table
from rich.text import Text

from contour.control.table import VALID, Hosts, Row
from contour.control.visible import visible
from contour.manifests.folder import Problem

# Lines of the terminal that are kept for what is not the table.
_RESERVED_LINES = 8
_FEWEST_ROWS = 5
# Lines of the terminal that stay free, so that the picture never scrolls.
_MARGIN_LINES = 1


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
        """What is wrong first. Long texts are folded if there is room for that, else cut: each line stands for one."""
        height = self._live.console.height
        room = max(_FEWEST_ROWS, height - _RESERVED_LINES)
        problems = self._found[: room // 2]
        left = len(self._found) - len(problems)
        rows = room - len(problems) - (1 if left else 0)
        whole = self._view(problems, left, rows, cut=False)
        folded = len(self._live.console.render_lines(whole, pad=False)) <= height - _MARGIN_LINES
        self._live.update(whole if folded else self._view(problems, left, rows, cut=True), refresh=True)

    def _view(self, problems: Sequence[Problem], left: int, rows: int, *, cut: bool) -> Group:
        overflow: OverflowMethod = "ellipsis" if cut else "fold"
        lines = [
            Text(visible(str(problem)), style="red", no_wrap=cut or None, overflow=overflow) for problem in problems
        ]
        if left:
            lines.append(Text(f"… and {left} more problems", style="red"))
        return Group(*lines, self._table(rows, cut=cut))

    def _table(self, room: int, *, cut: bool) -> Table:
        rows, left = self._hosts.first(room)
        table = Table(caption=f"… and {left} more" if left else None, box=None, pad_edge=False)
        for title in ("HOST", "STATUS", "OBJECT", ""):
            table.add_column(title, no_wrap=title != "", overflow="ellipsis" if cut else "fold")
        for row in rows:
            style = "green" if row.status == VALID else "red"
            table.add_row(
                Text(visible(row.host) or "-"),
                Text(row.status, style=style),
                Text(visible(row.name)),
                Text(visible(row.text), no_wrap=cut or None),
            )
        return table
