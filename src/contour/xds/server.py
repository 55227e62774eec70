"""The gRPC server: streams, deltas and fetches of all discovery services, on a Unix socket or TCP (operations.md §4.1).

Requests are decoded here, responses pass through as the bytes that the machines made.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Protocol

import grpc
import grpc.aio

from contour.envoy import pb
from contour.envoy.resource import ENDPOINTS, TypeUrl
from contour.xds import messages, wire
from contour.xds.events import DeltaRequest, StateRequest
from contour.xds.hub import BrokenError, Hub, InvalidRequestError
from contour.xds.node import Node
from contour.xds.subscription import WILDCARD

HubOf = Callable[[Node], Hub | Awaitable[Hub]]


class Observer(Protocol):
    """Hears of streams, which are numbered, and of what clients say on them; `what` is a DeltaRequest or StateRequest."""

    def opened(self, stream: int, type_url: str) -> None: ...
    def asked(self, stream: int, node: Node, what: DeltaRequest | StateRequest) -> None: ...
    def closed(self, stream: int, node: Node) -> None: ...


_OPTIONS = (
    # Contour's own bootstrap opens a stream for each endpoint set and each secret (operations.md §4.1).
    ("grpc.max_concurrent_streams", 1 << 20),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 300_000),
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second server
)
_OWNER_ONLY = 0o177


class Server:
    """`hub_of` chooses the hub for a client by what it says about itself; it may build it on first demand (awaitable),
    or raise BrokenError.
    """

    def __init__(self, hub_of: HubOf, observer: Observer | None = None) -> None:
        self._hub_of = hub_of
        self._observer = observer
        self._streams = count(1)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Methods(self),))

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Bind `HOST:PORT` or `unix:PATH` and return the port; None is plaintext. Raises RuntimeError if taken.

        Clients can connect from here on and are answered after `start` and the hub's first publish.
        """
        # The socket of a Unix address is the only guard of what it serves, private keys included.
        before = os.umask(_OWNER_ONLY) if address.startswith("unix:") else None
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        finally:
            if before is not None:
                os.umask(before)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        """Close all connections at once: the streams never end by themselves."""
        await self._server.stop(None)

    async def stream(self, context: Any, default_type: TypeUrl | None, *, delta: bool) -> None:
        """One call of a Stream or Delta method."""
        request = await context.read()
        if request is grpc.aio.EOF:
            return
        hub = await self._hub(request, context)
        session = hub.open(_node(request), delta=delta, default_type=default_type)
        translate = _delta_request if delta else _state_request
        number, observer = next(self._streams), self._observer
        if observer is not None:
            observer.opened(number, request.type_url or default_type or "")

        async def read() -> None:
            nonlocal request
            try:
                while request is not grpc.aio.EOF:
                    what = translate(request)
                    if observer is not None:
                        observer.asked(number, session.node, what)
                    session.feed(what)
                    request = await context.read()
            finally:
                session.end()

        reader = asyncio.create_task(read())
        try:
            async for data in session.responses():
                await context.write(data)
            if reader.done():  # else it is the hub that ended the session
                await reader
        except InvalidRequestError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            hub.close(session)
            reader.cancel()
            if observer is not None:
                observer.closed(number, session.node)

    async def fetch(self, request: Any, context: Any, default_type: TypeUrl) -> bytes:
        """One call of a Fetch method: the current resources of a type, unless the client has them."""
        type_url = TypeUrl(request.type_url or default_type)
        snapshot = (await self._hub(request, context)).snapshot
        if type_url == ENDPOINTS:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "endpoints cannot be fetched")
        if type_url not in snapshot.tables:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown type URL {type_url!r}")
        if not snapshot.ready:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the configuration is not complete yet")
        version = snapshot.version(type_url)
        if request.version_info == version:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"version {version} is current")
        names = request.resource_names
        everything = not names or WILDCARD in names
        items: list[bytes] = []
        for name in snapshot.tables[type_url] if everything else names:
            entry = snapshot.fetched(type_url, name)
            if entry is not None:
                items += (wire.state_prefix(type_url, len(entry.body)), entry.body)
        return wire.state_response(type_url, version, "", items)

    async def _hub(self, request: Any, context: Any) -> Hub:
        try:
            hub = self._hub_of(_node(request))
            return await hub if inspect.isawaitable(hub) else hub
        except BrokenError as error:
            await context.abort(grpc.StatusCode.INTERNAL, str(error))
            raise  # which `abort` has done


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, server: Server) -> None:
        self._handlers = {
            messages.AGGREGATED.format("Stream"): _stream_handler(server, None, delta=False),
            messages.AGGREGATED.format("Delta"): _stream_handler(server, None, delta=True),
        }
        for type_url, method in messages.SERVICES.items():
            self._handlers[method.format("Stream")] = _stream_handler(server, type_url, delta=False)
            self._handlers[method.format("Delta")] = _stream_handler(server, type_url, delta=True)
            self._handlers[method.format("Fetch")] = _fetch_handler(server, type_url)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _stream_handler(server: Server, type_url: TypeUrl | None, *, delta: bool) -> grpc.RpcMethodHandler:
    async def call(_requests: Any, context: Any) -> None:
        await server.stream(context, type_url, delta=delta)

    request = messages.DeltaDiscoveryRequest if delta else messages.DiscoveryRequest
    return grpc.stream_stream_rpc_method_handler(call, request.FromString, None)


def _fetch_handler(server: Server, type_url: TypeUrl) -> grpc.RpcMethodHandler:
    async def call(request: Any, context: Any) -> bytes:
        return await server.fetch(request, context, type_url)

    return grpc.unary_unary_rpc_method_handler(call, messages.DiscoveryRequest.FromString, None)


def _node(request: Any) -> Node:
    node = request.node
    version = node.user_agent_build_version.version
    return Node(
        node.id,
        node.cluster,
        node.user_agent_name,
        f"v{version.major_number}.{version.minor_number}.{version.patch}",
        pb.to_dict(node.metadata),
    )


def _delta_request(request: Any) -> DeltaRequest:
    return DeltaRequest(
        request.type_url,
        tuple(request.resource_names_subscribe),
        tuple(request.resource_names_unsubscribe),
        dict(request.initial_resource_versions),
        request.response_nonce,
        request.error_detail.message if request.HasField("error_detail") else None,
    )


def _state_request(request: Any) -> StateRequest:
    return StateRequest(
        request.type_url,
        tuple(request.resource_names),
        request.version_info,
        request.response_nonce,
        request.error_detail.message if request.HasField("error_detail") else None,
    )
