from __future__ import annotations

import socket

import pytest

from contour.control import ports
from contour.control.ports import PortError, Wanted


def test_free_ports_are_accepted() -> None:
    one, two = ports.free("127.0.0.1"), ports.free("127.0.0.1")
    ports.check([Wanted("0.0.0.0", one, "--a"), Wanted("127.0.0.1", two, "--b")])


@pytest.mark.parametrize("reuse", [False, True])
def test_a_taken_port_names_port_and_flag(reuse: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=reuse) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"port {port} is taken by another program: choose another one with --b"):
            ports.check([Wanted("0.0.0.0", port, "--b")])


def test_a_port_given_twice() -> None:
    port = ports.free("127.0.0.1")
    with pytest.raises(PortError, match=f"port {port} is given twice, by --a and --b"):
        ports.check([Wanted("127.0.0.1", port, "--a"), Wanted("127.0.0.1", port, "--b")])


def test_a_port_on_two_addresses() -> None:
    port = ports.free("127.0.0.1")
    ports.check([Wanted("127.0.0.1", port, "--a"), Wanted("127.0.0.2", port, "--b")])
    with pytest.raises(PortError, match=f"port {port} is given twice, by --b and --c"):
        ports.check([Wanted("127.0.0.2", port, "--b"), Wanted("0.0.0.0", port, "--c")])


def test_an_address_of_another_machine() -> None:
    with pytest.raises(PortError, match=r"cannot listen on 192\.0\.2\.1 port .* \(--a\): Cannot assign"):
        ports.check([Wanted("192.0.2.1", 8080, "--a")])
