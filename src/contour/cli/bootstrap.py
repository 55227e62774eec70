"""`contour bootstrap`: write what an Envoy starts with (operations.md §1.4, §3)."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import click

from contour.envoy.bootstrap import Settings, ShapeName, bootstrap, sds_files

_INT64 = click.IntRange(-(2**63), 2**63 - 1)
_UINT64 = click.IntRange(0, 2**64 - 1)


class Refused(click.ClickException):
    """The flags are read but cannot be served: fatal, exit status 1."""


@click.command()
@click.argument("path")
@click.option("--admin-address", default="/admin/admin.sock", help="Unix socket of Envoy's admin.")
@click.option("--admin-port", type=int, default=0, help="Deprecated: names the statistics of the admin cluster.")
@click.option("--dns-lookup-family", default="", help="How the xDS address is resolved: auto, v4, v6 or all.")
@click.option("--envoy-cafile", envvar="ENVOY_CAFILE", default="", help="CA of the xDS server (PEM).")
@click.option("--envoy-cert-file", envvar="ENVOY_CERT_FILE", default="", help="Certificate of this Envoy (PEM).")
@click.option("--envoy-key-file", envvar="ENVOY_KEY_FILE", default="", help="Private key of this Envoy (PEM).")
@click.option("--namespace", envvar="CONTOUR_NAMESPACE", default="projectcontour", help="Namespace, for statistics.")
@click.option("--overload-downstream-max-conn", type=_INT64, default=0, help="Most downstream connections; 0: off.")
@click.option("--overload-max-heap", type=_UINT64, default=0, help="Most bytes of heap; 0: off.")
@click.option("--resources-dir", default="", help="Directory for SDS files, so that Envoy follows rotated files.")
@click.option(
    "--shape",
    type=click.Choice(["scoped", "classic"]),
    default="scoped",
    help="How configuration is delivered; classic: exactly as Contour does.",
)
@click.option("--xds-address", default="", help="Address of the xDS server (127.0.0.1).")
@click.option("--xds-port", type=click.IntRange(0, 65535), default=0, help="Port of the xDS server (8001).")
@click.option("--xds-resource-version", default="v3", help="Version of the xDS API; there is only v3.")
def command(path: str, xds_resource_version: str, shape: ShapeName, **flags: Any) -> None:
    """Write the bootstrap configuration of an Envoy to PATH (`-`: standard output)."""
    _check(xds_resource_version, flags)
    settings = Settings(
        shape=shape,
        admin_address=flags["admin_address"],
        admin_port=flags["admin_port"],
        dns_lookup_family=flags["dns_lookup_family"],
        ca_file=flags["envoy_cafile"],
        cert_file=flags["envoy_cert_file"],
        key_file=flags["envoy_key_file"],
        namespace=flags["namespace"],
        max_downstream_connections=flags["overload_downstream_max_conn"],
        max_heap_bytes=flags["overload_max_heap"],
        resources_dir=flags["resources_dir"],
        xds_address=flags["xds_address"] or "127.0.0.1",
        xds_port=flags["xds_port"] or 8001,
    )
    try:
        _write(settings, path)
    except OSError as error:
        raise Refused(f"cannot write {error.filename}: {error.strerror}") from error


def _check(version: str, flags: dict[str, Any]) -> None:
    """In the order of the reference: resource version, admin address, connection limit, TLS files."""
    if version != "v3":
        raise Refused(f'invalid xDS resource version "{version}", only "v3" is supported')
    if error := _admin_address_error(flags["admin_address"]):
        raise Refused(error)
    if flags["overload_downstream_max_conn"] < 0:
        raise Refused("--overload-downstream-max-conn must not be negative")
    files = {name: flags[name.replace("-", "_")] for name in ("envoy-cafile", "envoy-cert-file", "envoy-key-file")}
    if any(files.values()) and not all(files.values()):
        raise Refused("--envoy-cafile, --envoy-cert-file and --envoy-key-file go together: give all three or none")
    for name, file in files.items():
        if file and not (Path(file).is_file() and Path(file).stat().st_size):
            raise Refused(f"--{name}: {file} is missing or empty")


def _admin_address_error(address: str) -> str | None:
    """The admin interface can end Envoy and is never given to the network."""
    if address != "localhost":
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return None
    return f'invalid admin address "{address}": it must be the path of a Unix socket'


def _write(settings: Settings, path: str) -> None:
    directory = Path(settings.resources_dir)
    if settings.resources_dir:
        (directory / "sds").mkdir(mode=0o777, parents=True, exist_ok=True)
    for name, content in sds_files(settings).items():
        (directory / name).write_text(json.dumps(content), encoding="utf-8")
    text = json.dumps(bootstrap(settings))
    if path == "-":
        click.echo(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
