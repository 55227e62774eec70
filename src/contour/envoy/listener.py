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
_IPPROTO_IP, _IP_TOS = 0, 1
_IPPROTO_IPV6, _IPV6_TCLASS = 41, 67


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


def listener(
    name: str,
    address: str,
    port: int,
    filter_chains: Iterable[pb.FilterChain],
    options: Options,
    *,
    tls: bool,
    any_family: bool = False,
) -> pb.Listener:
    """`tls`: the listener looks at the server name before it chooses a filter chain.

    `any_family`: with socket options that a socket of the address's family does not know, as in the reference. Envoy
    does not open such a listener.
    """
    message = pb.Listener(
        name=name,
        address=socket_address(address, port),
        filter_chains=filter_chains,
        # PROXY's header stands before the TLS handshake.
        listener_filters=[
            *([_PROXY_PROTOCOL] if options.use_proxy_protocol else ()),
            *([_tls_inspector(options)] if tls else ()),
        ],
        socket_options=[*KEEPALIVE, *_traffic_classes(options, ipv6=any_family or ":" in address)],
    )
    if options.exact_balance:
        message.connection_balance_config.exact_balance.SetInParent()
    if options.buffer_limit:
        message.per_connection_buffer_limit_bytes.value = options.buffer_limit
    if options.max_accepts_per_socket_event:
        message.max_connections_to_accept_per_socket_event.value = options.max_accepts_per_socket_event
    return message


def _tls_inspector(options: Options) -> pb.ListenerFilter:
    inspector = pb.TlsInspector()
    if options.ja3:
        inspector.enable_ja3_fingerprinting.value = True
    if options.ja4:
        inspector.enable_ja4_fingerprinting.value = True
    return pb.ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pb.pack(inspector))


def _traffic_classes(options: Options, *, ipv6: bool) -> Iterable[pb.SocketOption]:
    if options.tos:
        yield _socket_option("Set IPv4 TOS field", _IPPROTO_IP, _IP_TOS, options.tos)
    if options.traffic_class and ipv6:
        yield _socket_option("Set IPv6 Traffic Class field", _IPPROTO_IPV6, _IPV6_TCLASS, options.traffic_class)


def encoded_listener(
    name: str,
    address: str,
    port: int,
    filter_chains: Iterable[bytes],
    options: Options,
    *,
    tls: bool,
    any_family: bool = False,
) -> bytes:
    """The same from filter chains that are serialised already: one join, whatever their number."""
    head = pb.serialize(listener(name, address, port, (), options, tls=tls, any_family=any_family))
    return b"".join([head, *(field(_FILTER_CHAINS, body) for body in filter_chains)])


def socket_address(address: str, port: int) -> pb.Address:
    # `::` alone would take IPv6 only.
    return pb.Address(socket_address=pb.SocketAddress(address=address, port_value=port, ipv4_compat=address == "::"))
