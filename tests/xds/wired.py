"""A served hub and a gRPC client of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio

from contour.envoy.resource import TypeUrl
from contour.xds.hub import Hub
from contour.xds.messages import (
    AGGREGATED,
    SERVICES,
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from contour.xds.server import HubOf, Observer, Server


@asynccontextmanager
async def serving(hub: Hub | HubOf, directory: Path, observer: Observer | None = None):
    """Yields the address of the server's Unix socket."""
    server = Server(hub if callable(hub) else lambda _node: hub, observer)
    address = f"unix:{directory / 'xds.sock'}"
    server.listen(address, None)
    await server.start()
    try:
        yield address
    finally:
        await server.stop()


@asynccontextmanager
async def connected(address: str, credentials: grpc.ChannelCredentials | None = None):
    options = (("grpc.ssl_target_name_override", "contour"), ("grpc.max_receive_message_length", -1))
    if credentials is None:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        channel = grpc.aio.secure_channel(address, credentials, options=options)
    try:
        yield channel
    finally:
        await channel.close()


def delta(channel: grpc.aio.Channel, service: TypeUrl | None = None):
    method = SERVICES[service] if service else AGGREGATED
    return channel.stream_stream(
        method.format("Delta"), DeltaDiscoveryRequest.SerializeToString, DeltaDiscoveryResponse.FromString
    )()


def state(channel: grpc.aio.Channel, service: TypeUrl | None = None):
    method = SERVICES[service] if service else AGGREGATED
    return channel.stream_stream(
        method.format("Stream"), DiscoveryRequest.SerializeToString, DiscoveryResponse.FromString
    )()


def fetch(channel: grpc.aio.Channel, service: TypeUrl):
    return channel.unary_unary(
        SERVICES[service].format("Fetch"), DiscoveryRequest.SerializeToString, DiscoveryResponse.FromString
    )
