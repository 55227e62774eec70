"""An issuer of JSON Web Tokens, and the server that publishes its keys (RFC 7515, RFC 7517, RFC 7519)."""

from __future__ import annotations

import argparse
import base64
import http.server
import json
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_BYTES = 32  # of a number of P-256


class Issuer:
    """Signs with one ES256 key, which its key set publishes."""

    def __init__(self, name: str = "https://issuer.test", key_id: str = "one") -> None:
        self.name = name
        self.key_id = key_id
        self._key = ec.generate_private_key(ec.SECP256R1())

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A signed token; `iss` is the issuer's name unless it is given (None: left out)."""
        head = {"alg": "ES256", "typ": "JWT", "kid": self.key_id, **(header or {})}
        body = {name: value for name, value in {"iss": self.name, **claims}.items() if value is not None}
        signed = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(body).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{encoded(_number(r) + _number(s))}"

    def key_set(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id,
            "x": encoded(_number(numbers.x)), "y": encoded(_number(numbers.y)),
        }  # fmt: skip
        return json.dumps({"keys": [key]}).encode()


class JwksServer:
    """Publishes a key set at every path, on loopback. `key_set` may be changed; `fetched` holds the paths asked for."""

    def __init__(self, key_set: bytes, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.key_set = key_set
        self.fetched: list[str] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="jwks", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self) -> None:
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def encoded(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Server(http.server.ThreadingHTTPServer):
    owner: JwksServer
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate breaks the handshake off: nothing to report."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.fetched.append(self.path)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(owner.key_set)))
        self.end_headers()
        self.wfile.write(owner.key_set)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence: `fetched` says it."""


def main() -> None:
    parser = argparse.ArgumentParser(description="The issuer of the example: serves its keys, prints a token.")
    parser.add_argument("--port", type=int, default=9444)
    issuer = Issuer("https://issuer.example")
    with JwksServer(issuer.key_set(), port=parser.parse_args().port) as server:
        print(f"keys: http://localhost:{server.port}/keys", flush=True)
        print(f"token: {issuer.token(aud='shop')}", flush=True)
        server.wait()


def _number(value: int) -> bytes:
    return value.to_bytes(_BYTES, "big")


if __name__ == "__main__":
    main()
