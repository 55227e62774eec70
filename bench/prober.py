"""A client in a process of its own: tells when Envoy begins to answer as asked, and loads it at a steady rate.

Reads one JSON command a line, answers with one. Times are `time.monotonic()`, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

PAUSE = 0.0002
LIMIT = 10.0

_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_CONTEXT.check_hostname = False
_CONTEXT.verify_mode = ssl.CERT_NONE


class Client:
    """Requests on one connection; `sni` makes it TLS. Raises OSError."""

    def __init__(self, port: int, sni: str = "") -> None:
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), 5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sni:
            self._socket = _CONTEXT.wrap_socket(self._socket, server_hostname=sni)

    def get(self, host: str, path: str = "/") -> tuple[int, dict[str, str]]:
        """Status and headers of an answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        missing = int(headers.get("content-length", 0)) - len(body)
        while missing > 0:
            missing -= len(self._receive())
        return int(lines[0].split()[1]), headers

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        return data


def watch(port: int, host: str, status: int, header: str, tls: bool) -> dict[str, Any]:
    """Ask until the answer has the status (and X-Generation the value); tells when, and what else was answered."""
    others: Counter[str] = Counter()
    deadline = time.monotonic() + LIMIT
    client = None
    while time.monotonic() < deadline:
        try:
            client = client or Client(port, host if tls else "")
            answer, headers = client.get(host)
        except OSError:
            client, answer, headers = None, 0, {}
        now = time.monotonic()
        if answer == status and (not header or headers.get("x-generation") == header):
            if client:
                client.close()
            return {"at": now, "others": others}
        others[str(answer)] += 1
        time.sleep(PAUSE)
    return {"at": None, "others": others}


class Load:
    """Requests at a steady rate, to one host after the other, until it is stopped; counts what was answered."""

    def __init__(self, port: int, hosts: list[str], rate: int) -> None:
        self._answers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port, hosts, rate))
        self._thread.start()

    def stop(self) -> dict[str, int]:
        self._stop.set()
        self._thread.join()
        return dict(self._answers)

    def _run(self, port: int, hosts: list[str], rate: int) -> None:
        client = None
        due = time.monotonic()
        for host in itertools.cycle(hosts):
            if self._stop.is_set():
                return
            try:
                client = client or Client(port)
                self._answers[str(client.get(host)[0])] += 1
            except OSError as error:
                self._answers[type(error).__name__] += 1
                client = None
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))


def backend() -> int:
    """An HTTP server for all hosts, on every loopback address; returns its port."""
    listener = socket.create_server(("", 0), backlog=512)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            for _ in _requests(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def _requests(connection: socket.socket) -> Iterator[None]:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        while b"\r\n\r\n" in data:
            _, _, data = data.partition(b"\r\n\r\n")
            yield


def main() -> None:
    sys.setswitchinterval(0.0002)  # client and backend share this process: neither is to wait 5 ms for the other
    load: Load | None = None
    print(json.dumps({"backend": backend()}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        match command.pop("do"):
            case "watch":
                answer = watch(**command)
            case "load":
                load, answer = Load(**command), {}
            case "unload":
                answer = load.stop() if load else {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
