"""The YAML of the pages is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contour.control import settings
from contour.control.sources import load

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("authorization.md", "extension-services.md", "rate-limits.md")


@pytest.mark.parametrize("page", PAGES)
def test_blocks(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    objects = 0
    for number, block in enumerate(blocks):
        if "apiVersion:" not in block:
            settings.load(block)  # a configuration file
            continue
        file = tmp_path / f"{number}.yaml"
        file.write_text(block, encoding="utf-8")
        sources = load([str(file)])
        assert (sources.refused, sources.notices) == ({}, [])
        objects += len(sources.objects)
    assert objects
