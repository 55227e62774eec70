"""What one file holds: its documents, decoded and admitted. Pure: bytes in, entries out.

A document that did not change since the file was read last is neither parsed nor decoded again.
"""

from __future__ import annotations

import hashlib
import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from contour.api.admission import review
from contour.api.decode import CLUSTER_SCOPED, REGISTRY, DecodeError, UnknownKind
from contour.api.meta import Object, ObjectRef
from contour.api.yaml import documents

MAX_FILE = 256 << 20
# Bytes of about 100 documents: what takes longer to read than some 25 ms is read away from the event loop.
LARGE = 32 << 10


Decode = Callable[[Mapping[str, Any]], Object]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A document, or an item of a list. `problem` not empty: it is refused or skipped, and `key` may be unknown.

    `lost`: it cannot even be told which object it stands for, so it may be any that the file held before.
    `warnings`: what its author should know although it is served.
    """

    line: int
    key: ObjectRef | None
    value: Any
    problem: str = ""
    lost: bool = False
    warnings: tuple[str, ...] = ()


class Contents(msgspec.Struct, frozen=True):
    """All entries of a file. `pieces`: entries by the digest of the text that they came from, lines relative to it."""

    entries: tuple[Entry, ...]
    pieces: Mapping[bytes, tuple[Entry, ...]] = {}


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """The file as a whole cannot be used; `line` 0: its text was not even looked at."""

    reason: str
    line: int = 0


class Gone(msgspec.Struct, frozen=True, gc=False):
    """There is no such file."""


GONE = Gone()


def read(
    data: bytes, *, json: bool = False, earlier: Contents | None = None, decode: Decode | None = None
) -> Contents | Unreadable:
    """Entries of a file in order. `earlier`: what it held before, read with the same `decode` (default: admission)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Unreadable("not UTF-8 text", data.count(b"\n", 0, error.start) + 1)
    known = earlier.pieces if earlier else {}
    entries: list[Entry] = []
    pieces: dict[bytes, tuple[Entry, ...]] = {}
    for line, piece in [(1, text)] if json else _split(text):
        digest = hashlib.blake2b(piece.encode(), digest_size=16).digest()
        found = pieces.get(digest) or known.get(digest)
        if found is None:
            try:
                found = tuple((_json if json else _yaml)(piece, decode))
            except RecursionError:
                found = (Entry(1, None, None, "nested too deeply", lost=True),)
        pieces[digest] = found
        entries += [msgspec.structs.replace(entry, line=entry.line + line - 1) for entry in found]
    return Contents(tuple(entries), pieces)


_MARKER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The text of each document with its first line.

    YAML forbids a line that begins with `---` within a scalar, so that this needs no parser. A file with directives
    (`%YAML`) stays whole, as they belong to what follows them.
    """
    starts = [match.start() for match in _MARKER.finditer(text)] if not _DIRECTIVE.search(text) else []
    line, begin = 1, 0
    for end in [*starts, len(text)]:
        piece = text[begin:end]
        if piece and not piece.isspace():
            yield line, piece
        line, begin = line + piece.count("\n"), end


def _yaml(text: str, decode: Decode | None) -> Iterator[Entry]:
    for document in documents(text):
        if document.error is not None:
            yield Entry(document.line, None, None, document.error, lost=True)
        else:
            yield from _entries(document.value, document.line, decode)


def _json(text: str, decode: Decode | None) -> Iterator[Entry]:
    """JSON documents, one after the other."""
    decoder = jsonlib.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
    at = _blank(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except jsonlib.JSONDecodeError as error:
            yield Entry(error.lineno, None, None, f"{error.msg} (column {error.colno})", lost=True)
            return
        except ValueError as error:
            yield Entry(line, None, None, str(error), lost=True)
            return
        if _SURROGATE.search(text, at, end) and not _is_unicode(value):
            yield Entry(line, None, None, "not Unicode text", lost=True)
        else:
            yield from _entries(value, line, decode)
        at = _blank(text, end)


# The text is UTF-8, so that only an escape can stand for half a character.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _is_unicode(value: Any) -> bool:
    """Whether keys and strings are characters only: no surrogate that lacks the other half of its pair."""
    try:
        jsonlib.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate key {next(name for name in names if names.count(name) > 1)!r}")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_BLANK = re.compile(r"\s*")


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _entries(value: Any, line: int, decode: Decode | None) -> Iterator[Entry]:
    """The entries of one document: an object, or a list of objects."""
    if value is None:
        return
    version, kind = (value.get("apiVersion"), value.get("kind")) if isinstance(value, Mapping) else (None, None)
    if not isinstance(version, str) or not isinstance(kind, str) or not version or not kind:
        yield Entry(line, None, None, "not a Kubernetes object (no apiVersion and kind): skipped")
        return
    items = value.get("items")
    if (version, kind) not in REGISTRY and kind.endswith("List") and isinstance(items, list):
        # The items of `ServiceList` and the like need not repeat what they are.
        of = kind.removesuffix("List")
        inherited = {"apiVersion": version, "kind": of} if of else {}
        for item in items:
            whole = {**inherited, **item} if isinstance(item, Mapping) else item
            yield from _entries(whole, line, decode)
        return
    key = _key(value, version, kind)
    warnings: tuple[str, ...] = ()
    try:
        if decode is not None:
            obj = decode(value)
        else:
            found = review(value)
            obj, warnings = found.object, found.warnings
    except UnknownKind:
        yield Entry(line, None, None, f"unknown kind {version} {kind}: skipped")
    except DecodeError as error:
        yield Entry(line, key, None, str(error), lost=key is None)
    else:
        yield Entry(line, ObjectRef(obj.kind, *obj.ref), obj, warnings=warnings)


def _key(value: Mapping[str, Any], version: str, kind: str) -> ObjectRef | None:
    """The object that a document stands for, as far as it says so."""
    known, metadata = REGISTRY.get((version, kind)), value.get("metadata")
    if known is None or not isinstance(metadata, Mapping):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace") or "default"
    if not isinstance(name, str) or not isinstance(namespace, str):
        return None
    return ObjectRef(known.kind, "" if known in CLUSTER_SCOPED else namespace, name)
