"""An external authorization server that speaks gRPC, for tests and the example; one that speaks HTTP is a `Backend`.

    python -m contour.testing.authorization --port 9443

lets requests with `authorization: Bearer let-me-in` pass, tells their upstream who it is, and answers 401 to others.
"""
# ruff: noqa: TID251 - a server of Envoy's protocol, not a part of what is sent to Envoy

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import grpc
import msgspec
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse

from contour.testing.certs import Pair
from contour.testing.grpcserver import GrpcServer

_SERVICE = "envoy.service.auth.v3.Authorization"
_OK, _PERMISSION_DENIED = 0, 7  # gRPC status codes

Pairs = tuple[tuple[str, str], ...]


class Check(msgspec.Struct, frozen=True):
    """What the server is asked. Header names are in lower case."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    context: dict[str, str]
    body: str = ""
    raw_body: bytes = b""
    certificate: str = ""  # of the client, as Envoy encodes it


class Allow(msgspec.Struct, frozen=True):
    """`headers` are set in the request, `remove` taken out of it; `response_headers` are set in the answer.

    `action`: how headers are set, in place of overwriting: `APPEND`, or a name of `HeaderValueOption.HeaderAppendAction`.
    """

    headers: Pairs = ()
    remove: tuple[str, ...] = ()
    response_headers: Pairs = ()
    action: str = ""


class Deny(msgspec.Struct, frozen=True):
    status: int = 403
    body: str = ""
    headers: Pairs = ()


class Fail(msgspec.Struct, frozen=True):
    """The call itself fails."""


class Authorizer(GrpcServer):
    """A running server. `decide` may be exchanged at any time; `checks` holds all that was asked."""

    def __init__(
        self,
        decide: Callable[[Check], Allow | Deny | Fail] = lambda _: Allow(),
        *,
        port: int = 0,
        tls: Pair | None = None,
        clients: bytes | None = None,
    ) -> None:
        """`tls`: what it shows; `clients`: the authority (PEM) of those that may ask it."""
        self.decide = decide
        self.checks: list[Check] = []
        super().__init__(_SERVICE, "Check", self._check, CheckRequest.FromString, port=port, tls=tls, clients=clients)

    def _check(self, request: CheckRequest, context: grpc.ServicerContext) -> CheckResponse:
        http = request.attributes.request.http
        check = Check(
            method=http.method,
            host=http.host,
            path=http.path,
            headers=dict(http.headers),
            context=dict(request.attributes.context_extensions),
            body=http.body,
            raw_body=http.raw_body,
            certificate=request.attributes.source.certificate,
        )
        self.checks.append(check)
        answer = self.decide(check)
        if isinstance(answer, Allow):
            return _allowed(answer)
        if isinstance(answer, Deny):
            return _denied(answer)
        raise context.abort(grpc.StatusCode.UNAVAILABLE, "as asked for")


def _allowed(answer: Allow) -> CheckResponse:
    message = CheckResponse(ok_response=OkHttpResponse(headers_to_remove=answer.remove))
    message.status.code = _OK
    _add(message.ok_response.headers, answer.headers, answer.action)
    _add(message.ok_response.response_headers_to_add, answer.response_headers)
    return message


def _denied(answer: Deny) -> CheckResponse:
    message = CheckResponse(denied_response=DeniedHttpResponse(body=answer.body))
    message.status.code = _PERMISSION_DENIED
    message.denied_response.status.code = answer.status  # type: ignore[assignment]  # any number is one
    _add(message.denied_response.headers, answer.headers)
    return message


def _add(options: Any, headers: Pairs, action: str = "") -> None:
    for key, value in headers:
        option = options.add()
        option.header.key, option.header.value = key, value
        if action in ("", "APPEND"):
            option.append.value = bool(action)
        else:
            option.append_action = HeaderValueOption.HeaderAppendAction.Value(action)


def bearer(check: Check) -> Allow | Deny:
    """The rule of the example."""
    if check.headers.get("authorization") == "Bearer let-me-in":
        return Allow(headers=(("x-user", "you"),))
    return Deny(401, "who are you?\n", (("www-authenticate", "Bearer"),))


def slow(seconds: float) -> Callable[[Check], Allow]:
    """Allows everything, late."""

    def decide(_: Check) -> Allow:
        time.sleep(seconds)
        return Allow()

    return decide


def main() -> None:
    parser = argparse.ArgumentParser(description="An external authorization server for the example.")
    parser.add_argument("--port", type=int, default=9443)
    with Authorizer(bearer, port=parser.parse_args().port) as server:
        print(f"listening on 127.0.0.1:{server.port}", flush=True)
        server.wait()


if __name__ == "__main__":
    main()
