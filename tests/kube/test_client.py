"""The client against a server on loopback that misbehaves as API servers and what stands before them do."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import stat
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from tests.kube.apiserver import answers, forever, refusal, scripted

from contour.kube import credentials
from contour.kube.client import MERGE_PATCH, Client, CredentialsError, Unreachable
from contour.kube.kubeconfig import Configuration, Exec, User
from contour.testing.certs import Authority, Pair

OK = web.json_response({"kind": "Thing"})


async def test_a_write_and_its_answer():
    async with scripted(answers(OK)) as server, Client(server.configuration(User(token="t"))) as client:
        response = await client.request(
            "PATCH", "/apis/x/y", params={"fieldManager": "me & you"}, body=b"{}", content_type=MERGE_PATCH
        )
    assert (response.status, response.ok, response.failure) == (200, True, None)
    assert json.loads(response.body) == {"kind": "Thing"}
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query["fieldManager"]) == ("PATCH", "/apis/x/y", "me & you")
    assert asked.headers["Content-Type"] == MERGE_PATCH
    assert asked.headers["Authorization"] == "Bearer t"
    assert server.bodies == [b"{}"]


async def test_a_refusal_is_a_value():
    script = answers(refusal(403, "Forbidden", 'things is forbidden: User "x" cannot'))
    async with scripted(script) as server, Client(server.configuration()) as client:
        response = await client.request("GET", "/x")
    assert response.failure is not None
    assert str(response.failure) == '403 Forbidden: things is forbidden: User "x" cannot'


async def test_a_refusal_from_something_else():
    script = answers(web.Response(status=502, text="<html>\n<h1>Bad   Gateway</h1>"))
    async with scripted(script) as server, Client(server.configuration()) as client:
        response = await client.request("GET", "/x")
    assert str(response.failure) == "502: <html> <h1>Bad Gateway</h1>"


async def test_retry_after_is_waited_for():
    script = answers(refusal(429, "TooManyRequests", "slow down", after=1), OK)
    async with scripted(script) as server, Client(server.configuration()) as client:
        started = time.monotonic()
        response = await client.request("PUT", "/x", body=b"1")
    assert response.ok
    assert server.bodies == [b"1", b"1"]
    assert time.monotonic() - started >= 0.9


async def test_retries_end():
    script = answers(refusal(429, "TooManyRequests", "slow down", after=0))
    async with scripted(script) as server, Client(server.configuration()) as client:
        response = await client.request("GET", "/x", retries=2)
    assert response.status == 429
    assert len(server.asked) == 3


async def test_a_refusal_without_retry_after_is_not_tried_again():
    async with (
        scripted(answers(refusal(500, "InternalError", "no"))) as server,
        Client(server.configuration()) as client,
    ):
        assert (await client.request("GET", "/x")).status == 500
    assert len(server.asked) == 1


async def test_nobody_listens():
    async with scripted(answers(OK)) as server:
        pass
    async with Client(server.configuration()) as client:
        with pytest.raises(Unreachable, match=r"http://127.0.0.1:\d+: Connection refused$"):
            await client.request("GET", "/x")


async def test_nobody_listens_where_the_proxy_should_be():
    async with scripted(answers(OK)) as server:
        pass
    async with Client(Configuration("here", "https://api.invalid:6443", proxy=server.url)) as client:
        with pytest.raises(Unreachable, match=r": proxy 127.0.0.1:\d+: Connection refused$"):
            await client.request("GET", "/x")


async def test_no_answer_in_time():
    async def script(_: web.Request) -> web.Response:
        await forever()
        return web.Response()

    async with scripted(script) as server, Client(server.configuration()) as client:
        with pytest.raises(Unreachable, match="no answer in time"):
            await client.request("GET", "/x", timeout=0.05)


# --- credentials --------------------------------------------------------------------------------------------------


def accepting(token: str):
    def script(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") == f"Bearer {token}":
            return web.json_response({})
        return refusal(401, "Unauthorized", "Unauthorized")

    return script


async def test_a_token_that_was_replaced_is_read_again(tmp_path):
    file = tmp_path / "token"
    file.write_text("old\n")

    def script(request: web.Request) -> web.Response:
        return accepting(file.read_text().strip())(request)

    async with scripted(script) as server, Client(server.configuration(User(token_file=file))) as client:
        assert (await client.request("GET", "/x")).ok
        file.write_text("new\n")
        assert (await client.request("GET", "/x")).ok
        assert (await client.request("GET", "/x")).ok
    assert [request.headers["Authorization"] for request in server.asked] == [
        "Bearer old",
        "Bearer old",
        "Bearer new",
        "Bearer new",
    ]


async def test_a_token_that_stays_wrong_is_an_answer(tmp_path):
    file = tmp_path / "token"
    file.write_text("wrong")
    async with scripted(accepting("right")) as server, Client(server.configuration(User(token_file=file))) as client:
        response = await client.request("GET", "/x")
    assert str(response.failure) == "401 Unauthorized: Unauthorized"
    assert len(server.asked) == 1  # the file holds what was refused


async def test_a_token_file_that_is_being_written(tmp_path):
    """Without a token we would be nobody, who may do nothing: that is no answer to go by."""
    file = tmp_path / "token"
    file.write_text("\n")
    async with scripted(answers(OK)) as server, Client(server.configuration(User(token_file=file))) as client:
        with pytest.raises(CredentialsError, match=r"token: no token in it"):
            await client.request("GET", "/x")
        file.write_text("right")
        assert (await client.request("GET", "/x")).ok
    assert [request.headers["Authorization"] for request in server.asked] == ["Bearer right"]


async def test_a_token_file_that_is_gone(tmp_path):
    async with scripted(answers(OK)) as server, Client(server.configuration(User(token_file=tmp_path / "t"))) as client:
        with pytest.raises(CredentialsError, match=r"t: No such file"):
            await client.request("GET", "/x")


async def test_many_requests_refused_at_once_renew_once(tmp_path):
    program, count = plugin(tmp_path, "t$(wc -l < count)")
    async with scripted(accepting("t2")) as server, Client(server.configuration(User(plugin=program))) as client:
        found = await asyncio.gather(*(client.request("GET", "/x") for _ in range(20)))
    assert all(response.ok for response in found)
    assert count.read_text().count("\n") == 2


@pytest.mark.parametrize(
    "user",
    [User(token="hunter\n2"), User(impersonate=(("Impersonate-User", "hunter\r2"),))],
    ids=["token", "impersonation"],
)
async def test_what_no_header_can_hold_is_told_without_being_shown(user):
    async with scripted(answers(OK)) as server, Client(server.configuration(user)) as client:
        with pytest.raises(CredentialsError) as caught:
            await client.request("GET", "/x")
    assert str(caught.value) == "test: a token or name of the user has a control character in it"
    assert server.asked == []


async def test_a_proxy_that_refuses_is_told_without_its_password():
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        at = f"http://user:hunter2@127.0.0.1:{port}"
        async with Client(Configuration("test", "https://127.0.0.1:1", insecure=True, proxy=at)) as client:
            with pytest.raises(Unreachable) as caught:
                await client.request("GET", "/x")
    assert str(caught.value) == "https://127.0.0.1:1: the proxy answers 407 Proxy Authentication Required"


def plugin(directory, token, *, version="v1", more="", **fields):
    """A program that prints an ExecCredential and counts its runs."""
    count = directory / "count"
    script = directory / "login"
    script.write_text(
        f"""#!/bin/sh
cd {directory}
echo >> count
echo "$KUBERNETES_EXEC_INFO" > info
cat <<END
{{"apiVersion": "client.authentication.k8s.io/{version}", "kind": "ExecCredential", "status": {{"token": "{token}"{more}}}}}
END
"""
    )
    script.chmod(stat.S_IRWXU)
    fields = {"api_version": "client.authentication.k8s.io/v1", **fields}
    return Exec(command="./login", directory=directory, **fields), count


async def test_a_program_gives_a_token_once(tmp_path):
    program, count = plugin(tmp_path, "t", provide_cluster_info=True)
    async with scripted(accepting("t")) as server, Client(server.configuration(User(plugin=program))) as client:
        assert (await client.request("GET", "/x")).ok
        assert (await client.request("GET", "/x")).ok
        assert json.loads((tmp_path / "info").read_text()) == {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "spec": {"interactive": False, "cluster": {"server": server.url}},
        }
    assert count.read_text().count("\n") == 1


async def test_a_program_of_the_version_before(tmp_path):
    beta = "client.authentication.k8s.io/v1beta1"
    program, _ = plugin(tmp_path, "t", version="v1beta1", api_version=beta)
    async with scripted(accepting("t")) as server, Client(server.configuration(User(plugin=program))) as client:
        assert (await client.request("GET", "/x")).ok
    assert json.loads((tmp_path / "info").read_text()) == {
        "apiVersion": beta,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }


async def test_a_program_is_asked_again_when_its_token_is_refused(tmp_path):
    program, count = plugin(tmp_path, "t$(wc -l < count)")
    accepted = ["t1"]

    def script(request: web.Request) -> web.Response:
        return accepting(accepted[0])(request)

    async with scripted(script) as server, Client(server.configuration(User(plugin=program))) as client:
        assert (await client.request("GET", "/x")).ok
        accepted[0] = "t2"
        async with client.stream("/x") as stream:
            assert stream.failure is None
        accepted[0] = "nobody's"
        assert (await client.request("GET", "/x")).status == 401
    assert count.read_text().count("\n") == 3


async def test_what_a_program_is_told(tmp_path, authority):
    """The cluster as it is configured, its own variables, and nothing to type."""
    program, _ = plugin(tmp_path, "$MINE", provide_cluster_info=True, env=(("MINE", "mine"),))
    async with (
        scripted(accepting("mine"), serving(authority, "kubernetes")) as server,
        Client(
            server.configuration(User(plugin=program), authority=authority.certificate, server_name="kubernetes")
        ) as client,
    ):
        assert (await client.request("GET", "/x")).ok
    assert json.loads((tmp_path / "info").read_text())["spec"] == {
        "interactive": False,
        "cluster": {
            "server": server.url,
            "tls-server-name": "kubernetes",
            "certificate-authority-data": base64.b64encode(authority.certificate).decode(),
        },
    }


async def test_a_program_gives_a_client_certificate(tmp_path, authority):
    pair = authority.sign("me", client=True)
    granted = {"clientCertificateData": pair.certificate.decode(), "clientKeyData": pair.private_key.decode()}
    printed = tmp_path / "printed"
    version = "client.authentication.k8s.io/v1"
    printed.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": granted}))
    program = Exec(command="cat", args=(str(printed),), directory=tmp_path, api_version=version)
    async with (
        scripted(knowing("me"), serving(authority, "127.0.0.1")) as server,
        Client(server.configuration(User(plugin=program), authority=authority.certificate)) as client,
    ):
        assert (await client.request("GET", "/x")).ok


async def test_a_program_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr(credentials, "_PLUGIN_TIMEOUT", 0.3)
    running = tmp_path / "pid"
    command = f"echo $$ > {running}; exec sleep 60"
    version = "client.authentication.k8s.io/v1"
    program = Exec(command="sh", args=("-c", command), directory=tmp_path, api_version=version)
    async with scripted(answers(OK)) as server, Client(server.configuration(User(plugin=program))) as client:
        with pytest.raises(CredentialsError, match=r"exec sh: no answer within 0\.3 s"):
            await client.request("GET", "/x")
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)


async def test_a_programs_token_ends(tmp_path):
    past = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    program, count = plugin(tmp_path, "t", more=f', "expirationTimestamp": "{past}"')
    async with scripted(accepting("t")) as server, Client(server.configuration(User(plugin=program))) as client:
        assert (await client.request("GET", "/x")).ok
        assert (await client.request("GET", "/x")).ok
    assert count.read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"api_version": "client.authentication.k8s.io/v1beta1"},
            "the kubeconfig says 'client.authentication.k8s.io/v1beta1'",
        ),
        ({"command": "./absent", "install_hint": "brew it"}, r"exec ./absent: No such file or directory \(brew it\)"),
        ({"command": "sh", "args": ("-c", "echo broken >&2; exit 3")}, "exec sh: exit status 3: broken"),
        ({"command": "sh", "args": ("-c", "echo secret")}, "exec sh: what it prints is not an ExecCredential$"),
        (
            {"command": "echo", "args": ('{"apiVersion": "client.authentication.k8s.io/v1"}',)},
            "exec echo: it prints neither status.token nor a client certificate with its key",
        ),
    ],
)
async def test_a_program_that_does_not_work(tmp_path, change, says):
    import msgspec

    program, _ = plugin(tmp_path, "t")
    user = User(plugin=msgspec.structs.replace(program, **change))
    async with scripted(answers(OK)) as server, Client(server.configuration(user)) as client:
        with pytest.raises(CredentialsError, match=says):
            await client.request("GET", "/x")


# --- TLS --------------------------------------------------------------------------------------------------------------


def serving(authority: Authority, *names: str) -> ssl.SSLContext:
    """A server's settings that ask for a client certificate of the same authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, authority.sign(*names))
    context.load_verify_locations(cadata=authority.certificate.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def load(context: ssl.SSLContext, pair: Pair) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.private_key)
        file.flush()
        context.load_cert_chain(file.name)


def common_name(request: web.Request) -> str:
    certificate = request.transport.get_extra_info("peercert")
    return dict(part[0] for part in certificate["subject"])["commonName"] if certificate else ""


def knowing(name: str):
    def script(request: web.Request) -> web.Response:
        if common_name(request) == name:
            return web.json_response({})
        return refusal(401, "Unauthorized", f"{common_name(request)!r}")

    return script


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def test_a_client_certificate_from_the_kubeconfig(authority):
    pair = authority.sign("me", client=True)
    user = User(certificate=pair.certificate, private_key=pair.private_key)
    async with (
        scripted(knowing("me"), serving(authority, "127.0.0.1")) as server,
        Client(server.configuration(user, authority=authority.certificate)) as client,
    ):
        assert (await client.request("GET", "/x")).ok


async def test_a_client_certificate_that_was_replaced(authority, tmp_path):
    files = [tmp_path / name for name in ("crt", "key")]

    def write(name: str) -> None:
        pair = authority.sign(name, client=True)
        for file, content in zip(files, (pair.certificate, pair.private_key), strict=True):
            file.write_bytes(content)

    user = User(certificate=files[0], private_key=files[1])
    async with (
        scripted(knowing("new"), serving(authority, "127.0.0.1")) as server,
        Client(server.configuration(user, authority=authority.certificate)) as client,
    ):
        write("old")
        assert (await client.request("GET", "/x")).status == 401
        write("new")
        assert (await client.request("GET", "/x")).ok
        async with client.stream("/x") as stream:
            assert stream.failure is None


async def test_a_server_of_another_name(authority):
    trusting = {"authority": authority.certificate}
    async with (
        scripted(answers(OK), serving(authority, "kubernetes")) as server,
        Client(server.configuration(**trusting)) as client,
        Client(server.configuration(**trusting, server_name="kubernetes")) as knowing_better,
    ):
        with pytest.raises(Unreachable, match=r"certificate is not trusted: .*IP address mismatch"):
            await client.request("GET", "/x")
        assert (await knowing_better.request("GET", "/x")).ok


async def test_an_authority_that_was_replaced(authority, tmp_path):
    file = tmp_path / "ca.crt"
    file.write_bytes(Authority("another").certificate)
    async with (
        scripted(answers(OK), serving(authority, "127.0.0.1")) as server,
        Client(server.configuration(authority=file)) as client,
    ):
        with pytest.raises(Unreachable, match="its certificate is not trusted"):
            await client.request("GET", "/x")
        file.write_bytes(authority.certificate)
        with pytest.raises(Unreachable):
            await client.request("GET", "/x")  # this is what tells that it has to be read again
        assert (await client.request("GET", "/x")).ok


async def test_not_verified_at_all(authority):
    async with (
        scripted(answers(OK), serving(authority, "elsewhere")) as server,
        Client(server.configuration(insecure=True)) as client,
    ):
        assert (await client.request("GET", "/x")).ok


@pytest.mark.parametrize(
    ("fields", "user", "says"),
    [
        ({"authority": b"junk"}, {}, "test: certificate authority: no PEM certificates"),
        ({"authority": Path("/not/there")}, {}, "/not/there: No such file"),
        ({}, {"certificate": b"junk", "private_key": b"junk"}, "test: client certificate and key"),
    ],
)
async def test_files_that_are_not_what_they_should_be(authority, fields, user, says):
    async with (
        scripted(answers(OK), serving(authority, "127.0.0.1")) as server,
        Client(server.configuration(User(**user), **fields)) as client,
    ):
        with pytest.raises(CredentialsError, match=says):
            await client.request("GET", "/x")


# --- streams ------------------------------------------------------------------------------------------------------


def streaming(*chunks: bytes, then=None):
    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then is not None:
            await then(request)
        return response

    return script


async def lost(request: web.Request) -> None:
    assert request.transport is not None
    await asyncio.sleep(0.02)
    request.transport.abort()


async def test_a_stream_comes_as_it_is():
    async with (
        scripted(streaming(b"one\nt", b"wo\n")) as server,
        Client(server.configuration()) as client,
        client.stream("/x", params={"watch": "1"}) as stream,
    ):
        assert (stream.status, stream.failure) == (200, None)
        assert b"".join([chunk async for chunk in stream]) == b"one\ntwo\n"


async def test_a_refused_stream():
    script = answers(refusal(410, "Expired", "too old resource version"))
    async with scripted(script) as server, Client(server.configuration()) as client, client.stream("/x") as stream:
        assert str(stream.failure) == "410 Expired: too old resource version"
        assert [chunk async for chunk in stream] == []


@pytest.mark.parametrize(
    ("then", "says"), [(lambda _: forever(), "silent for 0.05 s"), (lost, "lost in the middle of an answer")]
)
async def test_a_stream_that_falls_silent_or_is_lost(then, says):
    async with (
        scripted(streaming(b"one\n", then=then)) as server,
        Client(server.configuration()) as client,
        client.stream("/x", silence=0.05) as stream,
    ):
        chunks = aiter(stream)
        assert await anext(chunks) == b"one\n"
        with pytest.raises(Unreachable, match=says):
            await anext(chunks)


async def test_an_error_of_the_reader_stays_its_own():
    async with scripted(streaming(b"one\n")) as server, Client(server.configuration()) as client:
        with pytest.raises(TimeoutError):
            async with client.stream("/x"):
                raise TimeoutError


async def test_a_patch_over_a_connection_that_was_closed_meanwhile():
    dropped = []

    def script(request: web.Request) -> web.Response:
        if not dropped:
            dropped.append(1)
            request.transport.abort()
        return web.json_response({})

    async with scripted(script) as server, Client(server.configuration()) as client:
        response = await client.request("PATCH", "/x", body=b"{}", content_type=MERGE_PATCH)
        assert client.answers == {("PATCH", "200"): 1}
    assert response.ok
    assert server.bodies == [b"{}"] * 2
