"""The YAML reader: scalars of YAML 1.2, strictness, limits, places of errors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contour.api.yaml import MAX_DEPTH, Document, documents


def value(text):
    (document,) = documents(text)
    assert document.error is None, document.error
    return document.value


def error(text):
    document = documents(text)[-1]
    assert document.error is not None, document.value
    return document.line, document.error


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[(text, text) for text in ("yes", "no", "on", "off", "y", "N", "12:30", "1_000", "2020-01-01", "0b11", "0o9")],
        *[(text, text) for text in ("1.2.3", "-x", "+", ".", "1e", "e3", "0x", "nULL", "1.2.3.4", "10s", "<<x")],
        ("1", 1),
        ("-17", -17),
        ("+1", 1),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-2E-2", -0.02),
        ("'80'", "80"),
        ('"true"', "true"),
        ("!!str 80", "80"),
        ("!!str", ""),
        ("!!int '80'", 80),
        ("!!float 1", 1.0),
        ("!!bool true", True),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_scalars(scalar, expected):
    found = value(f"key: {scalar}")["key"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: 1\nb: 2\na: 3", 3, "duplicate key 'a' (column 1)"),
        ("1: a\n'1': b", 2, "duplicate key '1' (column 1)"),
        ("a: 18446744073709551616", 1, "number 18446744073709551616 is too large (column 4)"),
        ("a: -9223372036854775809", 1, "number -9223372036854775809 is too large (column 4)"),
        ("a: 1e999", 1, "number 1e999 is too large (column 4)"),
        ("a: .inf", 1, ".inf is not a number that an object can hold (column 4)"),
        ("a: .NaN", 1, ".NaN is not a number that an object can hold (column 4)"),
        ("a: !!int x", 1, "'x' is not a value of !!int (column 4)"),
        ("a: !!timestamp 2020-01-01", 1, "tag !!timestamp is not supported (column 4)"),
        ("a: !!python/object:os.system x", 1, "tag !!python/object:os.system is not supported (column 4)"),
        ("a: !mine {b: 1}", 1, "tag !mine is not supported (column 4)"),
        ("? [a]\n: b", 1, "a key must be a string (column 3)"),
        ("? {a: 1}\n: b", 1, "a key must be a string (column 3)"),
        ("~: b", 1, "a key must be a string (column 1)"),
        ("a: &x [1, *x]", 1, "an alias within the value that it names (column 4)"),
        ("é: b\n\nx: \x02", 3, "character U+0002 is not allowed (column 4)"),
        ("<<: 5", 1, "<< takes a mapping or a list of mappings (column 5)"),
        ("a:\n\tb: 1", 2, "while scanning for the next token found character that cannot start any token (column 1)"),
        ("a: *nothing", 1, "found undefined alias (column 4)"),
        ("a: [1, 2\nb: 3", 2, "while parsing a flow sequence did not find expected ',' or ']' (column 2)"),
        ("a: \ud800", 1, "not Unicode text"),
    ],
)
def test_errors_have_a_place_and_a_reason(text, place, reason):
    assert error(text) == (place, reason)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_is_an_error_and_no_crash(opening):
    line, reason = error(opening * 200_000)
    assert line == 1
    assert reason.startswith(f"nested more than {MAX_DEPTH} levels deep")


def test_as_deep_as_allowed():
    assert value("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)) is not None


def test_an_alias_bomb_is_an_error():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    line, reason = error("\n".join(lines))
    assert (line, reason.partition(" (")[0]) == (5, "aliases repeat more than 100000 values")


def test_aliases_and_merge_keys():
    assert value("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nagain: *b") == {
        "base": {"x": 1, "y": 2},
        "own": {"y": 3, "x": 1},
        "again": {"x": 1, "y": 2},
    }
    assert value("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]")[2] == {"x": 1, "y": 2}


def test_keys_become_strings():
    assert value("{80: a, true: b, 1.5: c, x: d}") == {"80": "a", "true": "b", "1.5": "c", "x": "d"}


def test_documents_know_their_lines():
    text = "# a comment\na: 1\n---\n---\n\nb:\n  c: 2\n...\n%YAML 1.2\n---\nd: 3\n"
    assert documents(text) == [
        Document(2, {"a": 1}),
        Document(4, None),
        Document(6, {"b": {"c": 2}}),
        Document(11, {"d": 3}),
    ]
    assert documents("") == documents("# nothing\n") == []


def test_one_bad_document_costs_itself_only():
    found = documents("a: 1\n---\na: 1\na: 2\n---\nb: 2\n")
    assert [(document.line, document.value, document.error) for document in found] == [
        (1, {"a": 1}, None),
        (4, None, "duplicate key 'a' (column 1)"),
        (6, {"b": 2}, None),
    ]


def test_documents_before_a_syntax_error_are_read():
    found = documents("a: 1\n---\nb: [\n---\nc: 3\n")
    assert found[0] == Document(1, {"a": 1})
    assert found[-1].error is not None


# libyaml keeps YAML 1.1's line breaks, which fold within a quoted scalar.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_is_yaml(expected):
    text = json.dumps(expected, ensure_ascii=False)  # YAML knows no surrogate pairs
    found = documents(text)
    if found and found[0].error and "not allowed" in found[0].error:
        return  # a control character that JSON takes and YAML does not
    assert [document.value for document in found] == [expected]


@given(st.text(alphabet="ab:- \n[]{}&*!|>'\"#%?,<.~019\t", max_size=60))
def test_no_text_is_too_strange(text):
    for document in documents(text):
        assert document.line >= 1
