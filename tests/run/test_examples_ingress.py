"""The examples of Ingress and IngressRoute, served as they stand but for the ports of their backends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from contour.testing.backends import Backend
from contour.testing.clients import Http1, connect, get
from contour.testing.running import Running

ROOT = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.traffic


def copied(name: str, to: Path, ports: Mapping[int, Backend]) -> Path:
    for file in (ROOT / name).glob("*.yaml"):
        text = file.read_text()
        for port, backend in ports.items():
            text = text.replace(f"port: {port},", f"port: {backend.port},")
        (to / file.name).write_text(text)
    return to


def test_ingress(tmp_path: Path) -> None:
    with (
        Backend("shop") as shop,
        Backend("blog") as blog,
        Running(copied("ingress", tmp_path, {9121: shop, 9122: blog})) as run,
    ):
        wanted = {
            ("site.localhost", "/"): "shop",
            ("site.localhost", "/blog/x"): "blog",
            ("site.localhost", "/blogs"): "shop",
            ("site.localhost", "/v2/items/7"): "shop",
            ("site.localhost", "/chat"): "shop",
            ("any.site.localhost", "/"): "blog",
            ("whoever.localhost", "/"): "shop",
            ("old.localhost", "/"): "shop",
        }
        assert {key: get(run.http, *key).backend for key in wanted} == wanted
        shop.planned.extend(["/status/503", "/status/503"])
        assert get(run.http, "site.localhost").status == 200
        assert get(run.http, "site.localhost", "/status").backend == "blog"
        with Http1(connect(run.http)) as client:
            assert client.websocket("site.localhost", "/chat").body == b"hello"


def test_ingressroute(tmp_path: Path) -> None:
    with (
        Backend("blue") as blue,
        Backend("green") as green,
        Backend("blog") as blog,
        Running(copied("ingressroute", tmp_path, {9131: blue, 9132: green, 9133: blog})) as run,
    ):
        assert [line.split() for line in run.lines[:2]] == [
            ["legacy.localhost", "IngressRoute", "shop/root", "valid"],
            ["preview.localhost", "IngressRoute", "shop/preview", "valid"],
        ]
        assert {get(run.http, "legacy.localhost").backend for _ in range(20)} == {"blue"}
        assert get(run.http, "legacy.localhost", "/blog/x").backend == "blog"
        assert get(run.http, "legacy.localhost", "/blog").backend == "blog"
        assert [seen.path for seen in blog.seen] == ["/x", "/"]
        assert {get(run.http, "preview.localhost").backend for _ in range(100)} == {"blue", "green"}
        with Http1(connect(run.http)) as client:
            assert client.websocket("legacy.localhost", "/events").body == b"hello"
