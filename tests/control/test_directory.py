from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contour.control.directory import remove_abandoned, run_directory

# Says where, and ends without cleaning up when it is told to.
PROGRAM = """
import os, sys
from contour.control.directory import run_directory
with run_directory(sys.argv[1]) as path:
    (path / "envoy.log").write_text("x")
    print(path, flush=True)
    sys.stdin.read()
    os._exit(9)
"""


@pytest.fixture
def parent() -> Iterator[Path]:
    """Short enough to hold sockets, which pytest's own directories need not be."""
    with tempfile.TemporaryDirectory(prefix="runs-", dir="/tmp") as name:
        yield Path(name)


def test_it_is_private_and_ends_with_the_run(parent: Path) -> None:
    with run_directory(str(parent)) as path:
        assert path.parent == parent
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "envoy.log").write_text("x")
    assert list(parent.iterdir()) == []


def test_what_a_dead_run_left_is_removed_by_the_next(parent: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        left = Path(other.stdout.readline().strip())
        with run_directory(str(parent)):
            assert (left / "envoy.log").exists()  # it lives
        other.communicate()
        assert other.returncode == 9
    assert left.exists()
    with run_directory(str(parent)) as path:
        assert list(parent.iterdir()) == [path]


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    for name, mode, lock in (
        ("contour-run-mine", 0o700, True),  # not a name that a run's directory has
        ("contour-run-abcd1234", 0o700, False),
        ("contour-run-abcd1235", 0o755, True),
        ("contour-abcd1236", 0o700, True),
    ):
        (tmp_path / name).mkdir(mode)
        (tmp_path / name).chmod(mode)
        if lock:
            (tmp_path / name / "run.lock").touch()
    (tmp_path / "contour-run-abcd1237").symlink_to(tmp_path / "contour-abcd1236")
    before = sorted(tmp_path.rglob("*"))
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_parent_too_long_for_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    with run_directory(str(deep)) as path:
        assert len(f"{path}/admin.sock") < 108
