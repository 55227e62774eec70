"""The real global rate limit service with the real redis behind it, for tests: built by Go, as no registry ships it.

    python -m contour.testing.ratelimit --port 8081 examples/rate-limit/limits.yaml

serves these limits. What is built stays below `.cache/`, under its version.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from contour.testing.ports import free_port

_MODULE = "github.com/envoyproxy/ratelimit/src/service_cmd"
_VERSION = "v1.4.1-0.20260122083618-3fb702589d36"
_CACHE = Path(__file__).parents[3] / ".cache" / "ratelimit" / _VERSION
_START_LIMIT = 20.0
_PAUSE = 0.02


class UnavailableError(Exception):
    """A part cannot be had here; the text says which and why."""


def binary() -> Path:
    """The service, built now if it is not there: some 2 minutes on two cores."""
    built = _CACHE / "service_cmd"
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        raise UnavailableError("the rate limit service is built by Go, and there is no Go on this machine")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:  # one builder at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            print(f"building {_MODULE}@{_VERSION}: some 2 minutes …", file=sys.stderr, flush=True)
            environment = {**os.environ, "GOBIN": str(_CACHE), "GOTOOLCHAIN": "local", "GOFLAGS": ""}
            done = subprocess.run(
                [go, "install", f"{_MODULE}@{_VERSION}"], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise UnavailableError(f"the rate limit service does not build: {done.stderr[-500:]}")
    return built


def redis() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise UnavailableError("the rate limit service counts in redis, and there is no redis-server on this machine")
    return found


class RateLimits:
    """Running service and redis; `limits` is the text of its configuration (domain and descriptors)."""

    def __init__(self, limits: str, *, port: int = 0) -> None:
        self._service, self._redis = binary(), redis()
        self._limits = limits
        self.port = port or free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="ratelimit-")
        root = Path(self._directory.name)
        folder = root / "ratelimit" / "config"
        folder.mkdir(parents=True)
        (folder / "limits.yaml").write_text(self._limits, encoding="utf-8")
        try:
            self._serve(root)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def wait(self) -> None:
        self._processes[-1].wait()

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()
        self._processes.clear()
        self._directory.cleanup()

    def _serve(self, root: Path) -> None:
        socket = root / "redis.sock"
        log = root / "log"
        self._start(
            log, [self._redis, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"], {}
        )
        _until(socket.exists, log)
        health = free_port()
        local = "127.0.0.1"
        settings = {
            "USE_STATSD": "false", "LOG_LEVEL": "warn", "REDIS_SOCKET_TYPE": "unix", "REDIS_URL": str(socket),
            "RUNTIME_ROOT": str(root), "RUNTIME_SUBDIRECTORY": "ratelimit", "RUNTIME_WATCH_ROOT": "false",
            "RUNTIME_IGNOREDOTFILES": "true", "HOST": local, "PORT": str(health), "GRPC_HOST": local,
            "GRPC_PORT": str(self.port), "DEBUG_HOST": local, "DEBUG_PORT": str(free_port()),
        }  # fmt: skip
        self._start(log, [str(self._service)], settings)
        _until(lambda: _healthy(health), log)

    def _start(self, log: Path, command: list[str], settings: dict[str, str]) -> None:
        with log.open("ab") as file:
            self._processes.append(
                subprocess.Popen(
                    command, env={**os.environ, **settings}, cwd=log.parent, stdout=file, stderr=subprocess.STDOUT
                )
            )


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _until(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise UnavailableError(f"the rate limit service does not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(_PAUSE)


def main() -> None:
    parser = argparse.ArgumentParser(description="A rate limit service for the example.")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("limits", type=Path, help="file with domain and descriptors")
    arguments = parser.parse_args()
    with RateLimits(arguments.limits.read_text(encoding="utf-8"), port=arguments.port) as service:
        print(f"listening on 127.0.0.1:{service.port}", flush=True)
        service.wait()


if __name__ == "__main__":
    main()
