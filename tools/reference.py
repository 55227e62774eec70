"""Write docs/cli.md from the commands themselves; a test fails when the page is out of date.

Usage: python tools/reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from contour.cli import contour

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
_HEAD = """# Commands and flags

Written by `tools/reference.py`. Flags take `--flag=value` or `--flag value`; a boolean takes no value and has an inverse
`--no-flag` where that means something; `@file` stands for the lines of that file. A usage error is one line on stderr
and exit status 1.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_commands(contour, "contour")])


def _commands(group: click.Group, path: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"## `{path} {name}`\n\n{(command.help or '').strip()}\n"
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            yield "\n".join(["| flag | default | meaning |", "|---|---|---|", *rows, ""])
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _row(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return f"| `{parameter.human_readable_name}` | | argument |"
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return ""
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = "" if default in (None, False, "", ()) or parameter.is_flag or callable(default) else f"`{default}`"
    if "UNSET" in shown:
        shown = ""
    text = (parameter.help or "").replace("|", "\\|")
    environment = f" Environment: `{parameter.envvar}`." if parameter.envvar else ""
    return f"| {names} | {shown} | {text}{environment} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
