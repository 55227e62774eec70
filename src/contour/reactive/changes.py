"""What a commit reports."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from contour.reactive.source import K, Source, V

if TYPE_CHECKING:
    from contour.reactive.collection import Collection


@dataclass(frozen=True, slots=True)
class Changes(Generic[K, V]):
    """Members of one collection that differ from the last report: added or changed, and removed."""

    set: dict[K, V]
    removed: builtins.set[K]

    def __bool__(self) -> bool:
        return bool(self.set or self.removed)


class ChangeSet:
    """The changes of all collections; true if there is any. `failures`: what was raised, by source and key; their
    values are those of before.
    """

    __slots__ = ("_changes", "failures")

    def __init__(
        self,
        changes: dict[Collection[Any, Any], Changes[Any, Any]],
        failures: Mapping[Source[Any, Any], Mapping[Any, Exception]] | None = None,
    ) -> None:
        self._changes = changes
        self.failures: Mapping[Source[Any, Any], Mapping[Any, Exception]] = failures or {}

    def __getitem__(self, collection: Collection[K, V]) -> Changes[K, V]:
        return self._changes.get(collection) or Changes({}, set())

    def __bool__(self) -> bool:
        return bool(self._changes)
