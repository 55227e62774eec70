"""All the pods: one server on every address of this machine, a process of its own. It answers with the pod's address."""

from __future__ import annotations

import asyncio

from bench.cluster.workload import PORT


class Pod(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""
        pod = transport.get_extra_info("sockname")[0]
        self._answer = f"HTTP/1.1 200 OK\r\nx-pod: {pod}\r\ncontent-length: 2\r\n\r\nok".encode()

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if requests:
            self._transport.write(self._answer * len(requests))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Pod, "0.0.0.0", PORT, backlog=1024)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
