"""The text of a configuration file -> `File`: strict, with every problem found at once (operations.md §2.2).

An unknown key, a key given twice and a value of the wrong type are errors. As in the reference, a null leaves the
default, a text may be written without quotes whatever it looks like (`1.20`), and booleans may be `yes` and `off`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from contour.api.projectcontour import AllowedHeader, HeaderMatchCondition, HTTPAuthorizationSettings
from contour.api.yaml import documents, plain_value
from contour.control.settings.error import SettingsError
from contour.control.settings.file import File

# The reference reads these by their field names in lower case alone; here the names of the CRD are taken, too.
_BOTH_SPELLINGS = (HTTPAuthorizationSettings, AllowedHeader, HeaderMatchCondition)

_BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_ABSENT = object()


def read(text: str) -> File:
    """The first document; no document, or one without content, is a file without keys. Raises SettingsError."""
    parsed = documents(text, plain=_Plain)
    if not parsed:
        return File()
    first = parsed[0]
    if first.error is not None:
        raise SettingsError(f"failed to parse configuration: line {first.line}: {first.error}")
    problems: list[str] = []
    value = _value(_type_of(File), first.value, "", problems)
    if problems:
        raise SettingsError("failed to parse configuration: " + "; ".join(problems))
    return File() if value is _ABSENT else value


class _Plain(str):
    """A scalar without quotes: what it is depends on what is wanted."""

    __slots__ = ()


@lru_cache
def _type_of(struct: type[msgspec.Struct]) -> inspect.StructType:
    kind = inspect.type_info(struct)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(struct)
    return kind


def _value(kind: inspect.Type, value: Any, path: str, problems: list[str]) -> Any:
    """A value of `kind`, or _ABSENT with the reason in `problems` (or without, for a null)."""
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    if value is None or (isinstance(value, _Plain) and _resolved(value) is None):
        return _ABSENT
    if isinstance(kind, inspect.StructType):
        return _struct(kind, value, path, problems)
    if isinstance(kind, inspect.VarTupleType):
        if not isinstance(value, list):
            return _wrong(value, "a list", path, problems)
        items = [_value(kind.item_type, item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
        return tuple(item for item in items if item is not _ABSENT)
    if isinstance(kind, inspect.DictType):
        if not isinstance(value, Mapping):
            return _wrong(value, "a mapping", path, problems)
        found = {key: _value(kind.value_type, item, f"{path}.{key}", problems) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not _ABSENT}
    return _scalar(kind, value, path, problems)


def _struct(kind: inspect.StructType, value: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(value, Mapping):
        return _wrong(value, "a mapping", path, problems)
    fields = {field.encode_name: field for field in kind.fields}
    if kind.cls in _BOTH_SPELLINGS:
        fields |= {field.encode_name.lower(): field for field in kind.fields}
    given: dict[str, Any] = {}
    for key, item in value.items():
        name = str(key)
        field = fields.get(name)
        where = f"{path}.{name}" if path else name
        if field is None:
            near = get_close_matches(name, fields, n=1)
            problems.append(f"{where}: there is no such key" + (f"; did you mean {near[0]}?" if near else ""))
        elif field.name in given:
            problems.append(f"{where}: the key is there in its other spelling, too")
        elif (read_ := _value(field.type, item, where, problems)) is not _ABSENT:
            given[field.name] = read_
    return kind.cls(**given)


def _scalar(kind: inspect.Type, value: Any, path: str, problems: list[str]) -> Any:
    if isinstance(value, list | Mapping):
        return _wrong(value, _NAMES[type(kind)], path, problems)
    if isinstance(kind, inspect.StrType):
        return str(value)
    resolved = _resolved(value) if isinstance(value, _Plain) else value
    if isinstance(kind, inspect.BoolType):
        found = _BOOLEANS.get(value, resolved) if isinstance(value, _Plain) else resolved
        return found if isinstance(found, bool) else _wrong(value, "a boolean", path, problems)
    if isinstance(resolved, bool) or not isinstance(resolved, int | float):
        return _wrong(value, _NAMES[type(kind)], path, problems)
    if isinstance(kind, inspect.FloatType):
        return float(resolved)
    if not isinstance(kind, inspect.IntType):
        raise TypeError(kind)
    if resolved != int(resolved):
        return _wrong(value, "a whole number", path, problems)
    low, high = kind.ge, kind.le
    if (low is not None and resolved < low) or (high is not None and resolved > high):
        problems.append(f"{path}: {value} is out of range: {low} to {high}")
        return _ABSENT
    return int(resolved)


_NAMES: Mapping[type[inspect.Type], str] = {
    inspect.StrType: "a text",
    inspect.BoolType: "a boolean",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
}


def _resolved(value: _Plain) -> Any:
    try:
        return plain_value(value)
    except ValueError:  # a number that is too large for anything: a text if a text is wanted
        return str(value)


def _wrong(value: Any, wanted: str, path: str, problems: list[str]) -> object:
    found = "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else f'"{value}"'
    problems.append(f"{path or 'the file'}: {found} is not {wanted}")
    return _ABSENT
