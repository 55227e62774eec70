"""`contour render`: what Envoy would be told for some manifests, and the status of each, without a cluster."""

from __future__ import annotations

import sys
from typing import Any

import click

from contour.cli.flags import parse, settings, settings_flags
from contour.control.sources import SourceError, load


@click.command()
@click.option(
    "-f", "--filename", "paths", multiple=True, help="File, folder, or - for standard input; may be repeated."
)
@click.option("--shape", type=click.Choice(["scoped", "classic"]), default="scoped", help="Form of the configuration.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="Format of the output.")
@click.option("--skip-admission", is_flag=True, help="Take objects as stored: no defaulting, no schema checks.")
@click.option("--strict", is_flag=True, help="Exit with status 2 if an object is invalid.")
@click.option("--show-secrets", is_flag=True, help="Print private keys.")
@click.option("--jsonl", is_flag=True, help="Answer one JSON request a line on standard input.")
@settings_flags
def command(  # noqa: PLR0917  # click calls it by name
    paths: tuple[str, ...],
    shape: Any,
    output: str,
    skip_admission: bool,
    strict: bool,
    show_secrets: bool,
    jsonl: bool,
    **flags: Any,
) -> int:
    """Print listeners, routes, clusters, endpoints, secrets, runtime and the status of objects."""
    if jsonl:
        return _serve(shape, skip_admission=skip_admission)
    from contour.control.refused import refused_status
    from contour.control.render import build, findings, state
    from contour.control.visible import visible

    try:
        sources = load(paths or ("-",), admission=not skip_admission)
    except SourceError as error:
        raise click.ClickException(visible(str(error))) from error
    for line in sources.notices:
        click.echo(visible(line), err=True)
    pipeline = build(sources.objects.values(), settings(flags), shape)
    problems = findings(pipeline)
    for line in problems:
        click.echo(visible(line), err=True)
    found = state(pipeline, shape, show_secrets=show_secrets)
    found["status"] += [refused_status(key, text) for key, text in sources.refused.items()]
    found["status"].sort(key=lambda entry: (entry["kind"], entry["namespace"], entry["name"]))
    click.echo(_yaml(found) if output == "yaml" else _json(found))
    return 2 if strict and (problems or any(_invalid(entry) for entry in found["status"])) else 0


def _serve(shape: Any, *, skip_admission: bool) -> int:
    import msgspec

    from contour.control.jsonl import answer

    for line in sys.stdin.buffer:
        if line.strip():
            sys.stdout.buffer.write(
                msgspec.json.encode(answer(line, parse, shape, skip_admission=skip_admission)) + b"\n"
            )
            sys.stdout.buffer.flush()
    return 0


def _invalid(entry: dict[str, Any]) -> bool:
    status = entry["status"]
    if "currentStatus" in status:  # all that an IngressRoute has
        return bool(status["currentStatus"] != "valid")
    return any(condition["status"] != "True" for condition in status.get("conditions", ()))


def _yaml(found: dict[str, Any]) -> str:
    import msgspec
    import yaml

    plain = msgspec.to_builtins(found)  # protobuf's JSON has ordered dictionaries, which YAML would mark
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True)).rstrip()


def _json(found: dict[str, Any]) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
