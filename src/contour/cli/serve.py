"""`contour serve`: the controller of a cluster (operations.md §1.3)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click
import msgspec

from contour.api.invalid import Invalid
from contour.api.scalars import parse_duration
from contour.cli.flags import listener_flags, settings, settings_flags

_NAMESPACE = "projectcontour"
_SECOND = 1_000_000_000


class _Duration(click.ParamType[float]):
    """A Go duration, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        parsed = parse_duration(str(value))
        if isinstance(parsed, Invalid):
            self.fail(f"{value!r} is not a duration: {parsed.text}", param, ctx)
        if parsed <= 0:
            self.fail(f"{value!r} is not above zero", param, ctx)
        return parsed / _SECOND


# Flag, type, default, help; in alphabetical order.
_VALUES: tuple[tuple[str, Any, Any, str], ...] = (
    ("--kubeconfig", str, None, "kubeconfig, when not in a cluster ($KUBECONFIG, ~/.kube/config)."),
    ("--kubernetes-client-burst", int, None, "Writes to the API server at once."),
    ("--kubernetes-client-qps", float, None, "Writes to the API server a second."),
    ("--leader-election-lease-duration", _Duration(), "15s", "How long a Lease holds that is not renewed."),
    ("--leader-election-renew-deadline", _Duration(), "10s", "How long the leader tries to renew its Lease."),
    ("--leader-election-resource-name", str, "leader-elect", "Name of the Lease."),
    ("--leader-election-resource-namespace", str, None, "Namespace of the Lease ($CONTOUR_NAMESPACE, projectcontour)."),
    ("--leader-election-retry-period", _Duration(), "2s", "Pause between tries to get or to renew the Lease."),
)
_SWITCHES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("--debug/--no-debug", "-d"), "Log what clients of xDS ask for, too, and where errors of libraries come from."),
    (("--disable-leader-election/--no-disable-leader-election",), "Be the leader for good."),
    (("--incluster/--no-incluster",), "Use the credentials that a pod has."),
)


_FEATURES = ("extensionservices", "tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies")


def _process_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for names, text in reversed(_SWITCHES):
        command = click.option(*names, default=None, help=text)(command)
    for name, kind, default, text in reversed(_VALUES):
        command = click.option(name, type=kind, default=default, help=text)(command)
    return click.option(
        "--disable-feature",
        "disabled",
        type=click.Choice(_FEATURES),
        multiple=True,
        help="Do not watch these objects, whose CRD need not be there then; may be repeated.",
    )(command)


@click.command()
@_process_flags
@listener_flags
@settings_flags
@click.pass_context
def command(ctx: click.Context, /, **flags: Any) -> None:
    """Watch a cluster and tell its Envoys, until a signal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))  # until there is something to stop
    disabled = flags.pop("disabled")
    process = {name: flags.pop(name) for name in _names()}
    read = _settled(settings(flags), process)

    import asyncio

    from contour.control.serve import ServeError, serve
    from contour.control.serve_log import adopt, logger
    from contour.control.serve_options import Options

    log = logger(ctx.find_root().params["log_format"], debug=read.debug)
    adopt(log)
    try:
        asyncio.run(serve(Options(read, _election(process), disabled), log))
    except ServeError as error:
        log.error(str(error))  # noqa: TRY400  # a line for the user, not a trace
        sys.exit(1)


def _settled(read: Any, process: dict[str, Any]) -> Any:
    """The settings with what the flags of the process say over the file."""
    client = {
        "incluster": process["incluster"],
        "kubeconfig": process["kubeconfig"],
        "qps": process["kubernetes_client_qps"],
        "burst": process["kubernetes_client_burst"],
    }
    given = {name: value for name, value in client.items() if value is not None}
    debug = read.debug if process["debug"] is None else process["debug"]
    return msgspec.structs.replace(read, debug=debug, client=msgspec.structs.replace(read.client, **given))


def _election(process: dict[str, Any]) -> Any:
    from contour.api.names import label_error, subdomain_error
    from contour.control.serve_options import Election
    from contour.kube.lease import Timing, TimingError

    if process["disable_leader_election"]:
        return None
    timing = Timing(
        process["leader_election_lease_duration"],
        process["leader_election_renew_deadline"],
        process["leader_election_retry_period"],
    )
    try:
        timing.check()
    except TimingError as error:
        raise click.UsageError(str(error)) from error
    namespace = process["leader_election_resource_namespace"] or os.environ.get("CONTOUR_NAMESPACE", _NAMESPACE)
    name = process["leader_election_resource_name"]
    for flag, wrong in (("namespace", label_error(namespace)), ("name", subdomain_error(name))):
        if wrong:
            raise click.UsageError(f"--leader-election-resource-{flag}: {wrong}")
    return Election(namespace, name, timing)


def _names() -> list[str]:
    flags = [*(name for name, *_ in _VALUES), *(names[0].partition("/")[0] for names, _ in _SWITCHES)]
    return [flag.removeprefix("--").replace("-", "_") for flag in flags]
