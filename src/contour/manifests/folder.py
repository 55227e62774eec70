"""Which object a folder holds, from which file: pure, fed file by file, with the time as an argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from contour.api.meta import ObjectRef
from contour.manifests.reading import Contents, Gone, Unreadable

# An editor saves by unlink and create, a tool moves an object from one file to another, `>` truncates before it
# writes: for an instant the object is nowhere. What is missing for less than this was never gone.
GRACE = 0.1


class Change(msgspec.Struct, frozen=True, gc=False):
    """An object is there or has another value; `value` None: it is gone."""

    key: ObjectRef
    value: Any = None


class Problem(msgspec.Struct, frozen=True, gc=False, order=True):
    """Something in the folder that is not served as written. `line` 0: the file as a whole."""

    path: str
    line: int
    text: str
    key: ObjectRef | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


class _Held(msgspec.Struct, frozen=True, gc=False):
    value: Any
    line: int


class Folder:
    """The objects of all files; an object in several files is served from the one that had it first."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self._files: dict[str, dict[ObjectRef, _Held]] = {}
        self._problems: dict[str, tuple[Problem, ...]] = {}
        # Files that hold an object, the one that had it first in front.
        self._claims: dict[ObjectRef, list[str]] = {}
        self._contested: set[ObjectRef] = set()
        # No longer in the file, not dropped yet. In order of the deadline: the grace is the same for all.
        self._leaving: dict[tuple[str, ObjectRef], float] = {}

    def feed(self, path: str, reading: Contents | Unreadable | Gone, now: float) -> list[Change]:
        """Take what a file holds now; objects that it no longer holds go when `expire` is called after the grace."""
        held = self._files.setdefault(path, {})
        wanted, problems = _wanted(path, reading, held)
        self._set_problems(path, problems)
        changes: list[Change] = []
        for key in [*wanted, *(key for key in held if key not in wanted)]:
            before = self._served(key)
            if key in wanted:
                self._leaving.pop((path, key), None)
                held[key] = wanted[key]
                claims = self._claims.setdefault(key, [])
                if path not in claims:
                    claims.append(path)
            else:
                self._leaving.setdefault((path, key), now + self._grace)
            changes += self._difference(key, before)
        if not held:
            del self._files[path]
        return changes

    def expire(self, now: float) -> list[Change]:
        """Drop what has been missing since before the grace."""
        changes: list[Change] = []
        while self._leaving:
            (path, key), deadline = next(iter(self._leaving.items()))
            if deadline > now:
                break
            before = self._served(key)
            del self._leaving[path, key]
            held = self._files[path]
            del held[key]
            if not held:
                del self._files[path]
            claims = self._claims[key]
            claims.remove(path)
            if not claims:
                del self._claims[key]
            changes += self._difference(key, before)
        return changes

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do, if it has."""
        return next(iter(self._leaving.values()), None)

    @property
    def paths(self) -> tuple[str, ...]:
        """Files that hold an object or have a problem."""
        return tuple(self._files.keys() | self._problems.keys())

    def objects(self) -> Iterator[tuple[ObjectRef, Any]]:
        for key in self._claims:
            yield key, self._files[self._server(key)][key].value

    def where(self, key: ObjectRef) -> tuple[str, int] | None:
        """File and line that an object is served from."""
        if key not in self._claims:
            return None
        path = self._server(key)
        return path, self._files[path][key].line

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong now, in order of file and line."""
        found = [problem for problems in self._problems.values() for problem in problems]
        for key in self._contested:
            server = self._server(key)
            line = self._files[server][key].line
            found += [
                Problem(
                    path,
                    self._files[path][key].line,
                    f"{name(key)} is also in {server}:{line}, which had it first and is the one that is served",
                    key,
                )
                for path in self._claims[key]
                if path != server and (path, key) not in self._leaving
            ]
        return tuple(sorted(found, key=lambda problem: (problem.path, problem.line, problem.text)))

    def _server(self, key: ObjectRef) -> str:
        claims = self._claims[key]
        return next((path for path in claims if (path, key) not in self._leaving), claims[0])

    def _served(self, key: ObjectRef) -> Any:
        return self._files[self._server(key)][key].value if key in self._claims else None

    def _difference(self, key: ObjectRef, before: Any) -> Iterator[Change]:
        live = sum((path, key) not in self._leaving for path in self._claims.get(key, ()))
        (self._contested.add if live > 1 else self._contested.discard)(key)
        after = self._served(key)
        if after is not before and after != before:
            yield Change(key, after)

    def _set_problems(self, path: str, problems: list[Problem]) -> None:
        if problems:
            self._problems[path] = tuple(problems)
        else:
            self._problems.pop(path, None)


def name(key: ObjectRef) -> str:
    """An object as a message names it."""
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _wanted(
    path: str, reading: Contents | Unreadable | Gone, held: dict[ObjectRef, _Held]
) -> tuple[dict[ObjectRef, _Held], list[Problem]]:
    """What a file wants served. A document that is refused stands for the last good version of its object."""
    wanted: dict[ObjectRef, _Held] = {}
    problems: list[Problem] = []
    if isinstance(reading, Gone):
        return wanted, problems
    if isinstance(reading, Unreadable):
        kept = " (its last good version is kept)" if held else ""
        return dict(held), [Problem(path, reading.line, reading.reason + kept)]
    lines: dict[ObjectRef, int] = {}
    lost = False
    for entry in reading.entries:
        key = entry.key
        if key is not None and key in lines:
            text = f"{name(key)} is already in line {lines[key]} of this file, which is the one that is served"
            problems.append(Problem(path, entry.line, text, key))
            continue
        if key is not None:
            lines[key] = entry.line
        if entry.problem:
            lost = lost or entry.lost
            last = held.get(key) if key is not None else None
            kept = " (its last good version is kept)" if last or (entry.lost and held) else ""
            problems.append(Problem(path, entry.line, entry.problem + kept, key))
            if last and key is not None:
                wanted[key] = last
        elif key is not None:
            wanted[key] = _Held(entry.value, entry.line)
            problems += [Problem(path, entry.line, f"{name(key)}: {text}", key) for text in entry.warnings]
    return (held | wanted if lost else wanted), problems
