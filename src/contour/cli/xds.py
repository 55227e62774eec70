"""`contour cli`: ask an xDS server what it serves, and acknowledge or refuse it (operations.md §1.6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

# Subcommand: method without `Stream` or `Delta`, type of the resources. Secrets are asked for on the stream of routes,
# as the reference does: a server has to go by the type in the request.
_ROUTES = "/envoy.service.route.v3.RouteDiscoveryService/{}Routes"
_TYPES = {
    "cds": ("/envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters", "config.cluster.v3.Cluster", "clusters"),
    "eds": (
        "/envoy.service.endpoint.v3.EndpointDiscoveryService/{}Endpoints",
        "config.endpoint.v3.ClusterLoadAssignment",
        "endpoints",
    ),
    "lds": (
        "/envoy.service.listener.v3.ListenerDiscoveryService/{}Listeners",
        "config.listener.v3.Listener",
        "listeners",
    ),
    "rds": (_ROUTES, "config.route.v3.RouteConfiguration", "routes"),
    "sds": (_ROUTES, "extensions.transport_sockets.tls.v3.Secret", "secrets"),
    "srds": (
        "/envoy.service.route.v3.ScopedRoutesDiscoveryService/{}ScopedRoutes",
        "config.route.v3.ScopedRouteConfiguration",
        "scoped routes",
    ),
}
_SERVER_NAME = "contour"
_INTERNAL = 13
_REFUSAL = "NACK test"

F = TypeVar("F", bound=Callable[..., Any])


class Connection(msgspec.Struct, frozen=True):
    """The flags."""

    cafile: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    contour: str = "127.0.0.1:8001"
    delta: bool = False
    nack: bool = False
    node_id: str = "ContourCLI"


def _flags(function: F) -> F:
    """The flags stand before or after the subcommand."""
    for option in reversed(
        (
            click.option(
                "--cafile",
                envvar="CLI_CAFILE",
                metavar="PATH",
                help="CA bundle file for connecting to a TLS-secured Contour.",
            ),
            click.option("--cert-file", envvar="CLI_CERT_FILE", metavar="PATH", help="Client certificate file."),
            click.option("--key-file", envvar="CLI_KEY_FILE", metavar="PATH", help="Client key file."),
            click.option(
                "--contour",
                metavar="ADDRESS",
                help="Contour's xDS address: HOST:PORT or unix:PATH, 127.0.0.1:8001 by default.",
            ),
            click.option("--delta/--no-delta", default=None, help="Use the incremental protocol."),
            click.option("--nack/--no-nack", default=None, help="Refuse all that is received."),
            click.option("--node-id", envvar="CLI_NODE_ID", metavar="ID", help="Node id, ContourCLI by default."),
        )
    ):
        function = option(function)
    return function


@click.group(name="cli")
@_flags
@click.pass_context
def command(ctx: click.Context, /, **flags: Any) -> None:
    """Ask an xDS server what it serves, until interrupted. Contour answers in the classic shape."""
    ctx.obj = {key: value for key, value in flags.items() if value is not None}


def _subcommand(name: str) -> click.Command:
    method, kind, what = _TYPES[name]

    @click.command(name=name, help=f"Watch {what}: all, or those named.")
    @_flags
    @click.argument("resources", nargs=-1)
    @click.pass_context
    def run(ctx: click.Context, /, resources: tuple[str, ...], **flags: Any) -> None:
        given = {key: value for key, value in flags.items() if value is not None}
        connection = Connection(**{**(ctx.obj or {}), **given})
        _watch(connection, method, "type.googleapis.com/envoy." + kind, resources)

    return run


for _name in _TYPES:
    command.add_command(_subcommand(_name))


def _watch(connection: Connection, method: str, type_url: str, resources: tuple[str, ...]) -> None:
    """Ask, print and answer until the stream ends, which is an error: it never does by itself."""
    import grpc

    from contour.xds import messages

    delta = (messages.DeltaDiscoveryRequest, messages.DeltaDiscoveryResponse, "Delta")
    state = (messages.DiscoveryRequest, messages.DiscoveryResponse, "Stream")
    request, response, kind = delta if connection.delta else state
    with _channel(connection) as channel:
        call = channel.stream_stream(method.format(kind), request.SerializeToString, response.FromString)
        try:
            _converse(call, request, connection, type_url, resources)
        except grpc.RpcError as error:
            raise click.ClickException(f"{error.code().name}: {error.details()}") from error
    raise click.ClickException("the server ended the stream")


def _converse(call: Any, request_class: Any, connection: Connection, type_url: str, resources: tuple[str, ...]) -> None:
    from queue import SimpleQueue

    requests: SimpleQueue[Any] = SimpleQueue()
    names = {"resource_names_subscribe" if connection.delta else "resource_names": resources}

    def send(request: Any) -> None:
        click.echo(f"sending {request.type_url}", err=True)
        _print(request)
        requests.put(request)

    first = request_class(type_url=type_url, **names)
    first.node.id = connection.node_id
    if not connection.delta:
        first.version_info = "0"
    send(first)
    try:
        for response in call(iter(requests.get, None)):
            click.echo(f"received {response.type_url}", err=True)
            _print(response)
            answer = request_class(type_url=type_url, response_nonce=response.nonce)
            if not connection.delta:
                # Every request of this variant has the whole list; without it the names would be unsubscribed.
                answer.resource_names.extend(resources)
                answer.version_info = response.version_info
            if connection.nack:
                answer.error_detail.code = _INTERNAL
                answer.error_detail.message = _REFUSAL
            send(answer)
    finally:
        requests.put(None)  # lets gRPC's thread that takes them end


def _print(message: Any) -> None:
    from contour.envoy import pb

    click.echo(pb.to_json(message, indent=2))


def _channel(connection: Connection) -> Any:
    import grpc

    from contour.xds.credentials import CredentialsError, Files, read

    host, _, port = connection.contour.rpartition(":")
    if not connection.contour.startswith("unix:") and not (host and port.isdecimal()):
        raise click.UsageError(f"--contour: {connection.contour!r} is neither HOST:PORT nor unix:PATH")

    options = (("grpc.max_receive_message_length", -1), ("grpc.ssl_target_name_override", _SERVER_NAME))
    authority, key, certificate = connection.cafile, connection.key_file, connection.cert_file
    if not (authority or key or certificate):
        return grpc.insecure_channel(connection.contour, options=options)
    if not (authority and key and certificate):
        raise click.UsageError(
            "you must supply all three TLS parameters - --cafile, --cert-file, --key-file, or none of them"
        )
    try:
        own = read(Files(Path(certificate), Path(key), Path(authority)))
    except CredentialsError as error:
        raise click.ClickException(str(error)) from error
    credentials = grpc.ssl_channel_credentials(own.authority, own.private_key, own.certificate)
    return grpc.secure_channel(connection.contour, credentials, options=options)
