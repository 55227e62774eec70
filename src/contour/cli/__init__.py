"""The command `contour`: parser rules of the reference (operations.md §1.1) on top of click.

Subcommands are imported when they are called, so that `contour version` stays well under 0.2 s. Usage errors are one
line on stderr and exit status 1; no command prints the usage and exits 0; `@file` stands for the lines of that file.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import click

# Subcommand: module of `contour.cli` that exports it as `command`, and the line that `--help` shows.
_COMMANDS = {
    "bootstrap": ("bootstrap", "Write the bootstrap configuration of an Envoy."),
    "cli": ("xds", "Ask an xDS server what it serves."),
    "render": ("render", "Print what Envoy would be told for some manifests, without a cluster."),
    "run": ("run", "Serve a folder of manifests through an Envoy of its own."),
    "serve": ("serve", "Serve a Kubernetes cluster: watch it and tell its Envoys."),
    "version": ("version", "Print the version."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)  # `help`
        command: click.Command = importlib.import_module(f"contour.cli.{_COMMANDS[cmd_name][0]}").command
        _complete(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])


_LOG_FORMAT = ("--log-format",)
_LOG_FORMATS = click.Choice(["text", "json"])


def _complete(command: click.Command) -> None:
    """What holds for all: flags are listed in alphabetical order, and the global one stands anywhere
    (`contour serve --log-format=json` is how deployments have it).
    """
    if not any(one.name == "log_format" for one in command.params):
        command.params.append(
            click.Option(_LOG_FORMAT, type=_LOG_FORMATS, callback=_set_log_format, expose_value=False, hidden=True)
        )
        command.params.sort(key=lambda one: (isinstance(one, click.Argument), _flag(one)))
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        _complete(one)


def _flag(parameter: click.Parameter) -> str:
    """Its long name; arguments, which have none, keep their order."""
    return next((name for name in parameter.opts if name.startswith("--")), "")


def _set_log_format(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().params["log_format"] = value


@click.group(cls=_Lazy, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(*_LOG_FORMAT, type=_LOG_FORMATS, default="text", help="Format of the log, before or after the command.")
@click.pass_context
def contour(ctx: click.Context, log_format: str) -> None:  # noqa: ARG001  # `serve` asks the context for it
    """Kubernetes ingress: turns Ingress and HTTPProxy objects into Envoy configuration."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@contour.command(name="help", hidden=True)
@click.argument("names", nargs=-1)
@click.pass_context
def _help(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command."""
    command: click.Command = contour
    for name in names:
        found = command.get_command(ctx, name) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f'unknown command "{name}"')
        command = found
    click.echo(command.get_help(click.Context(command, info_name=" ".join(("contour", *names)))))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0, or 1 after an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Whatever stands in an object can be printed, in any locale.
            stream.reconfigure(errors="backslashreplace")
    try:
        expanded = _expand(sys.argv[1:] if arguments is None else arguments)
        status = contour.main(expanded, prog_name="contour", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as usage:
        click.echo(usage.ctx.get_help() if usage.ctx else "")
        sys.exit(0)
    except click.ClickException as error:
        hint = ", try --help" if isinstance(error, click.UsageError) else ""
        click.echo(f"contour: error: {error.format_message().removesuffix('.')}{hint}", err=True)
        sys.exit(1)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has had enough
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _expand(arguments: Sequence[str]) -> list[str]:
    """Replace `@file` by the lines of the file; blank lines and lines that begin with `#` are skipped."""
    expanded: list[str] = []
    for argument in arguments:
        if not argument.startswith("@") or argument == "@":
            expanded.append(argument)
            continue
        try:
            lines = Path(argument[1:]).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise click.UsageError(f"{argument}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{argument}: not UTF-8 text") from error
        expanded += [line for line in lines if line.strip() and not line.startswith("#")]
    return expanded
