"""`contour cli` against a real server, over plaintext and mutual TLS."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from tests.xds.dialogue import cluster
from tests.xds.wired import serving

from contour.envoy import pb
from contour.envoy.resource import CLUSTER, LISTENER, ROUTE, SCOPED_ROUTE, SECRET, resource
from contour.testing.certs import Authority
from contour.xds.hub import Hub


def some(*items):
    return {r.name: r for r in items}


def routes(name: str):
    return resource(name, pb.RouteConfiguration(name=name))


class Run:
    """The command in a process of its own; its standard output is a sequence of JSON documents."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._text = ""

    async def next(self) -> dict:
        while True:
            text = self._text.lstrip()
            try:
                value, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                more = await asyncio.wait_for(self.process.stdout.read(65536), 20)
                if not more:
                    raise AssertionError((await self.process.stderr.read()).decode()) from None
                self._text += more.decode()
            else:
                self._text = text[end:]
                return value

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


@pytest.fixture
async def contour():
    runs: list[Run] = []

    async def start(*arguments: str, **env: str) -> Run:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from contour.cli import main; main()", "cli", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **env},
        )  # fmt: skip
        runs.append(Run(process))
        return runs[-1]

    yield start
    for run in runs:
        await run.end()


async def test_state_of_the_world(tmp_path, contour):
    hub = Hub()
    hub.publish({CLUSTER: (some(cluster("a"), cluster("b")), set())})
    async with serving(hub, tmp_path) as address:
        run = await contour("cds", f"--contour={address}")
        assert await run.next() == {"version_info": "0", "node": {"id": "ContourCLI"}, "type_url": CLUSTER}
        answer = await run.next()
        assert [r["name"] for r in answer["resources"]] == ["a", "b"]
        assert answer["resources"][0]["@type"] == CLUSTER
        assert await run.next() == {
            "version_info": answer["version_info"],
            "type_url": CLUSTER,
            "response_nonce": "1",
        }
        hub.publish({CLUSTER: ({}, {"a"})})
        assert [r["name"] for r in (await run.next())["resources"]] == ["b"]


async def test_delta_with_names_and_flags_in_either_place(tmp_path, contour):
    hub = Hub()
    hub.publish({ROUTE: (some(routes("x"), routes("y")), set())})
    async with serving(hub, tmp_path) as address:
        run = await contour(f"--contour={address}", "rds", "--delta", "x", CLI_NODE_ID="me")
        assert await run.next() == {"node": {"id": "me"}, "type_url": ROUTE, "resource_names_subscribe": ["x"]}
        assert [r["name"] for r in (await run.next())["resources"]] == ["x"]
        assert await run.next() == {"type_url": ROUTE, "response_nonce": "1"}


@pytest.mark.parametrize(("name", "kind"), [("sds", SECRET), ("lds", LISTENER), ("srds", SCOPED_ROUTE)])
async def test_other_types(tmp_path, contour, name, kind):
    hub = Hub()
    hub.publish({kind: (some(resource("x", pb.message_class(kind)(name="x"))), set())})
    async with serving(hub, tmp_path) as address:
        run = await contour(name, f"--contour={address}")
        await run.next()
        answer = await run.next()
        assert (answer["type_url"], [r["name"] for r in answer["resources"]]) == (kind, ["x"])


async def test_refusing_disturbs_nobody_else(tmp_path, contour):
    hub = Hub()
    hub.publish({CLUSTER: (some(cluster("a")), set())})
    async with serving(hub, tmp_path) as address:
        run = await contour("cds", f"--contour={address}", "--nack")
        await run.next()
        await run.next()
        refusal = await run.next()
        assert refusal["error_detail"]["code"] == 13
        other = await contour("cds", f"--contour={address}")
        await other.next()
        assert [r["name"] for r in (await other.next())["resources"]] == ["a"]
        assert hub.counters.messages[CLUSTER] == 2


async def test_one_tls_file_alone_is_an_error(contour):
    run = await contour("cds", CLI_CAFILE="x")
    _, error = await run.process.communicate()
    assert run.process.returncode == 1
    assert b"you must supply all three TLS parameters - --cafile, --cert-file, --key-file, or none of them" in error


@pytest.mark.parametrize("bad", ["CA", "CERT", "KEY"])
async def test_tls_files_that_are_none(tmp_path, contour, bad):
    authority = Authority()
    pair = authority.sign("envoy")
    contents = {"CA": authority.certificate, "CERT": pair.certificate, "KEY": pair.private_key, bad: b"hidden"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    variables = {"CLI_CAFILE": "CA", "CLI_CERT_FILE": "CERT", "CLI_KEY_FILE": "KEY"}
    run = await contour("cds", **{name: f"{tmp_path}/{file}" for name, file in variables.items()})
    _, error = await run.process.communicate()
    assert run.process.returncode == 1
    assert error.decode().startswith(f"contour: error: {tmp_path}/{bad}: not ")
    assert b"hidden" not in error


@pytest.mark.parametrize("address", ["127.0.0.1", "contour:", ":8001", ""])
async def test_an_address_that_is_none(contour, address):
    run = await contour("cds", f"--contour={address}")
    _, error = await run.process.communicate()
    assert run.process.returncode == 1
    assert f"--contour: {address!r} is neither HOST:PORT nor unix:PATH" in error.decode()


async def test_nobody_listens(tmp_path, contour):
    run = await contour("cds", f"--contour=unix:{tmp_path}/none")
    _, error = await run.process.communicate()
    assert run.process.returncode == 1
    assert b"UNAVAILABLE" in error
