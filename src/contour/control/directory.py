"""The directory of one `contour run`: made for it, removed at its end; what killed runs left is removed by the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "contour-run-"
# As `mkdtemp` calls what it makes.
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
# Locked by a run as long as it lives, however it ends. Only a directory with this file was ever made here.
_LOCK = "run.lock"
# sun_path holds 108 bytes; the longest name in the directory is `admin.sock`.
_LONGEST_PARENT = 66


@contextlib.contextmanager
def run_directory(parent: str | None = None) -> Iterator[Path]:
    """A directory of this run alone, which nobody else may enter: whoever opens the xDS socket reads private keys."""
    parent = parent or tempfile.gettempdir()
    parent = parent if len(parent) < _LONGEST_PARENT else "/tmp"  # noqa: S108
    remove_abandoned(Path(parent))
    path, lock = _make(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove directories of this user's runs that ended without doing so themselves."""
    with contextlib.suppress(OSError):
        for path in sorted(parent.glob(f"{_PREFIX}*")):
            if _NAME.fullmatch(path.name) and _is_ours(path):
                _remove_if_abandoned(path)


def _make(parent: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        # Between the two lines above and below another run may have taken this for abandoned.
        if _locks(lock) and (path / _LOCK).exists():
            return path, lock
        os.close(lock)


def _remove_if_abandoned(path: Path) -> None:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if _locks(lock):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _locks(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_ours(path: Path) -> bool:
    """A real directory of this user that nobody else may enter."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
