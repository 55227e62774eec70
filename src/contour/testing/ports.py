"""TCP ports of loopback for programs that cannot be told port 0."""

from __future__ import annotations

import errno
import functools
import itertools
import secrets
import socket
from collections.abc import Iterator

# Below the ports that the kernel gives to clients: none of them takes a port until the program has begun to listen.
_BLOCKS = range(12_000, 32_000, 250)


def free_port() -> int:
    """A port that is free on both addresses of loopback and that no other process gets from here meanwhile.

    Prefer port 0 and `Envoy.address` where possible. Raises OSError when there is none.
    """
    _, ports = _own_block()
    for port in itertools.islice(ports, _BLOCKS.step):
        if _is_free(socket.AF_INET, "127.0.0.1", port) and _is_free(socket.AF_INET6, "::1", port):
            return port
    raise OSError("each port of this process's block is taken")


@functools.cache
def _own_block() -> tuple[socket.socket, Iterator[int]]:
    """What holds a block of ports for this process, and its other ports, round and round.

    Who has bound a block's first port has the block. Envoys share a port rather than fail (SO_REUSEPORT): of two
    tests with the same port each would see answers of the other.
    """
    first = secrets.randbelow(len(_BLOCKS))
    for start in (*_BLOCKS[first:], *_BLOCKS[:first]):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", start))
        except OSError:
            holder.close()
            continue
        return holder, itertools.cycle(range(start + 1, start + _BLOCKS.step))
    raise OSError("each block of ports is taken")


def _is_free(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.bind((address, port))
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # a machine without IPv6 has no ::1
    return True
