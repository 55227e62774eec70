"""Backends for tests and the demo: servers on loopback that answer with who they are and what they saw.

HTTP/1.1, HTTP/2 with prior knowledge, WebSocket (echoes its first frame) and calls that look like gRPC, on one port.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import threading
import weakref
from collections import deque
from types import TracebackType
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
import msgspec

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

Headers = list[tuple[str, str]]


class Seen(msgspec.Struct, frozen=True):
    """A request as it arrived; the answer's body is this as JSON. Header names are in lower case."""

    backend: str
    protocol: str
    method: str
    path: str
    headers: Headers
    body: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name; `host` of HTTP/2 is its `:authority`."""
        return next((value for key, value in self.headers if key == name), None)


class Backend:
    """A running server. `path` says more: `/status/503` answers 503, `/slow/200` after 200 ms, `/cookie` sets one,
    `/redirect/302?http://a.test/x` redirects.

    The next requests are answered as if they were for the paths in `planned`, whatever theirs are. `/healthy` answers
    what `health` says.
    """

    def __init__(self, name: str, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.name = name
        self.seen: list[Seen] = []
        self.planned: deque[str] = deque()
        self.health = 200
        self.extra: Headers = []  # of every answer
        self._tls = tls
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._serve, name=f"backend {name}", daemon=True)
        self._started = threading.Event()
        self.port = 0

    def start(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def stop(self) -> None:
        """Also one that has been stopped."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, self._host, 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)  # asyncio's own too: of a handshake that is under way
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for writer in self._writers:  # one over TLS that was closed waits for the other side
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = self._loop.create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(PREFACE[:16]):
                await self._http2(head, reader, writer)
            else:
                await self._http1(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        except asyncio.CancelledError:  # the end: over TLS a close would wait for the other side's
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _http1(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, path, protocol = request_line.split(" ", 2)
            headers = [(name.lower(), value.strip(" \t")) for name, value in (line.split(":", 1) for line in lines)]
            lookup = dict(headers)
            if lookup.get("upgrade", "").lower() == "websocket":
                self._note(Seen(self.name, "websocket", method, path, headers))
                await self._websocket(lookup["sec-websocket-key"], reader, writer)
                return
            body = await _body(lookup, reader)
            seen = self._note(Seen(self.name, protocol, method, path, headers, body.decode("latin-1")))
            status, extra = await self._answer(path)
            content = msgspec.json.encode(seen) + b"\n"
            answer = [f"HTTP/1.1 {status} -", f"content-length: {len(content)}", "content-type: application/json"]
            answer += [f"{name}: {value}" for name, value in [("x-backend", self.name), *extra, *self.extra]]
            writer.write("\r\n".join(answer).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else content))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")

    async def _websocket(self, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accept = base64.b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_GUID).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            f"sec-websocket-accept: {accept}\r\nx-backend: {self.name}\r\n\r\n".encode()
        )
        start = await reader.readexactly(2)  # a short masked text frame is all that the clients here send
        length = start[1] & 0x7F
        mask, masked = await reader.readexactly(4), await reader.readexactly(length)
        writer.write(bytes([0x81, length]) + bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked)))
        await writer.drain()
        await reader.read()  # until the other side is gone

    async def _http2(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        requests: dict[int, tuple[Headers, bytearray]] = {}
        answers: dict[int, asyncio.Task[None]] = {}

        async def respond(stream: int, headers: Headers, body: bytearray) -> None:
            """A slow answer holds no other stream up."""
            await self._respond(connection, stream, headers, body)
            writer.write(connection.data_to_send())

        data = head
        try:
            while data:
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        requests[event.stream_id] = ([(_text(k), _text(v)) for k, v in event.headers], bytearray())
                    elif isinstance(event, h2.events.DataReceived):
                        requests[event.stream_id][1].extend(event.data)
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        answer = respond(event.stream_id, *requests.pop(event.stream_id))
                        answers[event.stream_id] = self._loop.create_task(answer)
                    elif isinstance(event, h2.events.StreamReset) and event.stream_id in answers:
                        answers.pop(event.stream_id).cancel()
                writer.write(connection.data_to_send())
                await writer.drain()
                data = await reader.read(65536)
        finally:
            for task in answers.values():
                task.cancel()

    async def _respond(self, connection: Any, stream: int, headers: Headers, body: bytearray) -> None:
        lookup = dict(headers)
        fields = [("host" if name == ":authority" else name, value) for name, value in headers]
        seen = self._note(
            Seen(self.name, "HTTP/2", lookup[":method"], lookup[":path"],
                 [field for field in fields if not field[0].startswith(":")], body.decode("latin-1"))
        )  # fmt: skip
        if lookup.get("content-type", "").startswith("application/grpc"):
            connection.send_headers(
                stream, [(":status", "200"), ("content-type", "application/grpc"), ("x-backend", self.name)]
            )
            connection.send_data(stream, bytes(body))
            connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
            return
        status, extra = await self._answer(lookup[":path"])
        connection.send_headers(stream, [(":status", str(status)), ("x-backend", self.name), *extra, *self.extra])
        connection.send_data(stream, msgspec.json.encode(seen) + b"\n", end_stream=True)

    def _note(self, seen: Seen) -> Seen:
        self.seen.append(seen)
        return seen

    async def _answer(self, path: str) -> tuple[int, Headers]:
        if path == "/healthy":
            return self.health, []
        return await _answer(self.planned.popleft() if self.planned else path)


def server_context(
    certificate: bytes, private_key: bytes, directory: str, *, alpn: tuple[str, ...] = (), clients: bytes = b""
) -> ssl.SSLContext:
    """TLS settings of a backend; `ssl` reads certificates from files only, hence the directory. `clients`: the CA that
    they must have a certificate of.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with open(f"{directory}/chain.pem", "wb") as file:  # noqa: PTH123
        file.write(certificate + private_key)
    context.load_cert_chain(f"{directory}/chain.pem")
    if clients:
        context.load_verify_locations(cadata=clients.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def seen(body: bytes) -> Seen:
    """What the backend that sent this body saw."""
    return msgspec.convert(json.loads(body), Seen)


async def _answer(path: str) -> tuple[int, Headers]:
    before, _, query = path.partition("?")
    match before.strip("/").split("/"):
        case [*_, "redirect", code] if code.isdigit():
            return int(code), [("location", query)]
        case [*_, "status", code] if code.isdigit():
            return int(code), []
        case [*_, "slow", milliseconds] if milliseconds.isdigit():
            await asyncio.sleep(int(milliseconds) / 1000)
        case [*_, "cookie"]:
            return 200, [("set-cookie", "a=b; Path=/; Domain=origin.test")]
    return 200, []


async def _body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get("content-length", "0")))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
