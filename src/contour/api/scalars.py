"""Go's readings of small things: durations, quoting, header names, regular expressions (httpproxy.md §0).

Texts of errors reach users' status and are Go's to the letter. Everything here is pure; what is asked again and again
is remembered.
"""

from __future__ import annotations

import re
from typing import cast

import re2

from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.remembered import remembered

# Three states in nanoseconds: None = default (unset), 0 = disabled, otherwise the value.
Timeout = int | None

NANOSECOND = 1
MICROSECOND = 1000 * NANOSECOND
MILLISECOND = 1000 * MICROSECOND
SECOND = 1000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "\u00b5s": MICROSECOND,  # micro sign
    "\u03bcs": MICROSECOND,  # Greek letter mu
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_SIGN_BIT = 1 << 63  # durations are int64: this much only with a minus sign
_PIECE = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]*)")


# --- durations ----------------------------------------------------------------------------------------------------


@remembered(4096)
def parse_duration(text: str) -> int | Invalid:
    """Nanoseconds of a Go duration (`1m30s`, `1.5h`, `-2ms`, `0`), or Go's error text."""
    negative = text.startswith("-")
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        piece = cast("re.Match[str]", _PIECE.match(rest, position))  # matches always: every part may be empty
        read = _amount(text, *piece.group(1, 2, 3))
        if isinstance(read, Invalid):
            return read
        total, position = total + read, piece.end()
        if total > _SIGN_BIT:
            break
    if not rest or total > (_SIGN_BIT if negative else _SIGN_BIT - 1):
        return Invalid(f"time: invalid duration {_quote_bytes(text)}")
    return -total if negative else total


def _amount(text: str, whole: str, fraction: str | None, unit: str) -> int | Invalid:
    if not _fits(whole) or not (whole or fraction):
        return Invalid(f"time: invalid duration {_quote_bytes(text)}")
    if not unit:
        return Invalid(f"time: missing unit in duration {_quote_bytes(text)}")
    nanoseconds = _UNITS.get(unit)
    if nanoseconds is None:
        return Invalid(f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}")
    return int(whole or "0") * nanoseconds + _fraction(fraction or "", nanoseconds)


def _fits(digits: str) -> bool:
    significant = digits.lstrip("0")
    return len(significant) <= 19 and int(significant or "0") <= _SIGN_BIT  # 2**63 has 19 digits


def _fraction(digits: str, unit: int) -> int:
    """Go computes the part after the point in float64, from as many digits as an int64 holds."""
    value, scale = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if value > (_SIGN_BIT - 1) // 10 or longer > _SIGN_BIT:
            break
        value, scale = longer, scale * 10
    return int(float(value) * (float(unit) / scale)) if value else 0


def _quote_bytes(text: str) -> str:
    r"""Quoting of package time, which is not %q: every byte that is not printable ASCII becomes \xNN."""
    out = []
    for char in text:
        if " " <= char <= "\x7f":
            out.append("\\" + char if char in '"\\' else char)
        else:
            out.extend(f"\\x{byte:02x}" for byte in char.encode("utf-8", "replace"))
    return '"' + "".join(out) + '"'


def format_duration(nanoseconds: int) -> str:
    """As Go prints a duration: `0s`, `1.5ms`, `1m30s`, `1h0m0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < MICROSECOND:
        return f"{sign}{rest}ns"
    if rest < MILLISECOND:
        return f"{sign}{_decimal(rest, 3)}\u00b5s"
    if rest < SECOND:
        return f"{sign}{_decimal(rest, 6)}ms"
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{_decimal(rest, 9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _decimal(value: int, places: int) -> str:
    whole, fraction = divmod(value, 10**places)
    digits = f"{fraction:0{places}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def parse_timeout(text: str) -> Timeout | Invalid:
    """A timeout setting: unset and every spelling of zero are the default, `infinity` and `infinite` switch it off."""
    if not text:
        return None
    if text in {"infinity", "infinite"}:
        return 0
    duration = parse_duration(text)
    if isinstance(duration, Invalid):
        return _bad_timeout(text, duration)
    return duration or None


def parse_max_age(text: str) -> Timeout | Invalid:
    """`corsPolicy.maxAge`: zero switches caching off, and there is no infinity."""
    if not text:
        return None
    duration = parse_duration(text)
    return _bad_timeout(text, duration) if isinstance(duration, Invalid) else duration


def _bad_timeout(text: str, error: Invalid) -> Invalid:
    return Invalid(f"unable to parse timeout string {quote(text)}: {error.text}")


# --- quoting ------------------------------------------------------------------------------------------------------

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


def quote(text: object) -> str:
    """Go's `%q` of a string (a `Ref` renders as `"namespace/name"`)."""
    text = str(text)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_quote_char(char) for char in text) + '"'


def _quote_char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code < 0xE000:
        return "\ufffd"  # half of a surrogate pair: Go's JSON decoder has replaced it before anybody quotes it
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_META = str.maketrans({char: "\\" + char for char in "\\.+*?()[]{}^$|"})


def quote_meta(text: str) -> str:
    """Text as a regular expression that matches it literally; escapes 14 characters and no others."""
    return text.translate(_META)


# --- headers ------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_NAME = re.compile(r"[-A-Za-z0-9]+")

# How Go prints the list of messages about a bad header name.
HEADER_NAME_ERRORS = (
    "[a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')]"
)


@remembered(4096)
def canonical_header(name: str) -> str:
    """`x-FOO_bar` -> `X-Foo_bar`; unchanged when a character may not stand in a header name."""
    if not _TOKEN.fullmatch(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def valid_header_name(name: str) -> bool:
    """Letters, digits and `-` only; the text for the others is `HEADER_NAME_ERRORS`."""
    return _HEADER_NAME.fullmatch(name) is not None


# --- regular expressions ------------------------------------------------------------------------------------------

# RE2's wording -> that of Go's package regexp, which users of Contour know.
_REGEX_ERRORS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@remembered(4096)
def regex_error(pattern: str) -> Invalid | None:
    """What is wrong with a regular expression in RE2 syntax (the one Envoy uses); None if nothing is."""
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        code, separator, expression = _message(error).partition(": ")
        code = _REGEX_ERRORS.get(code, code)
        if code == "trailing backslash at end of expression" or not separator:
            expression = ""
        return Invalid(f"error parsing regexp: {code}: `{expression}`")
    except UnicodeEncodeError:
        return Invalid("error parsing regexp: invalid UTF-8: ``")
    finally:
        re2.purge()  # it would keep the last 128, which can have 8 MB each
    return None


def _message(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


# --- references ---------------------------------------------------------------------------------------------------


def namespaced_ref(text: str, namespace: str) -> Ref:
    """`name` or `namespace/name`; an empty namespace means the one given."""
    left, separator, right = text.partition("/")
    return Ref(left or namespace, right) if separator else Ref(namespace, text)
