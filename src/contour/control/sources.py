"""Objects from files, read once: what `contour render -f` names."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from contour.api.decode import decode
from contour.api.meta import Object, ObjectRef
from contour.manifests.folder import name
from contour.manifests.reading import Contents, Unreadable, read
from contour.manifests.tree import walk


class SourceError(Exception):
    """A file that cannot be used; the text names file, line and reason."""


class Sources(msgspec.Struct):
    """What the files hold: objects in order, refused objects with the reason, and what their author should know."""

    objects: dict[ObjectRef, Object] = {}
    refused: dict[ObjectRef, str] = {}
    notices: list[str] = []


def load(paths: Iterable[str], *, admission: bool = True) -> Sources:
    """Read files, folders (all manifests below) and `-` (standard input). Raises SourceError."""
    found = Sources()
    where: dict[ObjectRef, str] = {}
    for path in _files(paths):
        contents = _read(path, admission=admission)
        for entry in contents.entries:
            place = f"{path}:{entry.line}"
            if entry.lost:
                raise SourceError(f"{place}: {entry.problem}")
            if entry.key is None:
                found.notices.append(f"{place}: {entry.problem}")
                continue
            found.notices += [f"{place}: {name(entry.key)}: {text}" for text in entry.warnings]
            if entry.key in where:
                raise SourceError(f"{place}: {name(entry.key)} is also in {where[entry.key]}; remove one of them")
            where[entry.key] = place
            if entry.problem:
                found.refused[entry.key] = entry.problem
            else:
                found.objects[entry.key] = entry.value
    return found


def _read(path: str, *, admission: bool) -> Contents:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    contents = read(data, json=path.endswith(".json"), decode=None if admission else decode)
    if isinstance(contents, Unreadable):
        raise SourceError(f"{path}:{contents.line}: {contents.reason}")
    return contents


def _files(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path != "-" and Path(path).is_dir():
            yield from sorted(file for file, _ in walk(path, {}))
        else:
            yield path
