"""YAML as Kubernetes objects are written: a safe, strict reader with the scalars of YAML 1.2.

`yes` and `12:30` are strings, `0o10` is a number, dates stay text; keys become strings, as JSON has no others. A
duplicate key, a number that no JSON reader would take, an alias bomb, a structure nested too deeply: errors with their
place. libyaml reads and composes; the values are made from its nodes in one pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

# No object of ours is deeper than 20; the parser below recurses in C and would run out of stack at some ten thousand.
MAX_DEPTH = 100
# Aliases repeat what they name: nine levels of nine make a file of 500 bytes into 400 million values.
MAX_ALIASED = 100_000


class Document(msgspec.Struct, frozen=True):
    """One document, or the place and the reason where reading it stopped (`error` not None)."""

    line: int
    value: Any = None
    error: str | None = None


def documents(text: str, *, plain: Callable[[str], Any] | None = None) -> list[Document]:
    """All documents of a text. A syntax error ends the list, any other error costs its own document only.

    Values that come from one anchor are one value in several places: do not change them in place. `plain` makes the
    value of a scalar without quotes and tag; by default that is `plain_value`.
    """
    make = plain or plain_value
    found: list[Document] = []
    try:
        loader = _Loader(text)
    except UnicodeEncodeError as error:
        return [Document(text.count("\n", 0, error.start) + 1, None, "not Unicode text")]
    try:
        while loader.check_node():
            node = cast("Node", loader.get_node())
            try:
                found.append(Document(node.start_mark.line + 1, _Values(make).of(node)))
            except yaml.YAMLError as error:
                found.append(_failure(error, text))
    except yaml.YAMLError as error:
        found.append(_failure(error, text))
    finally:
        loader.dispose()
    return found


def _failure(error: yaml.YAMLError, text: str) -> Document:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    else:  # a character that may not stand in YAML: the reader knows only its position
        before = text.encode()[: getattr(error, "position", 0)].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        reason = f"character U+{getattr(error, 'character', 0):04X} is not allowed"
    return Document(line, None, f"{reason} (column {column})")


# --- scalars ------------------------------------------------------------------------------------------------------

_PLAIN = "plain"  # the tag of a plain scalar before its type is known
_PREFIX = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT, _BOOL, _NULL = (_PREFIX + name for name in ("str", "int", "float", "bool", "null"))

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def plain_value(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema; raises ValueError for numbers that JSON cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10)
    if _BASED.fullmatch(text):
        return _integer(text[2:], 8 if text[1] == "o" else 16)
    if _REAL.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise ValueError(f"number {text[:40]} is too large")
        return value
    if _NOT_A_NUMBER.fullmatch(text):
        raise ValueError(f"{text} is not a number that an object can hold")
    return text


def _integer(digits: str, base: int) -> int:
    """Only what 64 bits hold, as JSON readers of the API do; the length first, as int() takes its time."""
    value = int(digits, base) if len(digits.lstrip("+-0")) <= 22 else 1 << 64
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"number {digits[:40]} is too large")
    return value


def _tagged(tag: str, text: str) -> Any:
    """A scalar that says its type: `!!str 80`."""
    value = plain_value(text)
    fits = {
        _STR: True,
        _INT: type(value) is int,
        _FLOAT: type(value) in {int, float},
        _BOOL: type(value) is bool,
        _NULL: value is None,
    }.get(tag)
    if fits is None:
        raise ValueError(f"tag {tag.replace(_PREFIX, '!!')} is not supported")
    if not fits:
        raise ValueError(f"{text!r} is not a value of {tag.replace(_PREFIX, '!!')}")
    return text if tag == _STR else float(value) if tag == _FLOAT else value


# --- nodes to values ----------------------------------------------------------------------------------------------


class _Loader(yaml.CSafeLoader):
    """libyaml's composer, with the least done in Python for each node: no types yet, and the depth counted."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def descend_resolver(self, current_node: Node | None, current_index: Any) -> None:  # noqa: ARG002 - PyYAML's
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = current_node.start_mark if current_node else None
            raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_DEPTH} levels deep", mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _STR
        return _PREFIX + ("seq" if kind is SequenceNode else "map")


class _Values:
    """Values of one document's nodes; a node that aliases name again is made once and counted each time."""

    def __init__(self, plain: Callable[[str], Any]) -> None:
        self._plain = plain
        self._done: dict[int, tuple[Any, int]] = {}  # id of a node -> value, number of values in it
        self._open: set[int] = set()
        self._aliased = 0

    def of(self, node: Node) -> Any:
        return self._make(node)[0]

    def _make(self, node: Node) -> tuple[Any, int]:
        if type(node) is ScalarNode:
            return _scalar(node, self._plain), 1
        key = id(node)
        if key in self._done:
            value, size = self._done[key]
            self._aliased += size
            if self._aliased > MAX_ALIASED:
                raise _error(f"aliases repeat more than {MAX_ALIASED} values", node)
            return value, size
        if key in self._open:
            raise _error("an alias within the value that it names", node)
        self._open.add(key)
        made = self._mapping(node) if type(node) is MappingNode else self._sequence(node)
        self._open.discard(key)
        self._done[key] = made
        return made

    def _sequence(self, node: Node) -> tuple[list[Any], int]:
        if node.tag != _PREFIX + "seq":
            raise _error(f"tag {node.tag} is not supported", node)
        values, total = [], 1
        for item in node.value:
            value, size = self._make(item)
            values.append(value)
            total += size
        return values, total

    def _mapping(self, node: Node) -> tuple[dict[str, Any], int]:
        if node.tag != _PREFIX + "map":
            raise _error(f"tag {node.tag} is not supported", node)
        values: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        total = 1
        for key_node, value_node in node.value:
            value, size = self._make(value_node)
            total += size
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged += _merge(value, value_node)
                continue
            key = _key(key_node)
            if key in values:
                raise _error(f"duplicate key {key!r}", key_node)
            values[key] = value
        for other in merged:
            for key, value in other.items():
                values.setdefault(key, value)
        return values, total


def _scalar(node: Node, plain: Callable[[str], Any] = plain_value) -> Any:
    text: str = node.value
    if node.tag == _STR:
        return text
    try:
        return plain(text) if node.tag == _PLAIN else _tagged(node.tag, text)
    except ValueError as error:
        raise _error(str(error), node) from None


def _key(node: Node) -> str:
    value = _scalar(node) if type(node) is ScalarNode else None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _error("a key must be a string", node)


def _merge(value: Any, node: Node) -> list[dict[str, Any]]:
    """`<<: *base` or `<<: [*one, *two]`: the members of other mappings, unless the mapping has its own."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in values):
        raise _error("<< takes a mapping or a list of mappings", node)
    return values


def _error(problem: str, node: Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
