"""`contour version`: YAML on stderr, as the reference has it (operations.md §1.9)."""

from __future__ import annotations

from importlib.metadata import version

import click


@click.command()
def command() -> None:
    """Print the version, as YAML on standard error."""
    click.echo(f"version: {version('contour-ingress')}", err=True)
