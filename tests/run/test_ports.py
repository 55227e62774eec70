"""Ports for the programs of tests: two processes that ask at once get none in common."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from contour.testing.ports import free_port

ASK = "from contour.testing.ports import free_port; print(*(free_port() for _ in range(100))); input()"


def test_two_processes_get_different_ports() -> None:
    asked = [
        subprocess.Popen([sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = ({*process.stdout.readline().split()} for process in asked if process.stdout)
    for process in asked:
        process.communicate("\n")
    assert len(first) == len(second) == 100
    assert not first & second


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_listens_is_not_free(family: socket.AddressFamily, address: str) -> None:
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    with socket.create_server((address, port), family=family):
        assert port not in {free_port() for _ in range(250)}  # once round
