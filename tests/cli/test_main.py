"""The parser rules of operations.md §1.1, by running the program."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest


def contour(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from contour.cli import main; main()"]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, timeout=30)


def test_without_a_command_the_usage_is_printed() -> None:
    done = contour()
    assert done.returncode == 0
    for name in ("bootstrap", "cli", "render", "run", "serve", "version"):
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("version", "--nonsense"),
        ("--log-format=xml", "version"),
        ("version", "--log-format=xml"),
        ("@/nonexistent/file",),
    ],
)
def test_an_error_is_one_line_and_exit_1(arguments: tuple[str, ...]) -> None:
    done = contour(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("contour: error: ")
    assert done.stderr.endswith(", try --help\n")
    assert "., " not in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_argument_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "args").write_bytes(b"\xff\xfe")
    done = contour(f"@{tmp_path}/args")
    assert (done.returncode, done.stderr) == (1, f"contour: error: @{tmp_path}/args: not UTF-8 text, try --help\n")


def test_version_goes_to_stderr_as_yaml() -> None:
    done = contour("version")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("version: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--log-format=json", "serve"),
        ("serve", "--log-format=json"),
        ("--log-format=text", "serve", "--log-format", "json"),
    ],
)
def test_the_global_flag_stands_anywhere(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = contour(*arguments, "--insecure", f"--kubeconfig={tmp_path}/none")
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["level"] == "error"


def test_a_file_stands_for_its_lines(tmp_path: Path) -> None:
    (tmp_path / "args").write_text("# the command\n\nversion\n")
    assert contour(f"@{tmp_path}/args").stderr.startswith("version: ")
    (tmp_path / "args").write_bytes(b"version\n\xff")
    assert contour(f"@{tmp_path}/args").stderr == f"contour: error: @{tmp_path}/args: not UTF-8 text, try --help\n"


@pytest.mark.parametrize("name", ["bootstrap", "cli", "render", "run", "serve", "version"])
def test_help(name: str) -> None:
    for done in (contour("help", name), contour(name, "--help")):
        assert f"Usage: contour {name}" in done.stdout


@pytest.mark.parametrize("name", ["bootstrap", "cli", "cli cds", "render", "run", "serve"])
def test_help_lists_flags_in_alphabetical_order(name: str) -> None:
    flags = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", contour("help", *name.split()).stdout, re.MULTILINE)
    assert len(flags) > 5
    assert [*flags[:-1]] == sorted(flags[:-1])
    assert flags[-1] == "--help"  # which all commands have


def test_version_is_quick() -> None:
    """The goal is 0.2 s. Processor time, and the least of three, because other tests run beside this one."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        contour("version")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= 0.2
