"""Every replica, and every restart, makes the same bytes of the same objects: Envoys move between them unharmed.

Python hashes strings differently in each process, so that an order taken from a set shows here and nowhere else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.control import universe

EXAMPLES = int(os.environ.get("CONTOUR_EXAMPLES", "100"))
pytestmark = pytest.mark.timeout(60 + EXAMPLES)

HASH_SEEDS = ("1", "2", "4", "6")
ROOT = Path(__file__).parents[2]


def some_lists() -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(universe.objects, min_size=10, max_size=25))
    def collect(mappings: list[dict[str, Any]]) -> None:
        by_key = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in mappings}
        basis = {(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]): one for one in universe.BASIS}
        found.append(list((basis | by_key).values()))

    collect()
    return found


def answers(lists: list[list[dict[str, Any]]], hash_seed: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.control.digests", hash_seed],
        input=json.dumps(lists).encode(),
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_processes_agree() -> None:
    lists = some_lists()
    first, *others = (answers(lists, seed) for seed in HASH_SEEDS)
    for other in others:
        for mappings, mine, theirs in zip(lists, first, other, strict=True):
            different = [name for name, digest in mine.items() if theirs[name] != digest]
            assert not different, f"{different} of {json.dumps(mappings)}"
