"""A structural schema walked over an object: unknown fields pruned, defaults filled in, the rest checked.

What an API server does with a custom resource, with the same texts. The object is never changed in place.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
import re2

from contour.api.scalars import quote


class FieldError(msgspec.Struct, frozen=True, gc=False, order=True):
    """What is wrong with the field at `path` (`spec.routes[0].services[0].port`); `hint` says what would be right."""

    path: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}: {self.text}{hint}" if self.path else f"{self.text}{hint}"


class Admitted(msgspec.Struct, frozen=True):
    """The object with its defaults; paths of the fields that are not in the schema and were left out; errors."""

    value: Any
    errors: tuple[FieldError, ...] = ()
    pruned: tuple[str, ...] = ()


class Pattern(Protocol):
    def search(self, text: str) -> object | None: ...


class Rule(msgspec.Struct, frozen=True):
    """A rule in CEL as a Python function of the object that it stands at."""

    text: str
    message: str
    holds: Callable[[Mapping[str, Any]], bool]


class Schema(msgspec.Struct, frozen=True):
    """One node of a structural schema, ready to be walked."""

    type: str
    description: str = ""
    properties: Mapping[str, Schema] = {}
    additional: Schema | None = None
    items: Schema | None = None
    required: tuple[str, ...] = ()
    default: Any = msgspec.UNSET
    defaulted: tuple[str, ...] = ()  # properties that have a default
    enum: tuple[Any, ...] = ()
    pattern: str = ""
    matcher: Pattern | None = None
    date_time: bool = False
    minimum: int | None = None
    maximum: int | None = None
    exclusive_maximum: bool = False
    min_length: int = 0
    max_length: int | None = None
    min_items: int = 0
    max_items: int | None = None
    rules: tuple[Rule, ...] = ()
    list_keys: tuple[str, ...] = ()


_WORDS = frozenset(
    {
        *(
            "type",
            "description",
            "properties",
            "additionalProperties",
            "items",
            "required",
            "default",
            "enum",
            "pattern",
        ),
        *("format", "minimum", "maximum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"),
        *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    }
)
_FORMATS = frozenset({"int32", "int64", "date-time"})  # an API server does not enforce the first two (tried: 1.34)


def compile_schema(source: Mapping[str, Any], rules: Mapping[str, Callable[[Mapping[str, Any]], bool]]) -> Schema:
    """A schema of a CRD; `rules` gives the function of each CEL rule. A word that is not known here is an error."""
    if unknown := source.keys() - _WORDS:
        raise ValueError(f"schema words that are not supported: {', '.join(sorted(unknown))}")
    if source.get("format") not in {None, *_FORMATS}:
        raise ValueError(f"format {source['format']} is not supported")
    properties = {name: compile_schema(field, rules) for name, field in source.get("properties", {}).items()}
    additional, items, pattern = (source.get(word) for word in ("additionalProperties", "items", "pattern"))
    return Schema(
        type=source["type"],
        description=source.get("description", ""),
        properties=properties,
        additional=compile_schema(additional, rules) if additional else None,
        items=compile_schema(items, rules) if items else None,
        required=tuple(source.get("required", ())),
        default=source.get("default", msgspec.UNSET),
        defaulted=tuple(name for name, field in properties.items() if field.default is not msgspec.UNSET),
        enum=tuple(source.get("enum", ())),
        pattern=pattern or "",
        matcher=re2.compile(pattern) if pattern else None,
        date_time=source.get("format") == "date-time",
        minimum=source.get("minimum"),
        maximum=source.get("maximum"),
        exclusive_maximum=source.get("exclusiveMaximum", False),
        min_length=source.get("minLength", 0),
        max_length=source.get("maxLength"),
        min_items=source.get("minItems", 0),
        max_items=source.get("maxItems"),
        rules=tuple(
            Rule(rule["rule"], rule["message"], rules[rule["rule"]])
            for rule in source.get("x-kubernetes-validations", ())
        ),
        list_keys=tuple(source.get("x-kubernetes-list-map-keys", ())),
    )


def admit(value: Any, schema: Schema) -> Admitted:
    """Prune, default and validate an object; `metadata` of the whole object is left alone."""
    walk = _Walk()
    result = walk.value(value, schema, "")
    if not walk.errors:  # as an API server: rules may count on everything having its type
        walk.errors.extend(_broken_rules(result, schema, ""))
    return Admitted(result, tuple(walk.errors), tuple(walk.pruned))


class _Walk:
    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.pruned: list[str] = []

    def value(self, value: Any, schema: Schema, path: str) -> Any:
        kind = _json_type(value)
        if isinstance(value, float) and schema.type == "integer" and value.is_integer() and abs(value) < 1 << 63:
            value, kind = int(value), "integer"
        if kind != schema.type and not (kind == "integer" and schema.type == "number"):
            self._fail(path, f'Invalid value: "{kind}": {path} in body must be of type {schema.type}: "{kind}"')
            return value
        if kind == "object":
            return self._object(value, schema, path)
        if kind == "array":
            return self._array(value, schema, path)
        if schema.enum and value not in schema.enum:
            allowed = ", ".join(f'"{item}"' for item in schema.enum)
            self._fail(path, f"Unsupported value: {_shown(value)}: supported values: {allowed}")
        elif kind == "string":
            self._string(value, schema, path)
        elif kind != "boolean":
            self._number(value, schema, path)
        return value

    def _object(self, value: Mapping[str, Any], schema: Schema, path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        prefix = f"{path}." if path else ""
        for key, item in value.items():
            field = schema.properties.get(key) or schema.additional
            if field is None:
                self.pruned.append(prefix + key)
            elif item is not None:  # null counts as absent, as no field of ours is nullable
                result[key] = item if not path and key == "metadata" else self.value(item, field, prefix + key)
        for key in schema.defaulted:
            if key not in result:
                field = schema.properties[key]
                result[key] = self.value(copy.deepcopy(field.default), field, prefix + key)
        for key in schema.required:
            if key not in result:
                self._fail(prefix + key, "Required value", schema.properties[key].description)
        return result

    def _array(self, value: list[Any], schema: Schema, path: str) -> list[Any]:
        if len(value) < schema.min_items:
            text = f"Invalid value: {len(value)}: {path} in body should have at least {schema.min_items} items"
            self._fail(path, text)
        if schema.max_items is not None and len(value) > schema.max_items:
            self._fail(path, f"Too many: {len(value)}: must have at most {schema.max_items} items")
        if schema.items is None:
            return value
        result = [self.value(item, schema.items, f"{path}[{index}]") for index, item in enumerate(value)]
        if schema.list_keys:
            self._unique(result, schema.list_keys, path)
        return result

    def _unique(self, items: list[Any], keys: tuple[str, ...], path: str) -> None:
        seen: set[str] = set()
        for index, item in enumerate(items):
            if not isinstance(item, Mapping):
                continue
            key = msgspec.json.encode({name: item[name] for name in keys if name in item}).decode()
            if key in seen:
                self._fail(f"{path}[{index}]", f"Duplicate value: {key}")
            seen.add(key)

    def _string(self, value: str, schema: Schema, path: str) -> None:
        if len(value) < schema.min_length:
            text = f"{path} in body should be at least {schema.min_length} chars long"
            self._fail(path, f"Invalid value: {_shown(value)}: {text}")
        elif schema.max_length is not None and len(value) > schema.max_length:
            self._fail(path, f"Too long: may not be more than {schema.max_length} bytes")
        elif schema.matcher is not None and not _matches(schema.matcher, value):
            text = f"Invalid value: {_shown(value)}: {path} in body should match '{schema.pattern}'"
            self._fail(path, text, schema.description)
        elif schema.date_time and not _DATE_TIME.fullmatch(value):
            self._fail(
                path, f"Invalid value: {_shown(value)}: {path} in body must be of type date-time: {_shown(value)}"
            )

    def _number(self, value: float, schema: Schema, path: str) -> None:
        limit = ""
        if schema.minimum is not None and value < schema.minimum:
            limit = f"greater than or equal to {schema.minimum}"
        elif schema.maximum is not None and schema.exclusive_maximum and value >= schema.maximum:
            limit = f"less than {schema.maximum}"
        elif schema.maximum is not None and value > schema.maximum:
            limit = f"less than or equal to {schema.maximum}"
        if limit:
            self._fail(path, f"Invalid value: {value}: {path} in body should be {limit}")

    def _fail(self, path: str, text: str, hint: str = "") -> None:
        self.errors.append(FieldError(path, text, hint.rstrip(".")))


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)")


def _broken_rules(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    if isinstance(value, Mapping):
        for rule in schema.rules:
            if not rule.holds(value):
                yield FieldError(path, f'Invalid value: "object": {rule.message}')
        for key, item in value.items():
            field = schema.properties.get(key) or schema.additional
            if field is not None:
                yield from _broken_rules(item, field, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            yield from _broken_rules(item, schema.items, f"{path}[{index}]")


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer" if -(1 << 63) <= value < 1 << 63 else "number"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
    return "array"


def _matches(matcher: Pattern, value: str) -> bool:
    try:
        return matcher.search(value) is not None
    except UnicodeEncodeError:  # half of a surrogate pair, which no pattern of ours takes
        return False


def _shown(value: Any) -> str:
    return quote(value) if isinstance(value, str) else str(value)
