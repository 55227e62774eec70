"""A network of a test's own, in which every 10.244.x.y is this machine.

EndpointSlices of a real API server may not name loopback addresses (its validation), so "pods" need other ones, and
traffic to those may not leave the machine: in here nothing but loopback exists.

The namespace has no name and no mount: the kernel removes it when the last process and the last descriptor of it are
gone, however they go. Entering is a matter of one thread (setns(2)); what it starts meanwhile, threads and processes,
begins inside and stays there, and sockets stay where they were made.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

PODS = "10.244.0.0/16"

_CLONE_NEWNET = 0x40000000  # <sched.h>
_SELF = "/proc/thread-self/ns/net"
_SETUP = (("ip", "link", "set", "lo", "up"), ("ip", "route", "add", "local", PODS, "dev", "lo"))


class NetworkError(Exception):
    """A network namespace cannot be had here; the text says why."""


class Network:
    """A network namespace with loopback and the pods' addresses. Raises NetworkError."""

    def __init__(self) -> None:
        if shutil.which("ip") is None:
            raise NetworkError("no `ip` command (Debian package iproute2)")
        try:
            outside = os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetworkError(f"no network namespaces on this system: {error}") from error
        try:
            try:
                _check(_LIBC.unshare(_CLONE_NEWNET))
            except OSError as error:
                raise NetworkError(f"a network namespace needs root (CAP_SYS_ADMIN): {error}") from error
            try:
                for command in _SETUP:
                    subprocess.run(command, check=True, capture_output=True, text=True)
                self._inside = os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)
            except subprocess.CalledProcessError as error:
                raise NetworkError(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from error
            finally:
                _check(_LIBC.setns(outside, _CLONE_NEWNET))
        finally:
            os.close(outside)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside until the block ends."""
        outside = os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_LIBC.setns(self._inside, _CLONE_NEWNET))
            try:
                yield
            finally:
                _check(_LIBC.setns(outside, _CLONE_NEWNET))
        finally:
            os.close(outside)

    def close(self) -> None:
        os.close(self._inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


# `os.setns` and `os.unshare` came with Python 3.12.
_LIBC = ctypes.CDLL(None, use_errno=True)
