"""Whether addresses can be listened on, asked before Envoy is: its listeners share a port that another Envoy has."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import NamedTuple

_ANY = frozenset(("0.0.0.0", "::"))


class PortError(Exception):
    """An address cannot be listened on; the text names it and the flag that changes it."""


class Wanted(NamedTuple):
    address: str
    port: int
    flag: str


def check(wanted: Iterable[Wanted]) -> None:
    """Raises PortError for the first address that is taken, twice wanted, or not ours to take."""
    seen: list[Wanted] = []
    for address, port, flag in wanted:
        for other in seen:
            if port == other.port and (address == other.address or not _ANY.isdisjoint((address, other.address))):
                raise PortError(f"port {port} is given twice, by {other.flag} and {flag}")
        seen.append(Wanted(address, port, flag))
        try:
            with _bound(address, port):
                pass
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortError(f"port {port} is taken by another program: choose another one with {flag}") from error
            if error.errno == errno.EACCES:
                raise PortError(f"port {port} may not be used by this user: choose one with {flag}") from error
            raise PortError(
                f"cannot listen on {address} port {port} ({flag}): {os.strerror(error.errno or 0)}"
            ) from error


def free(address: str) -> int:
    """A port that nobody listens on now."""
    with _bound(address, 0) as probe:
        return int(probe.getsockname()[1])


def _bound(address: str, port: int) -> socket.socket:
    """Without SO_REUSEPORT, which would let us in beside somebody else.

    With SO_REUSEADDR: old connections of a listener that is gone are no obstacle to Envoy either.
    """
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen(1)
    except OSError:
        probe.close()
        raise
    return probe
