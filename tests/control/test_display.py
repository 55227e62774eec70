from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from contour.api.meta import ObjectRef
from contour.control.display import display
from contour.control.table import Row
from contour.control.terminal import Terminal
from contour.manifests.folder import Problem


class Rows:
    """Stands where the table of a pipeline does: it is asked for its first rows only."""

    def __init__(self, *rows: Row) -> None:
        self._rows = list(rows)

    def first(self, count: int) -> tuple[list[Row], int]:
        return self._rows[:count], len(self._rows[count:])


def row(host: str, status: str = "valid", text: str = "") -> Row:
    return Row(host, ObjectRef("HTTPProxy", "shop", host.partition(".")[0]), status, text)


def test_lines_tell_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = display(Rows())  # type: ignore[arg-type]
    shown.show([row("a.test"), row("long.test", "invalid", "no such service")], [row("b.test")])
    problem = Problem("x.yaml", 3, "not a Kubernetes object")
    shown.problems([problem])
    shown.problems([problem])
    shown.problems([])
    shown.note("done")
    assert capsys.readouterr().out.splitlines() == [
        "a.test     HTTPProxy shop/a  valid",
        "long.test  HTTPProxy shop/long  invalid: no such service",
        "b.test  HTTPProxy shop/b  removed",
        "x.yaml:3: not a Kubernetes object",
        "x.yaml: no longer: not a Kubernetes object",
        "done",
    ]


def test_a_terminal_has_the_table_and_what_is_wrong() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=30)
    rows = Rows(row("a.test"), row("b.test", "invalid", "no such [service]"))
    shown = Terminal(rows, console)  # type: ignore[arg-type]
    shown.show([row("a.test")], [])
    shown.problems([Problem("x.yaml", 3, "not a [Kubernetes] object")])
    shown.note("serving [here]")
    shown.close()
    text = screen.getvalue()
    for part in (
        "HOST",
        "a.test",
        "valid",
        "HTTPProxy shop/b",
        "no such [service]",
        "x.yaml:3: not a [Kubernetes] object",
    ):
        assert part in text
    assert "serving [here]" in text


def test_a_full_terminal_says_how_much_is_left_out() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=14)
    shown = Terminal(Rows(*(row(f"h{number:02}.test") for number in range(50))), console)  # type: ignore[arg-type]
    shown.show([row("h49.test")], [])
    shown.close()
    assert "h05.test" in screen.getvalue()
    assert "h06.test" not in screen.getvalue()
    assert "and 44 more" in screen.getvalue()


def test_long_texts_hide_neither_problems_nor_what_is_left_out() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=110, height=30)
    rows = Rows(*(row(f"h{number:02}.test", "invalid", "something is wrong here: " * 20) for number in range(40)))
    shown = Terminal(rows, console)  # type: ignore[arg-type]
    shown.problems([Problem(f"p{number:02}.yaml", 3, "no good " * 30) for number in range(12)])
    start = len(screen.getvalue())
    shown.show([row("h00.test")], [])
    drawn = screen.getvalue()[start:]
    shown.close()
    assert drawn.count("\n") < 30
    for part in (
        "p00.yaml:3: no good",
        "p10.yaml:3: ",
        "… and 1 more problems",
        "h00.test",
        "h09.test",
        "… and 30 more",
    ):
        assert part in drawn
    assert drawn.index("p10.yaml") < drawn.index("h00.test")


def test_long_texts_are_whole_where_there_is_room() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, height=30)
    text = " ".join(f"word{number}" for number in range(20))
    shown = Terminal(Rows(row("a.test", "invalid", text)), console)  # type: ignore[arg-type]
    shown.problems([Problem("x.yaml", 3, text)])
    shown.close()
    assert screen.getvalue().count("word19") >= 2
    assert "…" not in screen.getvalue()


# A title for the terminal, a line of its own, text from right to left, a byte of a file name.
NASTY = "a\x1b]0;title\x07\nb\u202ec\udcff\x9b"
SHOWN = r"a\x1b]0;title\x07\nb\u202ec\xff\x9b"


def test_no_text_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    terminal = Terminal(Rows(row("a.test", "invalid", NASTY)), Console(file=screen, width=300, height=30))  # type: ignore[arg-type]
    for shown in (display(Rows()), terminal):  # type: ignore[arg-type]
        shown.show([row("a.test", "invalid", NASTY)], [row(NASTY)])
        shown.problems([Problem(NASTY, 3, NASTY)])
        shown.problems([])
        shown.problems([Problem(NASTY, 3, NASTY)])
        shown.note(NASTY)
        shown.close()
    lines = capsys.readouterr().out
    assert lines.count(SHOWN) == 1 + 2 + 2 + 2 + 2 + 1
    assert screen.getvalue().count(SHOWN) >= 4
    for text in (lines, screen.getvalue()):
        assert not set(NASTY) - set("abctile;]0 \n") & set(text)


def test_an_encoding_that_lacks_a_character_ends_nothing() -> None:
    program = "from contour.control.display import display; display(None).note('h\xe9llo \u2026')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, rb"h\xe9llo \u2026" + b"\n", b"")
