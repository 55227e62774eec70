"""A real API server for the tests of this folder; each test runs inside its network. docs/testing.md."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from contour.testing.cluster import Api, Cluster, Network, NetworkError
from contour.testing.cluster.binaries import PROGRAMS, GoError, binary

HERE = "tests/cluster/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has all of these: a second server would cost more than it saves."""
    for item in items:
        if HERE in item.nodeid.replace("\\", "/"):
            item.add_marker(pytest.mark.xdist_group("cluster"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """The first build takes minutes, more than a test may."""
    if session.config.option.collectonly or not any(HERE in item.nodeid for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        _missing()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server for all tests, with Contour's CRDs. Who breaks it takes `own_cluster`."""
    _skip_if_missing()
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server of this test alone, with Contour's CRDs: some four seconds."""
    _skip_if_missing()
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test's thread, and what it starts, is in the network of its cluster."""
    name = "own_cluster" if "own_cluster" in request.fixturenames else "cluster"
    cluster: Cluster = request.getfixturevalue(name)
    with cluster.network.entered():
        yield


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """A client with all rights for the test's cluster. What is made with it is deleted at the end."""
    name = "own_cluster" if "own_cluster" in request.fixturenames else "cluster"
    cluster: Cluster = request.getfixturevalue(name)
    with cluster.api() as api:
        yield api
        api.delete_made()


@functools.cache
def _missing() -> str | None:
    """Why there can be no cluster here."""
    try:
        Network().close()
        for program in PROGRAMS:
            binary(program)
    except (NetworkError, GoError) as error:
        return f"no test cluster: {error}"
    return None


def _skip_if_missing() -> None:
    if reason := _missing():
        pytest.skip(reason)
