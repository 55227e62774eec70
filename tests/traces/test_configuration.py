"""What a configuration file and flags come to, against what Contour itself makes of them (`../shared/traces/config`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.traces import cases

from contour.cli.flags import parse
from contour.control.settings import Flags, SettingsError, effective, load

pytestmark = pytest.mark.skipif(not cases.ROOT.exists(), reason=f"no recorded traces: {cases.ROOT.name} is absent")

# The text after this prefix is of a YAML library; ours names every key that is wrong.
_YAML = "failed to parse configuration: "
# operations.md §14.1, quirk 6: the reference takes one spelling of these keys, ours takes both.
_BOTH_SPELLINGS = {"extauth-http-camelcase-rejected"}


def _cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((cases.ROOT / "config").glob("*.json")):
        case = json.loads(path.read_text())
        if "config_yaml" in case:
            yield path.stem, case


def _without_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        found = {key: _without_zeros(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (None, False, 0, "", {}, [])}
    return [_without_zeros(item) for item in value] if isinstance(value, list | tuple) else value


def test_every_effective_configuration_agrees() -> None:
    compared = 0
    for name, case in _cases():
        if "effective_config" in case:
            spec = effective(case["config_yaml"], Flags(**parse(case["args"])))
            got, wanted = _without_zeros(msgspec.to_builtins(spec)), _without_zeros(case["effective_config"])
            assert _differences(wanted, got) == [], name
            compared += 1
    assert compared >= 50


def test_every_refusal_agrees() -> None:
    compared = 0
    for name, case in _cases():
        if "error" not in case or name in _BOTH_SPELLINGS:
            continue
        with pytest.raises(SettingsError) as caught:
            load(case["config_yaml"], Flags(**parse(case["args"])))
        wanted, got = case["error"].removeprefix("config: "), str(caught.value)
        if wanted.startswith(_YAML):
            wanted, got = _YAML, got[: len(_YAML)]
        assert got == wanted, name
        compared += 1
    assert compared >= 17


def _differences(wanted: Any, got: Any, path: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(got, dict):
        keys = sorted(wanted.keys() | got.keys())
        return [one for key in keys for one in _differences(wanted.get(key), got.get(key), f"{path}.{key}")]
    return [] if wanted == got else [f"{path}: want {wanted!r}, got {got!r}"]
