"""What `contour serve` says when it cannot begin: one line with the place and the reason, and exit status 1."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contour.testing.certs import Authority
from contour.testing.ports import free_port
from contour.testing.serving import Serving

KUBECONFIG = """
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: "{server}"{cluster}}}}}]
users: [{{name: u, user: {{{user}}}}}]
"""
NOWHERE = "https://127.0.0.1:1"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Of a server that nobody asks."""
    return write(tmp_path)


def write(folder: Path, server: str = NOWHERE, cluster: str = "", user: str = "token: hidden") -> Path:
    path = folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(server=server, cluster=f", {cluster}" if cluster else "", user=user))
    return path


def failing(*arguments: str, **environment: str) -> str:
    """The line of the error."""
    program = [sys.executable, "-c", "from contour.cli import main; main()", "serve"]
    ports = [f"--{name}-port={free_port()}" for name in ("xds", "http", "health")]
    done = subprocess.run(
        [*program, *ports, *arguments],
        env={**os.environ, "HOME": "/nonexistent", **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "hidden" not in said
    (line,) = (line for line in said.splitlines() if "level=error" in line or line.startswith("contour: error: "))
    return line


PLUGIN = "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, {}}}"


@pytest.mark.parametrize(
    ("server", "cluster", "user", "says"),
    [
        pytest.param("https://127.0.0.1:99999", "", "", "server: its host or its port is none", id="port"),
        pytest.param(NOWHERE, "certificate-authority: no.crt", "", "/no.crt: No such file", id="no authority"),
        pytest.param(NOWHERE, "certificate-authority: kubeconfig", "", "/kubeconfig: certificate authority", id="junk"),
        pytest.param(NOWHERE, "", "tokenFile: no", "/no: No such file", id="no token"),
        pytest.param(
            NOWHERE, "", "client-certificate-data: aA==, client-key-data: aA==", "client certificate", id="client"
        ),
        pytest.param(NOWHERE, "", PLUGIN.format("command: no-such"), "exec no-such: No such file", id="no program"),
        pytest.param(NOWHERE, "", PLUGIN.format("command: 'false'"), 'exec false: exit status 1"', id="program"),
        pytest.param(
            NOWHERE, "", PLUGIN.format("command: echo, args: [hidden]"), "not an ExecCredential", id="what it prints"
        ),
    ],
)
def test_a_kubeconfig_that_cannot_work(tmp_path: Path, server: str, cluster: str, user: str, says: str) -> None:
    path = write(tmp_path, server, cluster, user or "token: hidden")
    assert says in failing("--insecure", f"--kubeconfig={path}")


def test_an_address_of_a_pod_that_is_none() -> None:
    service = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "tcp"}
    assert "in-cluster configuration" in failing("--insecure", "--incluster", **service)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--watch-namespaces=web,../x", '--watch-namespaces: Invalid value: "../x": a lowercase RFC 1123 label'),
        ("--leader-election-resource-namespace=A", "--leader-election-resource-namespace: Invalid value"),
        ("--leader-election-resource-name=a/b", "--leader-election-resource-name: Invalid value"),
        ("--xds-port=x", "--xds-port"),
    ],
)
def test_names_that_no_object_has(kubeconfig: Path, flag: str, says: str) -> None:
    assert says in failing("--insecure", f"--kubeconfig={kubeconfig}", flag)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    authority = Authority()
    pair, other = authority.sign("contour"), authority.sign("envoy")
    found = {"ca": authority.certificate, "crt": pair.certificate, "key": pair.private_key, "other": other.private_key}
    for name, content in {**found, "junk": b"hidden"}.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in (*found, "junk", "none")}


BAD_FILES = [
    (("ca", "none", "key"), "none: No such file or directory"),
    (("ca", "junk", "key"), 'junk: not a PEM certificate"'),
    (("junk", "crt", "key"), 'junk: not a PEM certificate"'),
    (("ca", "crt", "junk"), 'junk: not an unencrypted PEM private key"'),
    (("ca", "crt", "other"), "other: does not belong to the certificate in "),
]


@pytest.mark.parametrize(("names", "says"), BAD_FILES, ids=["-".join(names) for names, _ in BAD_FILES])
def test_certificates_name_file_and_flags(
    kubeconfig: Path, files: dict[str, Path], names: tuple[str, str, str], says: str
) -> None:
    flags = ("--contour-cafile", "--contour-cert-file", "--contour-key-file")
    given = [f"{flag}={files[name]}" for flag, name in zip(flags, names, strict=True)]
    line = failing(f"--kubeconfig={kubeconfig}", *given)
    assert says in line
    assert all(flag in line for flag in flags)


@pytest.mark.parametrize(("names", "says"), BAD_FILES, ids=["-".join(names) for names, _ in BAD_FILES])
def test_certificates_of_the_metrics_page(
    kubeconfig: Path, tmp_path: Path, files: dict[str, Path], names: tuple[str, str, str], says: str
) -> None:
    keys = ("ca-certificate-path", "server-certificate-path", "server-key-path")
    lines = [f"    {key}: {files[name]}" for key, name in zip(keys, names, strict=True)]
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(["metrics:", "  contour:", *lines]))
    line = failing("--insecure", f"--kubeconfig={kubeconfig}", f"--config-path={config}")
    assert says in line
    assert "metrics.contour" in line


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("flag", ["--xds-port", "--http-port", "--health-port"])
def test_a_port_that_is_taken(kubeconfig: Path, taken: int, flag: str) -> None:
    line = failing("--insecure", f"--kubeconfig={kubeconfig}", f"{flag}={taken}")
    assert f"port {taken} is taken by another program: choose another one with {flag}" in line


def test_a_port_for_two(kubeconfig: Path) -> None:
    port = free_port()
    line = failing("--insecure", f"--kubeconfig={kubeconfig}", f"--xds-port={port}", f"--http-port={port}")
    assert f"port {port} is given twice, by --xds-port and --http-port" in line


def test_what_is_no_request_is_not_logged(kubeconfig: Path) -> None:
    serving = Serving(kubeconfig, "--kubernetes-client-qps=inf")
    serving.launch()
    try:
        serving.wait_for("127.0.0.1:1: Connection refused", 30)
        with socket.create_connection(("127.0.0.1", serving.http_port), 10) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert connection.recv(1)
        assert "contour_build_info" in serving.page("/metrics")
    finally:
        serving.stop()
    assert [line for line in serving.lines if "400" in line or not line.startswith("time=")] == []
