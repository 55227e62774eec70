"""The schema walker, against an API server's own library (recorded) and a JSON Schema validator (live)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contour.api import crds
from contour.api.schema import FieldError, admit, compile_schema
from contour.api.yaml import documents

# Answers of k8s.io/apiextensions-apiserver 0.34 (prune, default, validate, CEL) for our CRDs. Where a value of the
# wrong type also is not in an enum, or is out of range, the library reports both; only the first counts here.
RECORDED = [
    json.loads(line) for line in (Path(__file__).parent / "admission_cases.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", RECORDED, ids=[str(number) for number in range(len(RECORDED))])
def test_agrees_with_an_api_server(case):
    before = copy.deepcopy(case["object"])
    kind = case["object"]["kind"]
    admitted = admit(case["object"], crds.schema(kind if kind in crds.NAMES else "HTTPProxy"))
    assert case["object"] == before
    assert sorted(f"{error.path}: {error.text}" for error in admitted.errors) == case["errors"]
    assert sorted(admitted.pruned) == sorted(case["pruned"])
    if not case["errors"]:
        assert admitted.value == case["admitted"]


def test_the_recorded_cases_are_about_something():
    assert sum(bool(case["errors"]) for case in RECORDED) > 40
    assert sum(bool(case["pruned"]) for case in RECORDED) >= 3
    said = {error.rpartition(": ")[2] for case in RECORDED for error in case["errors"]}
    assert messages(crds.schema("HTTPProxy")) <= said


def messages(schema):
    inner = [*schema.properties.values(), schema.items, schema.additional]
    found = {rule.message for rule in schema.rules}
    return found.union(*(messages(node) for node in inner if node is not None))


def test_a_pattern_and_a_missing_field_come_with_a_hint():
    proxy = {"metadata": {}, "spec": {"virtualhost": {"fqdn": "Foo"}, "includes": [{}]}}
    errors = admit(proxy, crds.schema("HTTPProxy")).errors
    assert {error.path: error.hint for error in errors} == {
        "spec.virtualhost.fqdn": "Host name in lower case, or *. and a host name",
        "spec.includes[0].name": "Name",
    }
    assert str(FieldError("a.b", "Required value", "Name")) == "a.b: Required value (Name)"


@pytest.mark.parametrize("number", [1e20, 2**63, -(2**63) - 1])
def test_numbers_beyond_64_bits_are_no_integers(number):
    (error,) = admit(number, compile_schema({"type": "integer"}, {})).errors
    assert error.text.endswith('must be of type integer: "number"')


def test_half_a_surrogate_pair_matches_no_pattern():
    (error,) = admit("\udc80", compile_schema({"type": "string", "pattern": "."}, {})).errors
    assert "should match" in error.text


def test_a_schema_with_words_that_are_not_known_is_refused():
    with pytest.raises(ValueError, match="not supported: oneOf"):
        compile_schema({"type": "object", "oneOf": []}, {})
    with pytest.raises(ValueError, match="format uri"):
        compile_schema({"type": "string", "format": "uri"}, {})
    with pytest.raises(KeyError):
        compile_schema({"type": "object", "x-kubernetes-validations": [{"rule": "false", "message": "m"}]}, {})


# --- against a JSON Schema validator ------------------------------------------------------------------------------


def plain(node: Any) -> Any:
    """The schema without what only Kubernetes knows."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if not key.startswith("x-kubernetes")}
    return [plain(item) for item in node] if isinstance(node, list) else node


SPEC = plain(documents(crds.text("HTTPProxy"))[0].value)["spec"]["versions"][0]["schema"]["openAPIV3Schema"][
    "properties"
]["spec"]
SCHEMA = compile_schema(SPEC, {})
ORACLE = jsonschema_rs.Draft4Validator(SPEC)

strays = st.sampled_from(
    [
        None,
        "",
        "x",
        "5s",
        "infinity",
        "0",
        "/x",
        "a b",
        "A",
        "é",
        0,
        -1,
        1,
        80,
        99,
        65536,
        1.5,
        2.0,
        True,
        [],
        {},
        [None],
        ["a"],
    ]
)


def values(node: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema, so that the walk gets deep, and now and then do not."""
    match node["type"]:
        case "object":
            fields = {
                name: st.deferred(lambda f=f: values(f, depth + 1)) for name, f in node.get("properties", {}).items()
            }
            required = {name: fields[name] for name in node.get("required", ())}
            some = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True) if fields else st.just([])
            right = some.flatmap(lambda names: st.fixed_dictionaries({**required, **{n: fields[n] for n in names}}))
            right = st.one_of(right, right, right.map(lambda value: {**value, "unknown": 1}))
        case "array":
            items = st.deferred(lambda: values(node["items"], depth + 1))
            right = st.lists(items, min_size=node.get("minItems", 0), max_size=2)
        case "string":
            right = st.sampled_from(node.get("enum") or ["a", "/x", "5s", "infinity", "1.0", "a.b", "x" * 320])
        case "boolean":
            right = st.booleans()
        case _:
            right = st.sampled_from(node.get("enum") or [0, 1, 80, 200, 404, 599, 600, 65535, 65536, -1, 8.0])
    return right if depth < 2 else st.integers(0, 15).flatmap(lambda n: strays if n == 0 else right)


@given(values(SPEC))
def test_agrees_with_json_schema(value):
    before = copy.deepcopy(value)
    admitted = admit(value, SCHEMA)
    assert value == before
    assert bool(admitted.errors) != ORACLE.is_valid(admitted.value)
    if not admitted.errors:
        again = admit(admitted.value, SCHEMA)
        assert (again.value, again.pruned) == (admitted.value, ())
        assert "unknown" not in json.dumps(admitted.value)
