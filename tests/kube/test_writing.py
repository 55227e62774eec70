from __future__ import annotations

import json

from aiohttp import web
from tests.kube.apiserver import answers, refusal, scripted

from contour.kube import writing
from contour.kube.client import Client

PATH = "/apis/projectcontour.io/v1/namespaces/a/httpproxies/b"


class Versioned:
    """One object that refuses a patch of another version than its own; another writer comes first `raced` times."""

    def __init__(self, raced: int) -> None:
        self.version = 1
        self.raced = raced
        self.server = None

    def __call__(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}})
        if self.raced:
            self.raced -= 1
            self.version += 1
        sent = json.loads(self.server.bodies[-1])
        if sent["metadata"]["resourceVersion"] == str(self.version):
            return web.json_response({})
        return refusal(409, "Conflict", "the object has been modified")


def change(raw: bytes | None):
    version = json.loads(raw)["metadata"]["resourceVersion"] if raw else "1"
    return {"metadata": {"resourceVersion": version}, "status": {"currentStatus": "valid"}}


async def revised(script, **options):
    conflicts = []
    async with scripted(script) as server, Client(server.configuration()) as client:
        script.server = server
        response = await writing.revise(
            client, PATH, change, subresource="status", on_conflict=lambda: conflicts.append(1), **options
        )
    return response, [(request.method, request.path.removeprefix(PATH)) for request in server.asked], len(conflicts)


async def test_one_request_when_nothing_has_changed():
    response, asked, conflicts = await revised(Versioned(0), read_first=False)
    assert (response.status, asked, conflicts) == (200, [("PATCH", "/status")], 0)


async def test_a_conflict_is_resolved_from_what_is_there_now():
    response, asked, conflicts = await revised(Versioned(1), read_first=False)
    assert (response.status, conflicts) == (200, 1)
    assert asked == [("PATCH", "/status"), ("GET", ""), ("PATCH", "/status")]


async def test_conflicts_end():
    response, asked, conflicts = await revised(Versioned(99))
    assert response.failure.reason == "Conflict"
    assert (asked.count(("PATCH", "/status")), conflicts) == (4, 4)


async def test_nothing_to_do():
    async with scripted(answers(web.json_response({}))) as server, Client(server.configuration()) as client:
        assert await writing.revise(client, PATH, lambda _: None) is None
    assert [request.method for request in server.asked] == ["GET"]


async def test_an_object_that_is_gone():
    async with scripted(answers(refusal(404, "NotFound", "gone"))) as server, Client(server.configuration()) as client:
        response = await writing.revise(client, PATH, change)
    assert response.status == 404
    assert len(server.asked) == 1


async def test_apply_says_who_it_is():
    async with scripted(answers(web.json_response({}))) as server, Client(server.configuration()) as client:
        await writing.apply(client, PATH, {"a": 1}, manager="contour")
    (asked,) = server.asked
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(asked.query) == {"fieldManager": "contour", "force": "true"}


async def test_a_patch_over_a_connection_that_was_closed_meanwhile():
    dropped = []

    def script(request: web.Request) -> web.Response:
        if not dropped:
            dropped.append(1)
            request.transport.abort()
        return web.json_response({})

    async with scripted(script) as server, Client(server.configuration()) as client:
        response = await writing.merge_patch(client, PATH, {"a": None})
    assert response.ok
    assert server.bodies == [b'{"a":null}'] * 2
