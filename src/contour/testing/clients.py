"""Clients that say exactly what they are told: HTTP/1 byte by byte, HTTP/2, WebSocket, TLS with any server name."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import msgspec

from contour.testing import backends

Address = tuple[str, int]
Pairs = Iterable[tuple[str, str]]

TIMEOUT = 10.0


class Response(msgspec.Struct, frozen=True):
    """Header names are in lower case; `trailers` of HTTP/2 only."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    trailers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def backend(self) -> str | None:
        """Name of the `backends.Backend` that answered."""
        return self.header("x-backend")

    @property
    def seen(self) -> backends.Seen:
        """What the backend saw."""
        return backends.seen(self.body)


def connect(
    address: Address,
    *,
    sni: str | None = None,
    context: ssl.SSLContext | None = None,
    alpn: str = "http/1.1",
    max_version: ssl.TLSVersion | None = None,
) -> socket.socket:
    """A connection; over TLS if a server name (`""`: none is sent) or a context is given. Without a context whatever
    the server shows is taken. Raises OSError (`ssl.SSLError`, `ConnectionError`) when refused.
    """
    plain = socket.create_connection(address, TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sni is None and context is None:
        return plain
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    if max_version is not None:
        context.maximum_version = max_version
    try:
        return context.wrap_socket(plain, server_hostname=sni or None)
    except BaseException:
        plain.close()
        raise


class Http1:
    """A held HTTP/1 connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._rest = b""

    def get(self, host: str | None, path: str = "/", headers: Pairs = (), *, version: str = "1.1") -> Response:
        return self.request("GET", host, path, headers, version=version)

    def request(
        self,
        method: str,
        host: str | None,
        path: str = "/",
        headers: Pairs = (),
        body: bytes = b"",
        *,
        version: str = "1.1",
    ) -> Response:
        """`host` None sends no Host header."""
        lines = [f"{method} {path} HTTP/{version}"]
        lines += [] if host is None else [f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}"] if body else []
        return self.raw("\r\n".join([*lines, "", ""]).encode() + body, head=method == "HEAD")

    def raw(self, request: bytes, *, head: bool = False) -> Response:
        """Send these bytes and read one answer. Raises ConnectionError when the server closes instead."""
        self.socket.sendall(request)
        return self._read(head)

    def websocket(self, host: str, path: str = "/", headers: Pairs = (), *, text: str = "hello") -> Response:
        """Ask for an upgrade; if it is granted, send a text and put what comes back into the body."""
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                   ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]  # fmt: skip
        answer = self.request("GET", host, path, [*upgrade, *headers])
        if answer.status != 101:
            return answer
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text.encode()))
        self.socket.sendall(bytes([0x81, 0x80 | len(masked)]) + mask + masked)
        start = self._exactly(2)
        return msgspec.structs.replace(answer, body=self._exactly(start[1]))

    def closed(self) -> bool:
        """Whether the server has closed the connection; nothing may be under way."""
        self.socket.settimeout(0)
        try:
            return self.socket.recv(1) == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read(self, head: bool) -> Response:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        start, self._rest = self._rest.split(b"\r\n\r\n", 1)
        status_line, *lines = start.decode("latin-1").split("\r\n")
        headers = tuple((name.lower(), value.strip(" \t")) for name, value in (line.split(":", 1) for line in lines))
        status, fields = int(status_line.split(" ")[1]), dict(headers)
        if head or status in (101, 204, 304):
            return Response(status, headers)
        if "content-length" in fields:
            return Response(status, headers, self._exactly(int(fields["content-length"])))
        if "chunked" in fields.get("transfer-encoding", ""):
            return Response(status, headers, self._chunks())
        return Response(status, headers, self._until_closed())

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._line(), 16):
            body += self._exactly(size)
            self._line()
        self._line()
        return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            self._more()
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line

    def _exactly(self, length: int) -> bytes:
        while len(self._rest) < length:
            self._more()
        part, self._rest = self._rest[:length], self._rest[length:]
        return part

    def _until_closed(self) -> bytes:
        try:
            while True:
                self._more()
        except ConnectionError:
            body, self._rest = self._rest, b""
            return body

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self._rest += data


class Http2:
    """A held HTTP/2 connection: requests for any authority, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self.goaway = False

    @property
    def max_streams(self) -> int:
        """How many streams the server wants at once, once it has said so."""
        return self._h2.remote_settings.max_concurrent_streams

    def get(self, authority: str, path: str = "/", headers: Pairs = ()) -> Response:
        return self.request("GET", authority, path, headers)

    def request(self, method: str, authority: str, path: str = "/", headers: Pairs = (), body: bytes = b"") -> Response:
        """Raises ConnectionError when the stream or the connection ends instead of an answer."""
        stream = self._h2.get_next_available_stream_id()
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
        self._h2.send_headers(stream, [*pseudo, *headers], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        self.socket.sendall(self._h2.data_to_send())
        return self._answer(stream)

    def wait_until_closed(self) -> None:
        """Read until the server has closed the connection."""
        while data := self.socket.recv(65536):
            events = self._h2.receive_data(data)
            self.goaway = self.goaway or any(isinstance(event, h2.events.ConnectionTerminated) for event in events)

    def grpc(self, authority: str, method: str, message: bytes, headers: Pairs = ()) -> Response:
        """A unary call: `method` is `/package.Service/Method`, `message` goes as it is behind the length prefix."""
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        return self.request(
            "POST", authority, method, [("content-type", "application/grpc"), ("te", "trailers"), *headers], framed
        )

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _answer(self, stream: int) -> Response:
        answer = _Answer()
        while not answer.ended:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            for event in self._h2.receive_data(data):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.goaway = True
                elif getattr(event, "stream_id", None) == stream:
                    answer.take(event)
                if isinstance(event, h2.events.DataReceived):
                    self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
            self.socket.sendall(self._h2.data_to_send())
        return Response(int(dict(answer.headers)[":status"]), answer.headers, answer.body, answer.trailers)


class _Answer:
    """What has arrived of one stream."""

    def __init__(self) -> None:
        self.headers: tuple[tuple[str, str], ...] = ()
        self.trailers: tuple[tuple[str, str], ...] = ()
        self.body = b""
        self.ended = False

    def take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.headers = _pairs(event.headers)
            case h2.events.TrailersReceived():
                self.trailers = _pairs(event.headers)
            case h2.events.DataReceived():
                self.body += event.data
            case h2.events.StreamReset():
                raise ConnectionResetError(f"the stream was reset: {event.error_code}")
            case h2.events.StreamEnded():
                self.ended = True


def get(address: Address, host: str | None, path: str = "/", headers: Pairs = (), *, version: str = "1.1") -> Response:
    """One request over a connection of its own."""
    with Http1(connect(address)) as client:
        return client.get(host, path, headers, version=version)


def get_tls(
    address: Address,
    sni: str,
    path: str = "/",
    headers: Pairs = (),
    *,
    host: str | None = None,
    context: ssl.SSLContext | None = None,
) -> Response:
    """One request over a TLS connection of its own; for `host` if it is to differ from the server name."""
    with Http1(connect(address, sni=sni, context=context)) as client:
        return client.get(sni if host is None else host, path, headers)


def certificate(address: Address, sni: str) -> bytes:
    """The certificate (DER) that the server shows for this name."""
    connection = connect(address, sni=sni)
    with connection:
        if not isinstance(connection, ssl.SSLSocket):
            raise TypeError("not a TLS connection")
        return connection.getpeercert(binary_form=True) or b""


def _pairs(headers: Iterable[tuple[str | bytes, str | bytes]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in headers or ())


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
