"""Options and fixtures of the whole suite."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings

# The suite judges a change, so its random cases are the same in each run; `make search` looks for others.
settings.register_profile("suite", derandomize=True)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-traces", action="store_true", help="validate every recorded trace with Envoy, not a sample (minutes)"
    )
    parser.addoption("--fuzz", type=int, metavar="N", help="let the fuzzer make about N objects, others in each run")
    parser.addoption(
        "--outage", type=float, default=3, metavar="SECONDS", help="how long the API server is gone; try 60"
    )
    parser.addoption(
        "--golden-write", action="store_true", help="rewrite the outputs in tests/golden, to be reviewed in the diff"
    )


def pytest_configure() -> None:
    # Otherwise pytest-asyncio asks for the current loop, which makes one that nobody closes (Python before 3.12).
    asyncio.set_event_loop(None)
