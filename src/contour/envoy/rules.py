"""The rules that Envoy's API attaches to its fields (`validate.rules`), checked before anything is sent.

Envoy checks every message that it is sent, and refuses the whole resource when one rule is broken. The rules are in
the descriptors: they are compiled once for each message type into a list of small functions (`rulechecks`), so that
a check costs a few microseconds for a route. What a rule cannot say (a regular expression that does not compile, a
status range) Envoy checks too, and this module does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contour.api.remembered import remembered
from contour.envoy import pb
from contour.envoy.rulechecks import Check, field_checks, field_rules, is_skipped, must_choose

_ANY = pb.Any.DESCRIPTOR.full_name


class Violation(msgspec.Struct, frozen=True, gc=False):
    path: str  # of the field, as `virtual_hosts[0].routes[2].match`
    text: str


def violations(message: pb.Message) -> list[Violation]:
    """What Envoy would refuse the message for, by rule; empty for a good one. Packed messages are checked too."""
    return [Violation(path, text) for path, text in _walk(message, "")]


class _Plan(NamedTuple):
    """What to do for a message type."""

    always: tuple[tuple[str, Check], ...]  # fields that have a value, set or not
    present: tuple[tuple[str, Check], ...]  # fields that are checked if they are set
    required: tuple[str, ...]
    choices: tuple[str, ...]  # oneofs of which one must be set
    children: dict[int, Callable[[Any, str], Iterator[tuple[str, str]]]]  # by field number, of message fields


def _walk(message: Any, path: str) -> Iterator[tuple[str, str]]:
    plan = _plan(message.DESCRIPTOR)
    yield from _own(plan, message, path)
    if plan.children:
        for field, value in message.ListFields():
            child = plan.children.get(field.number)
            if child is not None:
                yield from child(value, path + field.name)


def _own(plan: _Plan, message: Any, path: str) -> Iterator[tuple[str, str]]:
    """The message's own fields, without what is in them."""
    for name, check in plan.always:
        if text := check(getattr(message, name)):
            yield path + name, text
    for name, check in plan.present:
        if message.HasField(name) and (text := check(getattr(message, name))):
            yield path + name, text
    for name in plan.required:
        if not message.HasField(name):
            yield path + name, "value is required"
    for name in plan.choices:
        if message.WhichOneof(name) is None:
            yield path + name, "one of its fields is required"


def _walk_one(value: Any, path: str) -> Iterator[tuple[str, str]]:
    return _walk(value, path + ".")


def _walk_list(values: Any, path: str) -> Iterator[tuple[str, str]]:
    for i, value in enumerate(values):
        yield from _walk(value, f"{path}[{i}].")


def _walk_map(values: Any, path: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        yield from _walk(value, f"{path}[{key}].")


def _walk_any(value: Any, path: str) -> Iterator[tuple[str, str]]:
    for inner, text in _packed(value.type_url, value.value):
        yield f"{path}.{inner}", text


def _walk_any_list(values: Any, path: str) -> Iterator[tuple[str, str]]:
    for i, value in enumerate(values):
        yield from _walk_any(value, f"{path}[{i}]")


def _walk_any_map(values: Any, path: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        yield from _walk_any(value, f"{path}[{key}]")


@remembered(4096, size=lambda _, value: len(value))
def _packed(type_url: str, value: bytes) -> tuple[tuple[str, str], ...]:
    """The same filters are packed everywhere: they are looked at once. An unknown type is Envoy's business."""
    message = pb.unpack(pb.Any(type_url=type_url, value=value))
    return () if message is None else tuple(_walk(message, ""))


# --- compiling ----------------------------------------------------------------------------------------------------


@cache
def _plan(descriptor: Descriptor) -> _Plan:
    always: list[tuple[str, Check]] = []
    present: list[tuple[str, Check]] = []
    required: list[str] = []
    if not is_skipped(descriptor):
        for field in descriptor.fields:
            rules = field_rules(field)
            if rules is None:
                continue
            checks = field_checks(field, rules)
            if checks.required:
                required.append(field.name)
            if checks.check is not None:
                (present if field.has_presence else always).append((field.name, checks.check))
    return _Plan(
        always=tuple(always),
        present=tuple(present),
        required=tuple(required),
        choices=tuple(one.name for one in descriptor.oneofs if must_choose(one)),
        children={
            field.number: _walker(field)
            for field in descriptor.fields
            if (inner := _message_type(field)) is not None and _has_rules(inner)
        },
    )


def _message_type(field: FieldDescriptor) -> Descriptor | None:
    """Type of the messages in a field, if there are some that are to be checked."""
    rules = field_rules(field)
    if rules is not None and rules.message.skip:
        return None
    inner = field.message_type
    if inner is not None and _is_map(field):
        inner = inner.fields_by_name["value"].message_type
    return inner


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _has_rules(descriptor: Descriptor) -> bool:
    """Google's own types have none."""
    return descriptor.full_name == _ANY or not descriptor.file.name.startswith("google/protobuf/")


def _walker(field: FieldDescriptor) -> Callable[[Any, str], Iterator[tuple[str, str]]]:
    inner = _message_type(field)
    packed = inner is not None and inner.full_name == _ANY
    if _is_map(field):
        return _walk_any_map if packed else _walk_map
    if field.is_repeated:
        return _walk_any_list if packed else _walk_list
    return _walk_any if packed else _walk_one
