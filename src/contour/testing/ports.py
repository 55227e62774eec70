"""TCP ports of loopback for programs that cannot be told port 0."""

from __future__ import annotations

import contextlib
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
    for port in itertools.islice(_own_ports(), _BLOCKS.step):
        if _is_free(socket.AF_INET, "127.0.0.1", port) and _is_free(socket.AF_INET6, "::1", port):
            return port
    raise OSError("each port of this process's block is taken")


@functools.cache
def _own_ports() -> Iterator[int]:
    """The ports of a block that is this process's own until it ends, round and round.

    Who has bound a block's first port has the block. Envoys share a port rather than fail (SO_REUSEPORT): of two
    tests with the same port each would see answers of the other.
    """
    first = secrets.randbelow(len(_BLOCKS))
    for start in (*_BLOCKS[first:], *_BLOCKS[:first]):
        with socket.socket() as holder, contextlib.suppress(OSError):
            holder.bind(("127.0.0.1", start))
            holder.detach()  # the descriptor stays open
            return itertools.cycle(range(start + 1, start + _BLOCKS.step))
    raise OSError("each block of ports is taken")


def _is_free(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.bind((address, port))
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # a machine without IPv6 has no ::1
    return True
