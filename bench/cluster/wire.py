"""Requests to the API server at little cost: one TLS connection, bytes out, an answer and the moment it came."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import yaml


class Answer(NamedTuple):
    status: int
    at: float
    body: bytes


class RefusedError(Exception):
    """The API server answered with an error."""


class Wire:
    """One connection, one thread. Raises OSError when nobody answers."""

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster = content["clusters"][0]["cluster"]
        url = urlsplit(cluster["server"])
        self._address = (url.hostname or "", url.port or 443)
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        token = content["users"][0]["user"]["token"]
        self._fixed = f"Host: {url.netloc}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        self._connect()

    def post(self, path: str, body: bytes) -> Answer:
        return self._good(self.send("POST", path, body))

    def patch(self, path: str, body: Any) -> Answer:
        """A merge patch."""
        return self._good(self.send("PATCH", path, json.dumps(body).encode(), "application/merge-patch+json"))

    def get(self, path: str) -> Any:
        return json.loads(self._good(self.send("GET", path)).body)

    def list(self, path: str) -> tuple[list[Any], str]:
        """All objects, in pages: a server takes too long for 10,000 at once. The version is for a watch."""
        items: list[Any] = []
        more = ""
        while True:
            page = self.get(f"{path}?limit=500{more and f'&continue={more}'}")
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            more = quote(token)

    def delete(self, path: str) -> Answer:
        return self._good(self.send("DELETE", path))

    def watch(self, path: str, resource_version: str) -> Iterator[bytes]:
        """Events as lines until `close`, from another thread, ends it."""
        self._send("GET", f"{path}{'&' if '?' in path else '?'}watch=true&resourceVersion={resource_version}", b"", "")
        self._head()
        buffer = b""
        try:
            while chunk := self._chunk():
                *lines, buffer = (buffer + chunk).split(b"\n")
                yield from lines
        except (OSError, ValueError):
            return

    def send(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> Answer:
        try:
            self._send(method, path, body, content_type)
            status, length = self._head()
        except ConnectionError:  # the server ends connections that were idle for long
            self.renew()
            self._send(method, path, body, content_type)
            status, length = self._head()
        at = time.monotonic()
        content = b""
        if length is not None:
            content = self._file.read(length)
        else:
            while chunk := self._chunk():
                content += chunk
        return Answer(status, at, content)

    def renew(self) -> None:
        """Another connection: nothing of what was under way comes any more."""
        self.close()
        self._connect()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        plain = socket.create_connection(self._address, 60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = self._context.wrap_socket(plain, server_hostname=self._address[0])
        self._file = self._socket.makefile("rb")

    def _send(self, method: str, path: str, body: bytes, content_type: str) -> None:
        typed = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{self._fixed}{typed}\r\n".encode() + body)

    def _head(self) -> tuple[int, int | None]:
        """Status and length; None: it comes in chunks."""
        line = self._file.readline()
        if not line:
            raise ConnectionResetError("the API server closed the connection")
        status, length = int(line.split()[1]), None
        while (line := self._file.readline()) not in {b"\r\n", b""}:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, length

    def _chunk(self) -> bytes:
        size = int(self._file.readline() or b"0", 16)
        data = self._file.read(size)
        self._file.readline()
        return data

    @staticmethod
    def _good(answer: Answer) -> Answer:
        if answer.status >= 300:
            raise RefusedError(f"{answer.status}: {answer.body.decode(errors='replace')[:500]}")
        return answer
