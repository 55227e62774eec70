"""One rule of `validate.rules` as a function from a value to what is wrong with it.

The semantics are those of protoc-gen-validate, which Envoy is built with. A kind of rule that is not known here
raises when its message type is compiled: a test compiles all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor

from contour.envoy.pb import validate

Check = Callable[[Any], str | None]

_HEADER_NAME, _HEADER_VALUE = validate.HTTP_HEADER_NAME, validate.HTTP_HEADER_VALUE
_NOT_STRICT = re.compile(r"^[^\x00\x0A\x0D]*\Z")
# (well-known expression, strict) -> expression; those of protoc-gen-validate.
_WELL_KNOWN = {
    (_HEADER_NAME, True): re.compile(r"^:?[0-9a-zA-Z!#$%&'*+-.^_|~\x60]+\Z"),
    (_HEADER_NAME, False): _NOT_STRICT,
    (_HEADER_VALUE, True): re.compile(r"^[^\x00-\x08\x0A-\x1F\x7F]*\Z"),
    (_HEADER_VALUE, False): _NOT_STRICT,
}


class Checks(NamedTuple):
    required: bool
    check: Check | None


def field_rules(field: FieldDescriptor) -> Any | None:
    options = field.GetOptions()
    return options.Extensions[validate.rules] if options.HasExtension(validate.rules) else None


def is_skipped(descriptor: Descriptor) -> bool:
    options = descriptor.GetOptions()
    return bool(options.Extensions[validate.disabled] or options.Extensions[validate.ignored])


def must_choose(oneof: OneofDescriptor) -> bool:
    """Whether one of the oneof's fields must be set."""
    return bool(oneof.GetOptions().Extensions[validate.required])


def field_checks(field: FieldDescriptor, rules: Any) -> Checks:
    kind = rules.WhichOneof("type")
    # Of the members of a oneof only the chosen one is looked at, so that none of them is ever missing.
    required = field.containing_oneof is None and rules.message.required
    if kind is None:
        return Checks(required, None)
    detail = getattr(rules, kind)
    if kind in ("duration", "any") and field.containing_oneof is None:
        required = required or detail.required
    if kind == "any":
        _refuse_unknown(detail, ("required",))
        return Checks(required, None)
    if kind == "repeated":
        return Checks(required, _repeated(field, detail))
    if kind == "map":
        return Checks(required, _map(field, detail))
    check = _scalar(field, kind, detail)
    if check is not None and field.message_type is not None and kind != "duration":
        return Checks(required, _wrapped(check))
    return Checks(required, check)


def _wrapped(check: Check) -> Check:
    """For UInt32Value and its like: the rule is about the value inside."""
    return lambda wrapper: check(wrapper.value)


def _scalar(field: FieldDescriptor, kind: str, rules: Any) -> Check | None:
    match kind:
        case "string":
            checks = _string(rules)
        case "bytes":
            checks = _length(rules, ("min_len", "max_len"), len, "bytes")
            _refuse_unknown(rules, ("min_len", "max_len"))
        case "enum":
            checks = _enum(field, rules)
        case "bool":
            checks = [_equal(rules.const)]
        case "duration":
            checks = _duration(rules)
        case _:
            checks = _number(rules)
    check = _all(checks)
    if check is not None and kind not in ("enum", "bool", "duration") and rules.ignore_empty:
        return _unless_empty(check)
    return check


def _all(checks: list[Check]) -> Check | None:
    if len(checks) <= 1:
        return checks[0] if checks else None

    def check(value: Any) -> str | None:
        for one in checks:
            if text := one(value):
                return text
        return None

    return check


def _unless_empty(check: Check) -> Check:
    return lambda value: check(value) if value else None


def _equal(wanted: Any) -> Check:
    return lambda value: None if value == wanted else f"value must equal {wanted}"


def _refuse_unknown(rules: Any, known: tuple[str, ...]) -> None:
    for field, _ in rules.ListFields():
        if field.name not in known:
            raise NotImplementedError(f"rule {rules.DESCRIPTOR.name}.{field.name}")


# --- strings ------------------------------------------------------------------------------------------------------


def _string(rules: Any) -> list[Check]:
    known = ("min_len", "max_len", "min_bytes", "max_bytes", "prefix", "suffix", "in")
    _refuse_unknown(rules, (*known, "pattern", "well_known_regex", "strict", "ignore_empty"))
    checks = _length(rules, ("min_len", "max_len"), len, "characters")
    checks += _length(rules, ("min_bytes", "max_bytes"), lambda value: len(value.encode()), "bytes")
    if rules.prefix:
        checks.append(_affix(str.startswith, rules.prefix, "start"))
    if rules.suffix:
        checks.append(_affix(str.endswith, rules.suffix, "end"))
    if allowed := tuple(getattr(rules, "in")):
        checks.append(lambda value: None if value in allowed else f"value must be one of {', '.join(allowed)}")
    if rules.pattern:
        checks.append(_pattern(re.compile(rules.pattern.removesuffix("$") + r"\Z"), rules.pattern))
    if rules.well_known_regex:
        strict = rules.strict if rules.HasField("strict") else True
        name = validate.KnownRegex.Name(rules.well_known_regex)
        checks.append(_pattern(_WELL_KNOWN[rules.well_known_regex, strict], name))
    return checks


def _length(rules: Any, limits: tuple[str, str], size: Callable[[Any], int], unit: str) -> list[Check]:
    least, most = limits
    checks: list[Check] = []
    if low := getattr(rules, least):
        if low == 1:  # by far the most frequent rule
            checks.append(lambda value: None if value else f"value length must be at least 1 {unit}")
        else:
            checks.append(lambda value: None if size(value) >= low else f"value length must be at least {low} {unit}")
    if rules.HasField(most):
        high = getattr(rules, most)
        checks.append(lambda value: None if size(value) <= high else f"value length must be at most {high} {unit}")
    return checks


def _affix(test: Callable[[str, str], bool], affix: str, verb: str) -> Check:
    return lambda value: None if test(value, affix) else f"value must {verb} with {affix}"


def _pattern(pattern: re.Pattern[str], name: str) -> Check:
    return lambda value: None if pattern.search(value) else f"value does not match {name}"


# --- numbers, enums, durations ------------------------------------------------------------------------------------

_COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "gt": (lambda value, limit: value > limit, "greater than"),
    "gte": (lambda value, limit: value >= limit, "greater than or equal to"),
    "lt": (lambda value, limit: value < limit, "less than"),
    "lte": (lambda value, limit: value <= limit, "less than or equal to"),
}


def _number(rules: Any) -> list[Check]:
    _refuse_unknown(rules, (*_COMPARISONS, "ignore_empty"))
    return [_comparison(name, getattr(rules, name)) for name in _COMPARISONS if rules.HasField(name)]


def _comparison(name: str, limit: Any) -> Check:
    holds, words = _COMPARISONS[name]
    return lambda value: None if holds(value, limit) else f"value must be {words} {limit}"


def _enum(field: Any, rules: Any) -> list[Check]:
    _refuse_unknown(rules, ("defined_only", "not_in"))
    checks: list[Check] = []
    if rules.defined_only:
        defined = frozenset(field.enum_type.values_by_number)
        checks.append(lambda value: None if value in defined else "value must be one of the defined enum values")
    if refused := frozenset(rules.not_in):
        checks.append(lambda value: None if value not in refused else f"value must not be {value}")
    return checks


def _nanoseconds(value: Any) -> int:
    return int(value.seconds * 1_000_000_000 + value.nanos)


def _duration(rules: Any) -> list[Check]:
    _refuse_unknown(rules, (*_COMPARISONS, "required"))
    checks: list[Check] = []
    for name, (holds, words) in _COMPARISONS.items():
        if rules.HasField(name):
            checks.append(_duration_comparison(holds, words, getattr(rules, name)))
    return checks


def _duration_comparison(holds: Callable[[Any, Any], bool], words: str, limit: Any) -> Check:
    bound, text = _nanoseconds(limit), limit.ToJsonString()
    return lambda value: None if holds(_nanoseconds(value), bound) else f"value must be {words} {text}"


# --- lists and maps -----------------------------------------------------------------------------------------------


def _repeated(field: FieldDescriptor, rules: Any) -> Check | None:
    _refuse_unknown(rules, ("min_items", "max_items", "unique", "items", "ignore_empty"))
    checks = _count(rules, ("min_items", "max_items"), "item(s)")
    if rules.unique:
        checks.append(lambda values: None if len(set(values)) == len(values) else "values must be unique")
    if rules.HasField("items") and (item := _item(field, rules.items)) is not None:
        checks.append(_each(item))
    check = _all(checks)
    return _unless_empty(check) if check is not None and rules.ignore_empty else check


def _map(field: Any, rules: Any) -> Check | None:
    _refuse_unknown(rules, ("min_pairs", "keys", "values"))
    checks = _count(rules, ("min_pairs", "max_pairs"), "pair(s)")
    entry = field.message_type.fields_by_name
    if rules.HasField("keys") and (key := _item(entry["key"], rules.keys)) is not None:
        checks.append(_each(key))
    if rules.HasField("values") and (item := _item(entry["value"], rules.values)) is not None:
        check = _each(item)
        checks.append(lambda values: check(values.values()))
    return _all(checks)


def _item(field: FieldDescriptor, rules: Any) -> Check | None:
    kind = rules.WhichOneof("type")
    check = _scalar(field, kind, getattr(rules, kind)) if kind else None
    if check is not None and field.message_type is not None and kind != "duration":
        return _wrapped(check)
    return check


def _each(item: Check) -> Check:
    def check(values: Any) -> str | None:
        for i, value in enumerate(values):
            if text := item(value):
                return f"[{i}]: {text}"
        return None

    return check


def _count(rules: Any, limits: tuple[str, str], unit: str) -> list[Check]:
    least, most = limits
    checks: list[Check] = []
    if low := getattr(rules, least):
        checks.append(lambda values: None if len(values) >= low else f"value must contain at least {low} {unit}")
    if rules.HasField(most):
        high = getattr(rules, most)
        checks.append(lambda values: None if len(values) <= high else f"value must contain at most {high} {unit}")
    return checks
