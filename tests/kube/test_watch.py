"""The shell of the reflectors against a server on loopback; what only a real API server can show is in tests/cluster."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import pytest
from aiohttp import web
from tests.kube.apiserver import Scripted, forever, refusal, scripted

from contour.kube import reflector
from contour.kube.client import Client
from contour.kube.events import Trouble, Unread, Well
from contour.kube.kinds import BY_NAME, Kind
from contour.kube.kubeconfig import User
from contour.kube.watch import Batch, Notice, Watches

SERVICES, PROXIES = BY_NAME["Service"], BY_NAME["HTTPProxy"]


PATIENCE = 20  # seconds: a busy machine takes its time


def thing(name: str, version: int = 1, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version)}, **fields}


def page(*names: str, version: int = 1) -> web.Response:
    return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": [thing(name) for name in names]})


def line(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


async def telling(request: web.Request, *chunks: bytes, then: Callable[[web.Request], Any] | None = None) -> Any:
    """A watch that says this and goes on for ever, or until `then`."""
    response = web.StreamResponse()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    if then is None:
        await forever()
    else:
        await asyncio.sleep(0.02)
        then(request)
    return response


def broken(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def quiet(request: web.Request) -> web.StreamResponse:
    """A watch in which nothing happens."""
    response = web.StreamResponse()
    await response.prepare(request)
    await forever()
    return response


class Watching:
    def __init__(
        self, server: Scripted, *kinds: Kind, namespaces: Sequence[str] = (), user: User | None = None
    ) -> None:
        self.batches: list[Batch] = []
        self.notices: list[Notice] = []
        self.client = Client(server.configuration(user))
        self.watches = Watches(self.client, kinds, namespaces, deliver=self.batches.append, report=self.notices.append)
        self._task: asyncio.Task[None] | None = None

    def names(self) -> dict[str, bool]:
        """What was delivered last of each object: whether it is there."""
        return {key.name: value is not None for batch in self.batches for key, value in batch.events}

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not done():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)

    async def synced(self) -> None:
        await asyncio.wait_for(self.watches.synced(), PATIENCE)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.watches.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()


async def test_a_server_that_asks_for_patience_gets_it():
    busy = [1, 1]

    def script(request: web.Request):
        if "watch" in request.query:
            return quiet(request)
        if busy:
            busy.pop()
            return refusal(429, "TooManyRequests", "later", after=1)
        return page("a")

    started = time.monotonic()
    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await asyncio.wait_for(found.watches.synced(), 10)
    assert time.monotonic() - started >= 2
    assert found.notices == []
    assert len(server.asked) >= 3


async def test_what_is_wrong_with_the_server_is_told_once_for_all_kinds():
    away = [True]

    def script(request: web.Request):
        if away:
            broken(request)
        return quiet(request) if "watch" in request.query else page()

    async with scripted(script) as server, Watching(server, SERVICES, PROXIES) as found:
        while len(server.asked) < 6:  # noqa: ASYNC110  # both kinds have tried several times
            await asyncio.sleep(0.02)
        away.clear()
        await asyncio.wait_for(found.watches.synced(), 10)
    assert [(notice.kind, type(notice.report)) for notice in found.notices] == [(None, Trouble), (None, Well)]


async def test_a_server_that_is_back_is_told_although_an_optional_kind_is_not_installed():
    away = [True]

    def script(request: web.Request):
        if away:
            broken(request)
        if "ingressroutes" in request.path:
            return refusal(404, "NotFound", "the server could not find the requested resource")
        return quiet(request) if "watch" in request.query else page()

    async with scripted(script) as server, Watching(server, SERVICES, BY_NAME["IngressRoute"]) as found:
        await found.until(lambda: len(server.asked) >= 4)
        away.clear()
        await found.until(lambda: len(found.notices) >= 2)
    assert [(notice.kind, type(notice.report)) for notice in found.notices] == [(None, Trouble), (None, Well)]


async def test_events_of_one_read_are_one_batch():
    def script(request: web.Request):
        news = b"".join(line("ADDED", thing(name, 9)) for name in "bcd")
        return telling(request, news) if "watch" in request.query else page("a")

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await found.until(lambda: len(found.batches) == 2)
    first, second = found.batches
    assert ([key.name for key, _ in first.events], first.synced) == (["a"], True)
    assert ([key.name for key, _ in second.events], second.synced, second.added) == (["b", "c", "d"], False, 3)


def watched_from(server: Scripted) -> list[str]:
    """The version at which each watch began."""
    return [request.query["resourceVersion"] for request in server.asked if "watch" in request.query]


async def test_a_watch_that_breaks_off_goes_on_behind_its_last_whole_line():
    bookmark = line("BOOKMARK", {"metadata": {"resourceVersion": "7"}})
    scripts = [
        lambda request: telling(request, line("ADDED", thing("b", 5)) + b'{"type": "AD', then=broken),
        lambda request: telling(request, line("DELETED", thing("a", 6)), bookmark, then=broken),
        quiet,
    ]

    def script(request: web.Request):
        return scripts.pop(0)(request) if "watch" in request.query else page("a", version=3)

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await found.until(lambda: len(watched_from(server)) == 3)
    assert watched_from(server) == ["3", "5", "7"]
    assert found.names() == {"a": False, "b": True}
    assert sum("watch" not in request.query for request in server.asked) == 1
    assert found.notices == []  # connections end; nobody has to know


@pytest.mark.parametrize("as_event", [True, False])
async def test_too_far_behind_everything_is_read_again(as_event: bool):
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    pages = [page("a", "b", version=3), page("b", "c", version=9)]
    late = [1]

    def script(request: web.Request):
        if "watch" not in request.query:
            return pages.pop(0)
        if not late:
            return quiet(request)
        late.pop()
        return telling(request, line("ERROR", gone), then=broken) if as_event else refusal(410, "Expired", "too old")

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await found.until(lambda: watched_from(server) == ["3", "9"])
    assert found.names() == {"a": False, "b": True, "c": True}
    first, second = found.batches
    assert (first.synced, second.synced) == (True, False)
    assert (second.added, second.updated, second.deleted) == (1, 0, 1)
    assert found.notices == []


async def test_a_watch_without_a_byte_counts_as_lost(monkeypatch):
    monkeypatch.setattr(reflector, "SILENCE", 0.2)

    def script(request: web.Request):
        return quiet(request) if "watch" in request.query else page(version=3)

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await found.until(lambda: len(watched_from(server)) == 2)
    assert watched_from(server) == ["3", "3"]


async def test_a_kind_is_whole_when_all_its_namespaces_are():
    slow = asyncio.Event()

    async def later() -> web.StreamResponse:
        await slow.wait()
        return page("b")

    def script(request: web.Request):
        if "watch" in request.query:
            return quiet(request)
        return page("a") if "/namespaces/one/" in request.path else later()

    async with scripted(script) as server, Watching(server, SERVICES, namespaces=("one", "two")) as found:
        await found.until(lambda: bool(found.batches))
        assert found.watches.waiting_for == ("Service",)
        slow.set()
        await found.synced()
    assert [batch.synced for batch in found.batches] == [False, True]
    assert found.watches.waiting_for == ()


async def test_a_kind_that_is_not_installed_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(reflector, "_ABSENT", 0.2)
    installed: list[int] = []

    def script(request: web.Request):
        if request.path.endswith("/httpproxies") and not installed:
            return web.Response(status=404, text="404 page not found")
        return quiet(request) if "watch" in request.query else page("a")

    async with scripted(script) as server, Watching(server, SERVICES, PROXIES) as found:
        await found.until(lambda: bool(found.notices and found.batches))
        assert found.watches.waiting_for == ("HTTPProxy",)
        installed.append(1)
        await found.synced()
    trouble, well = found.notices
    assert (trouble.kind, well.kind) == (PROXIES, PROXIES)
    assert isinstance(trouble.report, Trouble)
    assert trouble.report.absent
    assert isinstance(well.report, Well)


async def test_an_object_that_cannot_be_read_is_told_and_keeps_its_last_good_version():
    ports = [{"port": "eighty"}]
    news = line("MODIFIED", thing("a", 5, spec={"ports": ports})) + line("ADDED", thing("b", 6))

    def script(request: web.Request):
        return telling(request, news) if "watch" in request.query else page("a")

    async with scripted(script) as server, Watching(server, SERVICES) as found:
        await found.until(lambda: len(found.batches) == 2)
    (notice,) = found.notices
    assert isinstance(notice.report, Unread)
    assert (notice.report.key.name, "port" in notice.report.text) == ("a", True)
    assert [key.name for key, _ in found.batches[1].events] == ["b"]


async def test_a_token_that_ends_in_the_middle_is_read_again(tmp_path):
    token, accepted = tmp_path / "token", ["first"]
    token.write_text("first")
    watching = asyncio.Event()

    async def until_replaced(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line("BOOKMARK", {"metadata": {"resourceVersion": "3"}}))
        watching.set()
        while accepted == ["first"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        broken(request)
        return response

    def script(request: web.Request):
        if request.headers["Authorization"] != f"Bearer {accepted[0]}":
            return refusal(401, "Unauthorized", "Unauthorized")
        if "watch" not in request.query:
            return page("a", version=3)
        return until_replaced(request) if accepted == ["first"] else telling(request, line("ADDED", thing("b", 4)))

    user = User(token_file=token)
    async with scripted(script) as server, Watching(server, SERVICES, user=user) as found:
        await asyncio.wait_for(watching.wait(), PATIENCE)
        token.write_text("second")
        accepted[0] = "second"
        await found.until(lambda: found.names() == {"a": True, "b": True})
    assert found.notices == []


async def test_credentials_that_cannot_be_had_are_told_once_and_that_passes(tmp_path):
    token = tmp_path / "token"

    def script(request: web.Request):
        return quiet(request) if "watch" in request.query else page("a")

    async with scripted(script) as server, Watching(server, SERVICES, PROXIES, user=User(token_file=token)) as found:
        await found.until(lambda: bool(found.notices))
        token.write_text("t")
        await found.synced()
        await found.until(lambda: len(found.notices) == 2)
    first, second = found.notices
    assert (first.kind, str(token) in str(first.report)) == (None, True)
    assert (second.kind, second.report) == (None, Well())


async def test_whoever_ends_leaves_no_connection_behind():
    left = asyncio.Event()

    async def watched(request: web.Request) -> web.StreamResponse:
        try:
            return await quiet(request)
        finally:
            left.set()

    def script(request: web.Request):
        return watched(request) if "watch" in request.query else page()

    async with scripted(script) as server:
        async with Watching(server, SERVICES) as found:
            await found.until(lambda: bool(watched_from(server)))
        await asyncio.wait_for(left.wait(), PATIENCE)
