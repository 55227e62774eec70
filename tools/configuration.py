"""The reference page of the configuration file: keys and types from its structures, effects from here.

A key without a text, and a text without a key, are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import NODEFAULT, inspect
from tools.configuration_texts import SECTIONS, Text

from contour.api.projectcontour import AllowedHeader, RateLimitDescriptorEntry
from contour.control.settings.file import DEFAULT_JSON_FIELDS, File, NamespacedName
from contour.control.settings.tlsparameters import CIPHERS
from contour.envoy.options import DEFAULT_CIPHER_SUITES

_NAMES = {
    inspect.StrType: "text",
    inspect.BoolType: "boolean",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.DictType: "mapping",
}
# Structures that a row stands for as a whole.
_WHOLE = {NamespacedName: "`name`, `namespace`", AllowedHeader: "match", RateLimitDescriptorEntry: "mapping"}
_ABSENT = (None, "", 0, 0.0, False, (), NODEFAULT)

_HEAD = """# Configuration file

Written by `python -m tools.reference`. `contour serve`, `run` and `render` read it with `--config-path`.

One YAML document. A key that is not here, a key that is there twice and a value of another type are errors, all of them
told at once, and nothing starts. An empty file, and `null` for a key, mean the defaults. Flags win over the file, but
for `metrics`. `0`, `""`, `false` and empty lists never override a default. Changes take effect after a restart.

Durations are Go's: `300ms`, `1h30m`. For a timeout, `""` or `0` is Envoy's default and `infinity` (or `infinite`)
switches it off. What is called an ExtensionService is named as `namespace/name` (without a namespace: `default`).

"""

_TAIL = f"""## Lists

Fields of JSON lines by default: {", ".join(f"`{name}`" for name in DEFAULT_JSON_FIELDS)}.

Cipher suites: {", ".join(f"`{name}`" for name in sorted(CIPHERS))}. By default:
{", ".join(f"`{name}`" for name in DEFAULT_CIPHER_SUITES)}.
"""


class Key(NamedTuple):
    path: str
    type: str
    default: str


def keys() -> list[Key]:
    """All keys of the file, in its order."""
    return list(_of_struct(inspect.type_info(File), ""))


def _of_struct(kind: inspect.Type, path: str) -> Iterator[Key]:
    if not isinstance(kind, inspect.StructType):
        raise TypeError(kind)
    for field in kind.fields:
        where = f"{path}.{field.encode_name}" if path else field.encode_name
        found = _without_none(field.type)
        if isinstance(found, inspect.VarTupleType) and isinstance(found.item_type, inspect.StructType):
            where, found = f"{where}[]", found.item_type
        if isinstance(found, inspect.StructType) and found.cls not in _WHOLE and found.fields:
            yield from _of_struct(found, where)
        else:
            yield Key(where, _type_name(found), _default(field.default))


def _without_none(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def _type_name(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_type_name(kind.item_type)}s"
    if isinstance(kind, inspect.StructType):
        return _WHOLE.get(kind.cls, "empty mapping")
    return _NAMES[type(kind)]


def _default(value: object) -> str:
    if value == DEFAULT_JSON_FIELDS:
        return "below"
    return "" if isinstance(value, object) and (value in _ABSENT or not isinstance(value, str | int)) else f"`{value}`"


def page() -> str:
    found = {key.path: key for key in keys()}
    parts = [_HEAD]
    for title, intro, texts in SECTIONS:
        parts.append(f"## {title}\n")
        if intro:
            parts.append(f"{intro}\n")
        parts.append("| key | type | default | effect |\n|---|---|---|---|")
        parts += [_row(found.pop(path), text) for path, text in texts.items()]
        parts.append("")
    if found:
        raise ValueError(f"keys without a text: {sorted(found)}")
    return "\n".join([*parts, _TAIL])


def _row(key: Key, text: Text) -> str:
    flag = f" Flag: `{text.flag}`." if text.flag else ""
    effect = text.effect.replace("|", "\\|")
    return f"| `{key.path}` | {key.type} | {text.default or key.default} | {effect}{flag} |"
