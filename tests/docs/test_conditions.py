"""Every text of a status is in `docs/conditions.md`, and every row of that page has a golden."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# Too many objects for a golden; tests/dag has them.
_WITHOUT_GOLDEN = {"TooManyIncludes"}


class Text(NamedTuple):
    """In a row of the page `…` stands for anything."""

    kind: str
    part: str  # "errors", "warnings", "description" or "findings"
    names: tuple[str, ...]  # type and reason, a state, or a reason
    message: str


@cache
def rows() -> tuple[Text, ...]:
    """Those of all tables, by the kind and the severity that their headings name."""
    found: list[Text] = []
    kind, part = "", ""
    for line in (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
            part = {"IngressRoute": "description", "Ingress": "findings"}.get(kind, "errors")
        elif line.startswith("### "):
            part = "warnings" if "Warnings" in line else "errors"
        elif line.startswith("| `"):
            cells = [cell.strip().strip("`").strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            width = {"description": 1, "findings": 1}.get(part, 2)
            message = cells[width] if part != "findings" else "…"
            found.append(Text(kind, part, tuple(cells[:width]), message))
    return tuple(found)


@cache
def told() -> tuple[Text, ...]:
    found = []
    for path in sorted((ROOT / "tests" / "golden").glob("*/status.yaml")):
        for entry in yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) or ():
            kind, status = entry["kind"], entry["status"]
            if kind == "IngressRoute":
                found.append(Text(kind, "description", (status["currentStatus"],), status["description"]))
            for condition in status.get("conditions", ()):
                for part in ("errors", "warnings"):
                    for one in condition.get(part, ()):
                        found.append(Text(kind, part, (one["type"], one["reason"]), one["message"]))  # noqa: PERF401
    for path in sorted((ROOT / "tests" / "golden").glob("*/graph.yaml")):
        for reason, message in re.findall(r"IngressError/(\w+): (.*)'", path.read_text(encoding="utf-8")):
            found.append(Text("Ingress", "findings", (reason,), message))
    return tuple(dict.fromkeys(found))


def says(row: Text, one: Text) -> bool:
    if row[:3] != one[:3]:
        return False
    pattern = ".*".join(re.escape(part) for part in row.message.split("…"))
    return re.fullmatch(pattern, one.message, re.DOTALL) is not None


def test_the_page_is_read_to_its_end() -> None:
    assert {(row.kind, row.part) for row in rows()} == {
        *((kind, part) for kind in ("HTTPProxy", "ExtensionService") for part in ("errors", "warnings")),
        ("IngressRoute", "description"),
        ("Ingress", "findings"),
    }


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join((row.kind, *row.names)))
def test_every_row_has_a_golden(row: Text) -> None:
    assert row.names[-1] in _WITHOUT_GOLDEN or any(says(row, one) for one in told())


def test_every_text_of_the_goldens_has_a_row() -> None:
    anybody = {"SchemaError", "EnvoyError"}  # of every kind
    missing = [one for one in told() if one.names[0] not in anybody and not any(says(row, one) for row in rows())]
    assert not missing
