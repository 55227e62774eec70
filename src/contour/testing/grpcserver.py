"""A gRPC service of one method, for tests and the examples."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc

from contour.testing.certs import Pair


class GrpcServer:
    """On `port` of loopback from the start on, and answering between `start` and `stop`, or as a context manager."""

    def __init__(
        self,
        service: str,
        method: str,
        call: Callable[[Any, grpc.ServicerContext], Any],
        decode: Callable[[bytes], Any],
        *,
        port: int = 0,
        tls: Pair | None = None,
        clients: bytes | None = None,
    ) -> None:
        """`tls`: what it shows; `clients`: the authority (PEM) of those that may ask it."""
        self._server = grpc.server(ThreadPoolExecutor(4, thread_name_prefix=method))
        handler = grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=decode, response_serializer=lambda answer: answer.SerializeToString()
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        address = f"127.0.0.1:{port}"
        if tls is None:
            self.port = self._server.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials(
                [(tls.private_key, tls.certificate)], clients, require_client_auth=clients is not None
            )
            self.port = self._server.add_secure_port(address, credentials)

    def start(self) -> Self:
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def wait(self) -> None:
        self._server.wait_for_termination()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
