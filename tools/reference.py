"""Write the reference pages from what they are about; a test fails when one is out of date.

docs/cli.md comes from the commands, docs/configuration.md from the structures of the configuration file, docs/kinds/*.md
from the schemas of the kinds.

Usage: python -m tools.reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from tools import configuration, kinds

from contour.api import crds
from contour.cli import contour

DOCS = Path(__file__).parent.parent / "docs"
_HEAD = """# Commands and flags

Written by `python -m tools.reference`. Flags take `--flag=value` or `--flag value`; a boolean takes no value and has an inverse
`--no-flag` where that means something; `@file` stands for the lines of that file. A usage error is one line on stderr
and exit status 1. `--log-format=text` (the default) or `--log-format=json`, before or after the command, is the format of the log.
"""


def pages() -> dict[Path, str]:
    """Text by the file that it belongs in."""
    found = {
        DOCS / "cli.md": "\n".join([_HEAD, *_commands(contour, "contour")]),
        DOCS / "configuration.md": configuration.page(),
    }
    return found | {DOCS / "kinds" / f"{kind.lower()}.md": kinds.page(kind) for kind in crds.NAMES}


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
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
