"""A DNS server on loopback that knows a few names (RFC 1035 §4.1): for upstreams that Envoy has to look up."""

from __future__ import annotations

import ipaddress
import socketserver
import struct
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHHIH")  # name, type, class, time to live, length of the data
_POINTER_TO_QUESTION = 0xC000 | _HEADER.size
_ANSWER, _RECURSION_DESIRED, _NO_SUCH_NAME = 0x8000, 0x0100, 3
_A, _AAAA, _INTERNET = 1, 28, 1
_TTL = 0


class Names:
    """`addresses`: name in lower case -> its one address. All others do not exist. `asked`: the names, in order."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        self.asked: list[str] = []
        self._server = socketserver.UDPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="names", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        names = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                packet, socket = self.request
                socket.sendto(names.answer(packet), self.client_address)

        return Handler

    def answer(self, packet: bytes) -> bytes:
        identity, flags, *_ = _HEADER.unpack_from(packet)
        labels, at = [], _HEADER.size
        while length := packet[at]:
            labels.append(packet[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        (kind,) = struct.unpack_from("!H", packet, at + 1)
        question = packet[_HEADER.size : at + 5]
        name = ".".join(labels)
        self.asked.append(name)
        found = self.addresses.get(name)
        address = ipaddress.ip_address(found) if found else None
        answers = b""
        if address is not None and kind == (_A if address.version == 4 else _AAAA):
            data = address.packed
            answers = _RECORD.pack(_POINTER_TO_QUESTION, kind, _INTERNET, _TTL, len(data)) + data
        code = 0 if found else _NO_SUCH_NAME
        header = _HEADER.pack(identity, _ANSWER | (flags & _RECURSION_DESIRED) | code, 1, 1 if answers else 0, 0, 0)
        return header + question + answers
