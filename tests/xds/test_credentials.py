"""Mutual TLS, and files that change while the server runs."""

from __future__ import annotations

import contextlib

import grpc
import pytest
from tests.xds.dialogue import cluster
from tests.xds.wired import connected, fetch

from contour.envoy.resource import CLUSTER
from contour.testing.certs import Authority, Pair
from contour.xds.credentials import CredentialsError, Files, mutual_tls
from contour.xds.hub import Hub
from contour.xds.messages import DiscoveryRequest
from contour.xds.server import Server


class Disk:
    def __init__(self, directory) -> None:
        self.files = Files(directory / "tls.crt", directory / "tls.key", directory / "ca.crt")
        self.authority = Authority("one")
        self.write(self.authority)

    def write(self, authority: Authority) -> None:
        self.authority = authority
        pair = authority.sign("contour")
        self.files.certificate.write_bytes(pair.certificate)
        self.files.private_key.write_bytes(pair.private_key)
        self.files.authority.write_bytes(authority.certificate)


@pytest.fixture
def disk(tmp_path) -> Disk:
    return Disk(tmp_path)


@contextlib.asynccontextmanager
async def serving(disk: Disk, errors: list[str]):
    hub = Hub()
    hub.publish({CLUSTER: ({"a": cluster("a")}, set())})
    server = Server(lambda _node: hub)
    port = server.listen("127.0.0.1:0", mutual_tls(disk.files, lambda error: errors.append(str(error))))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop()


async def answered(address: str, trusted: Authority, client: Pair | None) -> bool:
    key, chain = (client.private_key, client.certificate) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted.certificate, key, chain)
    async with connected(address, credentials) as channel:
        try:
            return len((await fetch(channel, CLUSTER)(DiscoveryRequest())).resources) == 1
        except grpc.aio.AioRpcError:
            return False


async def test_clients_need_a_certificate_of_the_authority(disk):
    async with serving(disk, []) as address:
        one, stranger = disk.authority, Authority("stranger")
        assert await answered(address, one, one.sign("envoy", client=True))
        assert not await answered(address, one, stranger.sign("envoy", client=True))
        assert not await answered(address, one, None)
        assert not await answered(address, stranger, one.sign("envoy", client=True))


async def test_plaintext_is_refused(disk):
    async with serving(disk, []) as address, connected(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await fetch(channel, CLUSTER)(DiscoveryRequest())


async def test_rotation(disk):
    errors: list[str] = []
    async with serving(disk, errors) as address:
        old, new = disk.authority, Authority("two")
        assert await answered(address, old, old.sign("envoy", client=True))
        disk.write(new)
        assert await answered(address, new, new.sign("envoy", client=True))
        assert not await answered(address, old, old.sign("envoy", client=True))
    assert errors == []


async def test_bad_files_leave_the_old_ones_in_use(disk):
    errors: list[str] = []
    async with serving(disk, errors) as address:
        client = disk.authority.sign("envoy", client=True)
        certificate = disk.files.certificate.read_bytes()
        disk.files.certificate.write_bytes(b"half writ")
        assert await answered(address, disk.authority, client)
        disk.files.certificate.unlink()
        assert await answered(address, disk.authority, client)
        disk.files.certificate.write_bytes(disk.authority.sign("contour").certificate)  # of another key
        assert await answered(address, disk.authority, client)
        assert [e.split(":")[0] for e in errors] == [
            str(disk.files.certificate),
            str(disk.files.certificate),
            str(disk.files.private_key),
        ]
        disk.files.certificate.write_bytes(certificate)
        assert await answered(address, disk.authority, client)
        assert len(errors) == 3


@pytest.mark.parametrize("name", ["certificate", "private_key", "authority"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_bad_files_at_the_start_are_named(disk, name, content):
    path = getattr(disk.files, name)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CredentialsError, match=str(path)):
        mutual_tls(disk.files, lambda _error: None)


def test_keys_are_not_printed(disk):
    from contour.xds import credentials

    contents = credentials.read(disk.files)
    assert "PRIVATE" not in repr(contents)
