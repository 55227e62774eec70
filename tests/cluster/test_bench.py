"""The benchmark runs, small: what it drives and what it prints has not come apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(120)
def test_a_small_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    command = [sys.executable, "-m", "bench.cluster", "--hosts", "30", "--scenarios", "s11,s6", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    assert result["scenarios"]["S11"] | {"effective": 20, "status": "invalid"} == result["scenarios"]["S11"]
    assert result["scenarios"]["S6"]["segments"] == 0
    assert "S6 1,000 touches" in done.stdout
