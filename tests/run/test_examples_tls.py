"""The examples of certificates and connections, with the certificates that their pages tell to make."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.traffic.world import until

from contour.testing.backends import Backend
from contour.testing.clients import get, get_tls
from contour.testing.running import Running

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("examples-tls")]


def made(example: str, to: Path, ports: Mapping[int, Backend] | None = None) -> Path:
    """Run the recipe of a page; the folder with the example's manifests, their ports, and the Secrets."""
    folder = ROOT / "examples" / example
    recipe = re.search(
        r"^    (sh examples/certificates\.sh) \S+ (.*)$", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert recipe
    command = [*recipe[1].split(), str(to / "certificates"), *recipe[2].split()]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    copy = to / "manifests"
    copy.mkdir()
    (copy / "tls-secret.yaml").write_text((to / "certificates" / "tls-secret.yaml").read_text())
    manifests = folder / "manifests"
    for file in (manifests if manifests.is_dir() else folder).glob("*.yaml"):
        if file.name not in ("config.yaml", "tls-secret.yaml"):
            (copy / file.name).write_text(file.read_text())
    with_ports(copy, ports or {})
    return copy


def with_ports(folder: Path, ports: Mapping[int, Backend]) -> None:
    for file in folder.glob("*.yaml"):
        text = file.read_text()
        for port, backend in ports.items():
            text = re.sub(rf"port: {port}\b", f"port: {backend.port}", text)
        file.write_text(text)


def client(certificates: Path, shown: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    if shown:
        context.load_cert_chain(certificates / f"{shown}.crt", certificates / f"{shown}.key")
    return context


def server(certificates: Path, *, strict: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    if strict:
        context.load_verify_locations(certificates / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def valid(run: Running) -> None:
    found = [line.split() for line in run.lines if "HTTPProxy" in line]
    assert found
    assert {line[-1] for line in found} == {"valid"}


def test_client_certificates(tmp_path: Path) -> None:
    with Backend("web") as web:
        folder = made("client-certificates", tmp_path, {9161: web})
        certificates = tmp_path / "certificates"
        with Running(folder) as run:
            valid(run)

            def answered(name: str, shown: str = "") -> str | None:
                try:
                    return get_tls(run.https, name, context=client(certificates, shown)).backend
                except OSError:
                    return None

            assert [answered("required.localhost", shown) for shown in ("", "client", "revoked")] == [None, "web", None]
            assert [answered("optional.localhost", shown) for shown in ("", "client")] == ["web", "web"]
            answer = get_tls(run.https, "required.localhost", context=client(certificates, "client"))
            told = answer.seen.header("x-forwarded-client-cert") or ""
            assert 'Subject="CN=alice.example"' in told
            assert "DNS=alice.example" in told


def test_fallback_certificate(tmp_path: Path) -> None:
    with Backend("web") as web:
        folder = made("fallback-certificate", tmp_path, {9162: web})
        with Running(folder, "-c", str(ROOT / "examples/fallback-certificate/config.yaml")) as run:
            valid(run)
            assert get_tls(run.https, "", host="open.localhost").backend == "web"
            assert get_tls(run.https, "", host="strict.localhost").status == 404
            context = client(tmp_path / "certificates")
            for name in ("open.localhost", "strict.localhost"):
                assert get_tls(run.https, name, context=context).backend == "web"


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Path, Backend]]:
    """The folder, and the backend that ends TLS itself."""
    folder = made("tcpproxy", tmp_path)
    with Backend("secure", tls=server(tmp_path / "certificates")) as backend:
        yield folder, backend


def test_tcpproxy(tmp_path: Path, secure: tuple[Path, Backend]) -> None:
    folder, backend = secure
    with Backend("database") as database, Backend("queue") as queue:
        with_ports(folder, {9163: database, 9164: backend, 9165: queue})
        with Running(folder) as run:
            valid(run)
            context = client(tmp_path / "certificates")
            wanted = {"terminated": "database", "passthrough": "secure", "included": "queue"}
            for name, answers in wanted.items():
                until(lambda of=name, by=answers: get_tls(run.https, f"{of}.localhost", context=context).backend == by)
            assert get(run.http, "passthrough.localhost").status == 301


def test_upstream_certificate(tmp_path: Path) -> None:
    folder = made("upstream-certificate", tmp_path)
    with Backend("ledger", tls=server(tmp_path / "certificates", strict=True)) as ledger:
        with_ports(folder, {9166: ledger})
        with Running(folder, "-c", str(ROOT / "examples/upstream-certificate/config.yaml")) as run:
            valid(run)
            assert get(run.http, "ledger.localhost").backend == "ledger"
