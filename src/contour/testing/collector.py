"""A collector of traces that speaks OTLP over gRPC, for tests and the example: it keeps, or prints, what it is sent.

python -m contour.testing.collector --port 4317
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from contour.testing.grpcserver import GrpcServer

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Span(msgspec.Struct, frozen=True):
    """Identifiers in hexadecimal digits, as in a `traceparent` header; `parent` is "" for the first of a trace."""

    service: str
    trace: str
    span: str
    parent: str
    name: str
    tags: dict[str, str]


class Collector(GrpcServer):
    """A running server; `spans` holds all that it was sent."""

    def __init__(self, *, port: int = 0, received: Callable[[Span], None] = lambda _: None) -> None:
        self.spans: list[Span] = []
        self._received = received
        self._news = threading.Condition()
        super().__init__(_SERVICE, "Export", self._export, ExportTraceServiceRequest.FromString, port=port)

    def find(self, wanted: Callable[[Span], bool], *, timeout: float = 20) -> Span:
        """The first span like this, now or later. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: any(map(wanted, self.spans)), timeout):
                raise TimeoutError(f"no such span among {self.spans}")
            return next(filter(wanted, self.spans))

    def _export(self, request: ExportTraceServiceRequest, _: grpc.ServicerContext) -> ExportTraceServiceResponse:
        found = list(_spans(request))
        with self._news:
            self.spans += found
            self._news.notify_all()
        for span in found:
            self._received(span)
        return ExportTraceServiceResponse()


def _spans(request: ExportTraceServiceRequest) -> Iterable[Span]:
    for part in request.resource_spans:
        service = _tags(part.resource.attributes).get("service.name", "")
        for scope in part.instrumentation_library_spans:  # since renamed to scope_spans, the same on the wire
            for span in scope.spans:
                yield Span(
                    service,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    _tags(span.attributes),
                )


def _tags(attributes: Any) -> dict[str, str]:
    return {one.key: str(getattr(one.value, one.value.WhichOneof("value") or "string_value")) for one in attributes}


def main() -> None:
    parser = argparse.ArgumentParser(description="A collector of traces for the example.")
    parser.add_argument("--port", type=int, default=4317)
    with Collector(port=parser.parse_args().port, received=lambda span: print(span, flush=True)) as server:
        print(f"listening on 127.0.0.1:{server.port}", flush=True)
        server.wait()


if __name__ == "__main__":
    main()
