"""Listeners with the settings that all of them share (httpproxy.md §4.10; operations.md §7.2)."""

from __future__ import annotations

from collections.abc import Iterable

from contour.envoy import pb
from contour.envoy.options import Options
from contour.envoy.pieces import field

_FILTER_CHAINS = pb.Listener.FILTER_CHAINS_FIELD_NUMBER

# Numbers are Linux's: Envoy runs there, whatever the machine is that writes its configuration.
_SOL_SOCKET, _SO_KEEPALIVE = 1, 9
_IPPROTO_TCP, _TCP_KEEPIDLE, _TCP_KEEPINTVL, _TCP_KEEPCNT = 6, 4, 5, 6


def _socket_option(description: str, level: int, name: int, value: int) -> pb.SocketOption:
    return pb.SocketOption(
        description=description, level=level, name=name, int_value=value, state=pb.SocketOption.STATE_LISTENING
    )


KEEPALIVE = (
    _socket_option("Enable TCP keep-alive", _SOL_SOCKET, _SO_KEEPALIVE, 1),
    _socket_option("TCP keep-alive initial idle time", _IPPROTO_TCP, _TCP_KEEPIDLE, 45),
    _socket_option("TCP keep-alive time between probes", _IPPROTO_TCP, _TCP_KEEPINTVL, 5),
    _socket_option("TCP keep-alive probe count", _IPPROTO_TCP, _TCP_KEEPCNT, 9),
)

_PROXY_PROTOCOL = pb.ListenerFilter(
    name="envoy.filters.listener.proxy_protocol", typed_config=pb.pack(pb.ProxyProtocol())
)
_TLS_INSPECTOR = pb.ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pb.pack(pb.TlsInspector()))


def listener(
    name: str, address: str, port: int, filter_chains: Iterable[pb.FilterChain], options: Options, *, tls: bool
) -> pb.Listener:
    """`tls`: the listener looks at the server name before it chooses a filter chain."""
    return pb.Listener(
        name=name,
        address=socket_address(address, port),
        filter_chains=filter_chains,
        # PROXY's header stands before the TLS handshake.
        listener_filters=[
            *([_PROXY_PROTOCOL] if options.use_proxy_protocol else ()),
            *([_TLS_INSPECTOR] if tls else ()),
        ],
        socket_options=KEEPALIVE,
    )


def encoded_listener(
    name: str, address: str, port: int, filter_chains: Iterable[bytes], options: Options, *, tls: bool
) -> bytes:
    """The same from filter chains that are serialised already: one join, whatever their number."""
    head = pb.serialize(listener(name, address, port, (), options, tls=tls))
    return b"".join([head, *(field(_FILTER_CHAINS, body) for body in filter_chains)])


def socket_address(address: str, port: int) -> pb.Address:
    # `::` alone would take IPv6 only.
    return pb.Address(socket_address=pb.SocketAddress(address=address, port_value=port, ipv4_compat=address == "::"))
