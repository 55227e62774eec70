"""The pages on policies name everything there is: variables, annotations, reasons, examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contour.api.annotations import OLD_PREFIX, PREFIX, value
from contour.dag.policy.headers import _ENVOY_VARIABLES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src" / "contour" / "dag"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_variables() -> None:
    """All, and none that is not one."""
    named = set(re.findall(r"%([A-Z][A-Z0-9_]+)%", page("headers")))
    ours = {"CONTOUR_NAMESPACE", "CONTOUR_SERVICE_NAME", "CONTOUR_SERVICE_PORT"}
    assert named == {*_ENVOY_VARIABLES, *ours, "START_TIME"}  # an example of one that is not


def test_annotations_of_services() -> None:
    source = (SOURCES / "services.py").read_text(encoding="utf-8")
    read = set(re.findall(r'limit\("([a-z-]+)"\)', source)) | {
        f"upstream-protocol.{one}" for one in ("h2", "h2c", "tls")
    }
    rows = re.findall(r"^\| (`(?:upstream|max|per).*?) \|", page("upstreams"), re.MULTILINE)
    named = {name: "¹" in row for row in rows for name in re.findall(r"`([a-z0-9.-]+)`", row)}
    assert set(named) == read
    for name, older in named.items():
        assert value({PREFIX + name: "1"}, name) == "1"
        assert value({OLD_PREFIX + name: "1"}, name) == ("1" if older else "")


@pytest.mark.parametrize(
    ("name", "source", "pattern"),
    [
        ("jwt", "policy/jwt.py", r'(?:_finding|_remote)\(\s*"([A-Za-z]+)"'),
        ("conditions", "client_validation.py", r'"(DelegationNotPermitted|ClientValidationInvalid)"'),
        ("access", "policy/ipfilter.py", r'"IPFilterError", "([A-Za-z]+)"'),
        ("access", "httpproxy.py", r'"(?:IPFilterError|CORSError)", "([A-Za-z]+)"'),
    ],
)
def test_reasons(name: str, source: str, pattern: str) -> None:
    reasons = set(re.findall(pattern, (SOURCES / source).read_text(encoding="utf-8")))
    assert reasons
    assert {reason for reason in reasons if f"`{reason}`" not in page(name)} == set()


@pytest.mark.parametrize("name", ["jwt", "access", "upstreams", "headers", "tls"])
def test_examples_are_there(name: str) -> None:
    named = re.findall(r"examples/([a-z-]+)", page(name))
    assert named
    assert all((ROOT / "examples" / one).is_dir() for one in named)
