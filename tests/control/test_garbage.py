"""What survives a full collection is walked again only by every so many."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from contour.control import garbage


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_survivors_are_left_alone_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_ALL", 3)
    with garbage.survivors_frozen():
        old = Circle()
        gc.collect()
        assert gc.get_freeze_count() > 0
        frozen, young = weakref.ref(old), weakref.ref(Circle())
        del old
        gc.collect()
        assert young() is None
        assert frozen() is not None  # which a walk would have found
        gc.collect()  # the third
        assert frozen() is None


def test_what_is_dropped_without_a_cycle_goes_at_once() -> None:
    with garbage.survivors_frozen():
        held = {"one": [Circle()]}
        gc.collect()
        gone = weakref.ref(held["one"][0])
        held["one"][0].itself = None  # type: ignore[assignment]
        del held
        assert gone() is None
