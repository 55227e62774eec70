from __future__ import annotations

import json
from itertools import pairwise

import pytest

from contour.api.admission import MAX_SIZE, admit
from contour.api.core import Service
from contour.api.meta import ObjectRef
from contour.manifests.reading import Contents, Entry, Unreadable, read

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: shop
spec:
  ports:
  - port: {port}
"""


def service(name: str, port: int = 80) -> str:
    return SERVICE.format(name=name, port=port)


def entries(text: str | bytes, *, as_json: bool = False) -> list[Entry]:
    contents = read(text if isinstance(text, bytes) else text.encode(), json=as_json)
    assert isinstance(contents, Contents)
    return list(contents.entries)


def key(name: str) -> ObjectRef:
    return ObjectRef("Service", "shop", name)


def test_documents_of_a_file_with_their_lines() -> None:
    text = "# two services\n---\n" + service("a") + "---\n\n--- # nothing\n---\n" + service("b")
    found = entries(text)
    assert [(entry.line, entry.key, entry.problem) for entry in found] == [(3, key("a"), ""), (15, key("b"), "")]
    assert isinstance(found[0].value, Service)


def test_a_marker_within_a_block_scalar_is_none() -> None:
    text = service("a") + "  note: |\n    ---\n    x\n" + "---\n" + service("b")
    assert [entry.key for entry in entries(text)] == [key("a"), key("b")]


def test_directives_and_document_ends() -> None:
    text = "%YAML 1.2\n---\n" + service("a") + "...\n%YAML 1.2\n---\n" + service("b") + "...\n"
    assert [(entry.line, entry.key) for entry in entries(text)] == [(3, key("a")), (14, key("b"))]


def test_lists_with_and_without_kinds_in_their_items() -> None:
    spec = {"ports": [{"port": 80}]}
    item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"}, "spec": spec}
    bare = {"metadata": {"name": "b", "namespace": "shop"}, "spec": spec}
    both = [
        {"apiVersion": "v1", "kind": "List", "items": [item, None, "x"]},
        {"apiVersion": "v1", "kind": "ServiceList", "items": [bare]},
    ]
    found = entries("\n".join(json.dumps(value) for value in both), as_json=True)
    skipped = "not a Kubernetes object (no apiVersion and kind): skipped"
    assert [(entry.line, entry.key, entry.problem) for entry in found] == [
        (1, key("a"), ""),
        (1, None, skipped),
        (2, key("b"), ""),
    ]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("hello\n", 1, "not a Kubernetes object"),
        ("- 1\n- 2\n", 1, "not a Kubernetes object"),
        ("\n\napiVersion: v1\n", 3, "not a Kubernetes object"),
        ("apiVersion: [v1]\nkind: Service\n", 1, "not a Kubernetes object"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", 1, "unknown kind apps/v1 Deployment: skipped"),
    ],
)
def test_what_is_no_object_of_ours_is_skipped(text: str, line: int, part: str) -> None:
    (entry,) = entries(text)
    assert (entry.line, entry.key, entry.lost) == (line, None, False)
    assert part in entry.problem


def test_a_wrong_type_is_refused_with_its_path_and_its_object_is_known() -> None:
    good, bad = entries(service("a") + "---\n" + service("b", "eighty"))  # type: ignore[arg-type]
    assert good.problem == ""
    assert (bad.line, bad.key, bad.lost) == (10, key("b"), False)
    assert "spec.ports[0].port" in bad.problem


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: [1\n", 3, "column"),
        ("a: 1\na: 2\n", 2, "duplicate key 'a'"),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
        ), None, "aliases"),
        ("[" * 5000, None, "deep"),
        ("\tx: 1\n", 1, "column"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_read_costs_only_itself(text: str, line: int | None, part: str) -> None:
    first, broken, last = entries(service("a") + "---\n" + text + "\n---\n" + service("b"))
    assert (first.key, last.key) == (key("a"), key("b"))
    assert broken.lost
    assert part in broken.problem
    assert line is None or broken.line == 9 + line


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('{"a": 1\n"b": 2}', 2, "Expecting ',' delimiter"),
        ('{"a": 1, "a": 2}', 1, "duplicate key 'a'"),
        ('\n{"a": NaN}', 2, "NaN is not JSON"),
        ("[" * 100_000, 1, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", 1, "limit"),
    ],
)
def test_json_that_cannot_be_read(text: str, line: int, part: str) -> None:
    (entry,) = entries(text, as_json=True)
    assert (entry.line, entry.lost) == (line, True)
    assert part in entry.problem


def test_bytes_that_are_no_text() -> None:
    assert read(b"a: 1\nb: \xff\n") == Unreadable("not UTF-8 text", 2)
    assert entries("\ufeff" + service("a"))[0].key == key("a")


def test_an_object_larger_than_an_api_server_takes() -> None:
    large = service("a") + "  note: " + "x" * MAX_SIZE + "\n"
    found = entries(large + "---\n" + service("b"))
    assert [entry.key for entry in found] == [key("a"), key("b")]
    assert "bytes, more than" in found[0].problem


def test_an_unknown_field_is_left_out_with_a_warning() -> None:
    (entry,) = entries(
        """\
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: a, namespace: shop}
spec:
  virtualhost: {fqdn: a.test, fqnd: b.test}
  routes: [{services: [{name: web, port: 80}]}]
"""
    )
    assert entry.problem == ""
    assert entry.warnings == ('unknown field "spec.virtualhost.fqnd"',)


def test_only_changed_documents_are_decoded_again() -> None:
    calls = []

    def decode(value):
        calls.append(value["metadata"]["name"])
        return admit(value)

    text = "---\n".join(service(name) for name in "abc")
    first = read(text.encode(), decode=decode)
    assert isinstance(first, Contents)
    assert calls == ["a", "b", "c"]
    moved = "# a comment\n---\n" + text.replace(service("b"), service("b", 81))
    second = read(moved.encode(), earlier=first, decode=decode)
    assert isinstance(second, Contents)
    # The first document's text now begins with a marker, as the others' did.
    assert calls == ["a", "b", "c", "a", "b"]
    assert second.entries[2].value is first.entries[2].value
    assert [entry.line for entry in second.entries] == [3, 12, 21]


def test_half_a_character_in_json_costs_its_document() -> None:
    spec = '"metadata": {"name": "%s"}, "spec": {"ports": [{"port": 80}]}'
    text = "\n".join([
        r'{"apiVersion": "v1", "kind": "Foo\ud800"}',
        r'{"apiVersion": "v1", "kind": "Service", "\uDFFF": 1}',
        r'{"apiVersion": "v1", "kind": "List", "items": [{"note": "\udc00\ud83d"}]}',
        r'{"apiVersion": "v1", "kind": "Service", "note": "\ud83d\ude00", ' + spec % "whole" + "}",
    ])  # fmt: skip
    found = entries(text, as_json=True)
    assert [(entry.line, entry.problem, entry.lost) for entry in found[:3]] == [
        (line, "not Unicode text", True) for line in (1, 2, 3)
    ]
    assert found[3].key == ObjectRef("Service", "default", "whole")
    assert not found[3].problem
