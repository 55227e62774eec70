"""Options and fixtures of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-traces", action="store_true", help="validate every recorded trace with Envoy, not a sample (minutes)"
    )
