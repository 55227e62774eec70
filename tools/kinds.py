"""Reference pages of the kinds that we define, from the schemas that their objects are checked with."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contour.api import crds
from contour.api.schema import Schema
from contour.api.yaml import documents

_HEAD = """# {kind}

`apiVersion: {version}`. Written by `python -m tools.reference` from the schema that objects are checked with. `[]` is an item
of a list. A field without a default may be left out unless it is required; required means: where what it belongs to is
there.

{about}
"""
_TOP = ("apiVersion", "kind", "metadata")


def page(kind: str) -> str:
    """The page of one kind: a table of its spec's fields, another of its status."""
    schema = crds.schema(kind)
    parts = [_HEAD.format(kind=kind, version=_api_version(kind), about=schema.description)]
    for name, field in schema.properties.items():
        if name in _TOP:
            continue
        rows = "\n".join(_rows(name, field))
        parts.append(f"## {name}\n\n| field | type | | meaning |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _api_version(kind: str) -> str:
    crd = documents(crds.text(kind))[0].value["spec"]
    return f"{crd['group']}/{crd['versions'][0]['name']}"


def _rows(path: str, schema: Schema) -> Iterator[str]:
    for name, field in sorted(schema.properties.items()):
        below = f"{path}.{name}"
        yield _row(below, field, required=name in schema.required)
        yield from _rows(*_item(below, field))


def _item(path: str, field: Schema) -> tuple[str, Schema]:
    """What a list holds, however deep; anything else itself."""
    return (path, field) if field.items is None else _item(f"{path}[]", field.items)


def _row(path: str, field: Schema, *, required: bool) -> str:
    limits = "; ".join(_limits(field, required=required))
    meaning = " ".join(part for part in (field.description, *(rule.message + "." for rule in field.rules)) if part)
    return f"| `{path}` | {_type(field)} | {limits} | {_cell(meaning)} |"


def _type(field: Schema) -> str:
    if field.items is not None:
        return f"list of {_type(field.items)}"
    if field.additional is not None:
        return f"map of {_type(field.additional)}"
    return field.type


def _limits(field: Schema, *, required: bool) -> Iterator[str]:
    if required:
        yield "required"
    if field.default is not msgspec.UNSET:
        yield f"default `{msgspec.json.encode(field.default).decode()}`"
    value = field.items or field
    if value.enum:
        yield " or ".join(f"`{one}`" for one in value.enum)
    if value.minimum is not None or value.maximum is not None:
        low = "" if value.minimum is None else str(value.minimum)
        high = "" if value.maximum is None else str(value.maximum)
        yield f"{low}–{high}" if low and high else f"at least {low}" if low else f"at most {high}"
    if value.max_length is not None:
        yield f"at most {value.max_length} characters"
    elif value.min_length:
        yield "not empty"
    if field.min_items:
        yield f"at least {field.min_items} items"
    if field.max_items is not None:
        yield f"at most {field.max_items} items"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
