"""The listeners for metrics and health, asked over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from contour.control.health import Pages
from contour.control.settings import Endpoint
from contour.testing.certs import Authority
from contour.testing.ports import free_port


async def ask(address: Endpoint, path: str, header: str = "", **tls: Any) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(address.address, address.port, **tls)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{header}\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


class Answers:
    def __init__(self) -> None:
        self.error: str | None = None

    async def check(self) -> str | None:
        return self.error

    def exposition(self) -> bytes:
        return b"contour_build_info 1\n"


def loopback() -> Endpoint:
    return Endpoint("127.0.0.1", free_port())


async def test_one_listener_for_both() -> None:
    answers, address = Answers(), loopback()
    pages = Pages(answers.check, answers.exposition)
    await pages.start(address, address)
    try:
        for path in ("/health", "/healthz"):
            assert await ask(address, path) == (200, "OK\n")
        assert await ask(address, "/metrics") == (200, "contour_build_info 1\n")
        assert (await ask(address, "/other"))[0] == 404
        answers.error = "no connection"
        assert await ask(address, "/healthz") == (503, "Failed Kubernetes Check: no connection\n")
        assert (await ask(address, "/healthz", f"X: {'x' * 5000}\r\n"))[0] == 400
    finally:
        await pages.stop()


async def test_a_listener_for_each() -> None:
    answers, health, metrics = Answers(), loopback(), loopback()
    pages = Pages(answers.check, answers.exposition)
    await pages.start(health, metrics)
    try:
        assert (await ask(health, "/healthz"))[0] == 200
        assert (await ask(health, "/metrics"))[0] == 404
        assert (await ask(metrics, "/metrics"))[0] == 200
        assert (await ask(metrics, "/healthz"))[0] == 404
    finally:
        await pages.stop()


async def test_an_address_that_is_taken_is_an_error() -> None:
    answers, address = Answers(), loopback()
    first, second = (Pages(answers.check, answers.exposition) for _ in range(2))
    await first.start(address, address)
    try:
        with pytest.raises(OSError, match="address already in use"):
            await second.start(address, address)
    finally:
        await second.stop()
        await first.stop()


async def test_tls_follows_its_files_and_asks_for_a_certificate(tmp_path: Path) -> None:
    old, new, clients = Authority(), Authority(), Authority()
    files = {name: tmp_path / name for name in ("tls.crt", "tls.key", "ca.crt", "client.crt", "client.key")}

    def rotate(authority: Authority) -> ssl.SSLContext:
        pair, client = authority.sign("localhost"), clients.sign("prometheus", client=True)
        for name, content in (
            ("tls.crt", pair.certificate), ("tls.key", pair.private_key), ("ca.crt", clients.certificate),
            ("client.crt", client.certificate), ("client.key", client.private_key),
        ):  # fmt: skip
            files[name].write_bytes(content)
        context = authority.client_context()
        context.load_cert_chain(files["client.crt"], files["client.key"])
        return context

    context = rotate(old)
    answers, health, port = Answers(), loopback(), free_port()
    metrics = Endpoint("127.0.0.1", port, *(str(files[name]) for name in ("ca.crt", "tls.crt", "tls.key")))
    pages = Pages(answers.check, answers.exposition)
    await pages.start(health, metrics)
    try:
        secure = {"server_hostname": "localhost"}
        assert (await ask(metrics, "/metrics", ssl=context, **secure))[0] == 200
        context = rotate(new)
        assert (await ask(metrics, "/metrics", ssl=context, **secure))[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            await ask(metrics, "/metrics", ssl=new.client_context(), **secure)
    finally:
        await pages.stop()
