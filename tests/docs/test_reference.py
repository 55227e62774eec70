"""The reference pages say what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tools.configuration_texts import SECTIONS
from tools.reference import pages

from contour.cli import serve
from contour.control import settings

OFF = ("tracing.", "rateLimitService.", "globalExtAuth.")  # nothing of them holds unless all of it is there
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("path", "text"), [pytest.param(*page, id=page[0].name) for page in pages().items()])
def test_a_reference_page_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: python -m tools.reference"


def test_flags_that_the_configuration_page_names_are_there() -> None:
    flags = {name for parameter in serve.command.params for name in parameter.opts}
    named = {text.flag for _, _, texts in SECTIONS for text in texts.values() if text.flag}
    assert named
    assert named <= flags


def test_defaults_that_the_configuration_page_gives_hold() -> None:
    """Said with the value that it says, a key changes nothing."""
    checked = 0
    for _, _, texts in SECTIONS:
        for path, text in texts.items():
            if re.fullmatch("`[^`]+`", text.default) and "[]" not in path and not path.startswith(OFF):
                *parents, last = path.split(".")
                value = text.default.strip("`")
                document: Any = {last: int(value) if value.isdigit() else value}
                for parent in reversed(parents):
                    document = {parent: document}
                assert settings.load(json.dumps(document)) == settings.load(""), path
                checked += 1
    assert checked >= 10


def test_links_between_pages_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
