"""The Lua scripts that come with the package, as constant text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def script(name: str) -> str:
    return (files("contour.envoy") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
