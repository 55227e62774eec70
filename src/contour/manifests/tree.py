"""The manifests below a folder: which files count, and how to tell that one has changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".yaml", ".yml", ".json")


class Signature(NamedTuple):
    """What differs when a file was written or replaced. `regular`: not a pipe or device, which would block."""

    modified: int
    changed: int
    size: int
    inode: int
    device: int
    regular: bool


# What is there, but of which no more can be told: who opens it learns why.
UNKNOWN = Signature(0, 0, 0, 0, 0, regular=True)


def walk(root: str, known: Mapping[str, Signature]) -> Iterator[tuple[str, Signature]]:
    """Manifests below a folder. Links are followed, but into no folder that is being walked already.

    What is known of a folder that may not be read any longer stays as it is known, and it is itself among what is found.
    """
    pending = [(root, frozenset({identity(Path(root))}))]
    while pending:
        folder, above = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except PermissionError:
            yield folder, UNKNOWN
            yield from ((path, signature) for path, signature in known.items() if path.startswith(f"{folder}/"))
            continue
        except OSError:
            continue  # vanished meanwhile
        for entry in entries:
            if hidden(entry.path):
                continue
            if _is_folder(entry):
                found = identity(Path(entry.path))
                if found not in above:
                    pending.append((entry.path, above | {found}))
            elif entry.name.endswith(SUFFIXES):
                signature = signature_of(entry.path)
                if signature is not None:
                    yield entry.path, signature


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def hidden(path: str) -> bool:
    """Editors' and tools' own files: `.a.yaml.swp`, `.#a.yaml`, `a.yaml~`, `#a.yaml#`, `..data`."""
    name = path.rpartition("/")[2]
    return name.startswith((".", "#")) or name.endswith("~")


def identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def signature_of(path: str) -> Signature | None:
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # a link to itself, a folder that may not be entered
        return UNKNOWN
    if stat.S_ISDIR(found.st_mode):
        return None
    return Signature(
        found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev, stat.S_ISREG(found.st_mode)
    )
