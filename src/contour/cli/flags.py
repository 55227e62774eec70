"""The flags of `serve` that shape configuration, for every command that takes them (operations.md §1.3)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from contour.control.settings import Flags, Settings, SettingsError, load


class _IP(click.ParamType[str]):
    name = "ip"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)
        return str(value)


_PORT = click.IntRange(0, 65535)

# Flag, type, help; in alphabetical order, as the help lists them.
_FLAGS: tuple[tuple[str, Any, str], ...] = (
    ("--accesslog-format", click.Choice(["envoy", "json"]), "Format of access logs (envoy)."),
    ("--envoy-http-access-log", str, "Path of the access log of the HTTP listener (/dev/stdout)."),
    ("--envoy-https-access-log", str, "Path of the access log of the HTTPS listener (/dev/stdout)."),
    ("--envoy-service-http-address", _IP(), "Address of the HTTP listener (0.0.0.0)."),
    ("--envoy-service-http-port", _PORT, "Port of the HTTP listener (8080)."),
    ("--envoy-service-https-address", _IP(), "Address of the HTTPS listener (0.0.0.0)."),
    ("--envoy-service-https-port", _PORT, "Port of the HTTPS listener (8443)."),
    ("--envoy-service-name", str, "Service whose address is copied into the status of objects (envoy)."),
    ("--envoy-service-namespace", str, "Namespace of that Service (projectcontour)."),
    ("--ingress-class-name", str, "Ingress classes to serve, separated by commas (none, and contour)."),
    ("--ingress-status-address", str, "Addresses for the status of objects, separated by commas."),
    ("--root-namespaces", str, "Namespaces that may hold root HTTPProxies, separated by commas (all)."),
    ("--stats-address", _IP(), "Address of Envoy's stats and health listener (0.0.0.0)."),
    ("--stats-port", _PORT, "Port of Envoy's stats and health listener (8002)."),
    ("--watch-namespaces", str, "Namespaces to look at, separated by commas (all)."),
)

# Where `serve` itself listens, and with which files.
_LISTENERS: tuple[tuple[str, Any, str], ...] = (
    ("--contour-cafile", str, "CA bundle that xDS clients are verified with (/certs/ca.crt)."),
    ("--contour-cert-file", str, "Certificate of the xDS server (/certs/tls.crt)."),
    ("--contour-key-file", str, "Private key of the xDS server (/certs/tls.key)."),
    ("--debug-http-address", _IP(), "Address of the debug pages (127.0.0.1)."),
    ("--debug-http-port", _PORT, "Port of the debug pages (6060)."),
    ("--health-address", _IP(), "Address of the health page (0.0.0.0)."),
    ("--health-port", _PORT, "Port of the health page (8000)."),
    ("--http-address", _IP(), "Address of the metrics page (0.0.0.0)."),
    ("--http-port", _PORT, "Port of the metrics page (8000)."),
    ("--xds-address", _IP(), "Address of the xDS server (127.0.0.1)."),
    ("--xds-port", _PORT, "Port of the xDS server (8001)."),
)
_ENVIRONMENT = {
    "--contour-cafile": "CONTOUR_CAFILE",
    "--contour-cert-file": "CONTOUR_CERT_FILE",
    "--contour-key-file": "CONTOUR_KEY_FILE",
}

# The other flags of `serve` change nothing that can be rendered; a list of its arguments may hold them.
_PROCESS_VALUES = (
    "--disable-feature", "--kubeconfig", "--kubernetes-client-burst", "--kubernetes-client-qps", "--kubernetes-debug",
    "--leader-election-lease-duration", "--leader-election-renew-deadline", "--leader-election-resource-name",
    "--leader-election-resource-namespace", "--leader-election-retry-period", "--log-format",
)  # fmt: skip
_PROCESS_SWITCHES = ("--debug", "--disable-leader-election", "--incluster")


def settings_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags; its function takes them with `**flags` and passes that to `settings`."""
    command = click.option("--use-proxy-protocol/--no-use-proxy-protocol", default=None, help="Expect PROXY protocol.")(
        command
    )
    for name, kind, text in reversed(_FLAGS):
        command = click.option(name, type=kind, default=None, help=text)(command)
    return click.option(
        "-c", "--config-path", type=click.Path(exists=True, dir_okay=False), help="Configuration file (YAML)."
    )(command)


def listener_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags of the listeners of `serve` itself, which are part of its settings."""
    command = click.option("--insecure/--no-insecure", default=None, help="Serve xDS without TLS.")(command)
    for name, kind, text in reversed(_LISTENERS):
        command = click.option(name, type=kind, default=None, envvar=_ENVIRONMENT.get(name), help=text)(command)
    return command


def settings(flags: dict[str, Any]) -> Settings:
    """Settings from what click parsed: the configuration file, then the flags over it."""
    given = dict(flags)
    path = given.pop("config_path")
    try:
        text = Path(path).read_text(encoding="utf-8") if path else ""
        return load(text, Flags(**given), contour_namespace=os.environ.get("CONTOUR_NAMESPACE"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path}: not UTF-8 text") from error
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _process_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in _PROCESS_VALUES:
        command = click.option(name, expose_value=False, multiple=True)(command)
    for name in _PROCESS_SWITCHES:
        names = f"{name}/--no-{name.removeprefix('--')}"
        command = click.option(names, *(("-d",) if name == "--debug" else ()), expose_value=False)(command)
    return command


@click.command(add_help_option=False)
@_process_flags
@listener_flags
@settings_flags
def _flags_alone(**flags: Any) -> dict[str, Any]:
    return flags


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Flags of `serve` from a list of arguments, without the path of a configuration file; ValueError if they are bad."""
    try:
        flags = dict(_flags_alone.main(list(arguments), standalone_mode=False))
    except click.ClickException as error:
        raise ValueError(error.format_message()) from error
    if flags.pop("config_path"):
        raise ValueError("--config-path: the text of the configuration file stands in the request")
    return flags
