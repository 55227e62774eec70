"""One Envoy for a module; what a test applies is gone after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.traffic.world import World

from contour.testing.envoy import Envoy


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A program with an Envoy, for all tests of a module."""
    world = World(tmp_path_factory.mktemp("w"))
    try:
        world.envoy()
        yield world
    finally:
        world.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The same, without the objects of earlier tests."""
    yield running
    running.clear()


@pytest.fixture(scope="module")
def classic(running: World) -> Envoy:
    return running.envoy(shape="classic")


@pytest.fixture(params=["scoped", "classic"])
def envoy(request: pytest.FixtureRequest, running: World, classic: Envoy) -> Envoy:
    return classic if request.param == "classic" else running.envoys[0]
