"""Go's readings of small things, against what Go 1.26 says of the same texts (`go_scalars.jsonl`, recorded)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.scalars import (
    HEADER_NAME_ERRORS,
    canonical_header,
    format_duration,
    namespaced_ref,
    parse_duration,
    parse_max_age,
    parse_timeout,
    quote,
    quote_meta,
    regex_error,
    valid_header_name,
)

SECOND = 10**9
CASES = [json.loads(line) for line in (Path(__file__).parent / "go_scalars.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["text"]))
def test_agrees_with_go(case):
    text = case["text"]
    duration = parse_duration(text)
    assert (duration.text if isinstance(duration, Invalid) else duration) == case["duration"]
    if not isinstance(duration, Invalid):
        assert format_duration(duration) == case["printed"]
    assert quote(text) == case["quoted"]
    assert canonical_header(text) == case["header"]
    assert quote_meta(text) == case["literal"]
    wrong = regex_error(text)
    assert (wrong.text if wrong else None) == case["regexp"]


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_printed_duration_is_read_as_the_same(nanoseconds):
    # Go reads the part after the point as a float: exact up to an hour's worth of nanoseconds.
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.text(alphabet="0123456789.-+nuµmsh ", max_size=30))
def test_no_text_is_too_strange_for_a_duration(text):
    assert isinstance(parse_duration(text), int | Invalid)


@given(st.text(max_size=20))
def test_quoted_meta_characters_match_literally(text):
    assert regex_error(quote_meta(text)) is None


@pytest.mark.parametrize(
    ("text", "timeout", "max_age"),
    [
        ("", None, None),
        ("infinity", 0, 'unable to parse timeout string "infinity": time: invalid duration "infinity"'),
        ("infinite", 0, 'unable to parse timeout string "infinite": time: invalid duration "infinite"'),
        ("0", None, 0),
        ("0s", None, 0),
        ("0ms", None, 0),
        ("1m30s", 90 * SECOND, 90 * SECOND),
        ("-1s", -SECOND, -SECOND),
        ("h", *['unable to parse timeout string "h": time: invalid duration "h"'] * 2),
        ("5", *['unable to parse timeout string "5": time: missing unit in duration "5"'] * 2),
        ("5d", *['unable to parse timeout string "5d": time: unknown unit "d" in duration "5d"'] * 2),
    ],
)
def test_three_states_of_a_timeout(text, timeout, max_age):
    assert parse_timeout(text) == (Invalid(timeout) if isinstance(timeout, str) else timeout)
    assert parse_max_age(text) == (Invalid(max_age) if isinstance(max_age, str) else max_age)


def test_a_reference_is_quoted_as_one_name():
    assert quote(Ref("ns", "name")) == '"ns/name"'


@pytest.mark.parametrize(
    ("name", "valid"), [("X-Foo", True), ("x_foo", False), ("", False), ("a b", False), ("a\n", False)]
)
def test_header_names(name, valid):
    assert valid_header_name(name) is valid
    assert HEADER_NAME_ERRORS.startswith("[a valid HTTP header must consist of")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("a", ("ns", "a")),
        ("b/a", ("b", "a")),
        ("/a", ("ns", "a")),
        ("b/a/c", ("b", "a/c")),
        ("b/", ("b", "")),
        ("", ("ns", "")),
    ],
)
def test_namespaced_references(text, ref):
    assert namespaced_ref(text, "ns") == Ref(*ref)


def test_half_a_surrogate_pair_is_an_error_and_no_crash():
    assert regex_error("\udc80") == Invalid("error parsing regexp: invalid UTF-8: ``")
    assert quote("\udc80") == '"\ufffd"'
    assert isinstance(parse_duration("1\udc80"), Invalid)
