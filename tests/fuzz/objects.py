"""Objects of all kinds; of custom resources from their schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import re2
from hypothesis import strategies as st
from tests.fuzz import plain
from tests.fuzz.annotations import annotations
from tests.fuzz.values import NAMES, NAMESPACES, NUMBERS, PORTS, Strategy, mostly, now_and_then, one_of, texts

from contour.api import crds
from contour.api.yaml import documents

Json = dict[str, Any]

_MOST_FIELDS = 4
_ROOT_FIELDS = (("virtualhost", "routes"), ("virtualhost", "routes"), ("virtualhost", "tcpproxy"), ())
# Fields without which hardly anything is valid, by the field that they stand in.
_USUAL = {
    "virtualhost": ("fqdn",),
    "routes": ("services",),
    "tcpproxy": ("services",),
    "services": ("name", "port"),
    "jwtProviders": ("name", "remoteJWKS"),
    "tls": ("secretName",),
    "healthCheck": ("path",),
    "delegate": ("name",),
    "includes": ("name",),
}
_NOT_EMPTY = ("routes", "services", "entries", "descriptors", "delegations", "targetNamespaces")
_ALTERNATIVES = (
    ("services", "requestRedirectPolicy", "directResponsePolicy", "delegate", "include"),
    ("services", "includes", "delegate", "include"),
    ("routes", "tcpproxy"),
    ("ipAllowPolicy", "ipDenyPolicy"),
    ("remoteJWKS", "localJWKS"),
    ("secretName", "passthrough"),
    ("prefix", "exact", "regex", "contains", "suffix", "notexact", "notcontains", "present", "notpresent"),
    ("genericKey", "requestHeader", "requestHeaderValueMatch", "remoteAddress"),
    ("hashSourceIP", "headerHashOptions", "queryParameterHashOptions"),
    ("require", "disabled"),
    ("path", "prefix"),
)
_RETIRED = "v1alpha1"  # of HTTPProxy

# How often a kind is taken, of some twenty.
_WEIGHTS = {"HTTPProxy": 8, "IngressRoute": 3, "Ingress": 3, "ExtensionService": 2}


def kinds() -> tuple[str, ...]:
    return tuple(kind for kind in (*crds.NAMES, *plain.KINDS) for _ in range(_WEIGHTS.get(kind, 1)))


def objects(kind: str) -> Strategy:
    """An object of a kind. Of the names there are few, so that objects meet and replace each other."""
    body, names = (_custom(kind), st.sampled_from(NAMES)) if kind in crds.NAMES else _plain(kind)
    metadata = st.fixed_dictionaries(
        {"name": names, "namespace": st.sampled_from((NAMESPACES[0], *NAMESPACES)), **plain.labels(kind)},
        optional={"annotations": annotations(), "creationTimestamp": st.sampled_from(("2020-01-01T00:00:00Z", None))},
    )
    return st.tuples(metadata, body).map(lambda parts: {**parts[1], "metadata": parts[0]})


def _plain(kind: str) -> tuple[Strategy, Strategy]:
    return plain.body(kind), plain.names(kind)


@cache
def _custom(kind: str) -> Strategy:
    """An object without its metadata."""
    crd = documents(crds.text(kind))[0].value["spec"]
    group, version = crd["group"], crd["versions"][0]
    versions = [version["name"]] * 20 + [_RETIRED] * (kind == "HTTPProxy")
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from([f"{group}/{one}" for one in versions]),
            "kind": st.just(crd["names"]["kind"]),
            "spec": _schema(schema, "spec", ""),
        }
    )


def _schema(node: Json, name: str, parent: str) -> Strategy:
    match node["type"]:
        case "object" if "properties" in node:
            right = _fields(node, name)
        case "object":
            right = st.dictionaries(st.sampled_from(("a", "", "b")), st.sampled_from(("c", "")), max_size=2)
        case "array":
            items = st.deferred(lambda: _schema(node["items"], name, parent))
            least = max(node.get("minItems", 0), name in _NOT_EMPTY)
            unique = node["items"]["type"] == "string"
            right = st.lists(items, min_size=least, max_size=3, unique_by=repr if unique else None)
        case "string":
            right = one_of(tuple(node["enum"])) if "enum" in node else _text(node, name, parent)
        case "boolean":
            right = st.booleans()
        case _:
            right = st.sampled_from(node["enum"]) if "enum" in node else _number(node, name)
    return now_and_then(right) if parent else right


def _text(node: Json, name: str, parent: str) -> Strategy:
    """What the schema takes, and in one of some what it does not."""
    found = texts(name.lower(), parent.lower(), ("a", "5s", "/x", "", "true"))
    pattern = re2.compile(node.get("pattern", ""))
    shortest, longest = node.get("minLength", 0), node.get("maxLength", 1 << 20)
    inside = tuple(one for one in found if shortest <= len(one) <= longest and pattern.search(one))
    return mostly(one_of(inside or found), st.sampled_from(found))


def _number(node: Json, name: str) -> Strategy:
    """What the schema takes, and in one of some what it just does not."""
    low, high = node.get("minimum", 0), node.get("maximum", 2**31)
    usual = PORTS if name == "port" else (*NUMBERS, low, low + 1, high - 1, high)
    inside = tuple(number for number in usual if low <= number <= high)
    return mostly(one_of(inside), st.sampled_from((low - 1, high + 1)))


def _fields(node: Json, name: str) -> Strategy:
    fields = {
        field: st.deferred(lambda field=field, schema=schema: _schema(schema, field, name))
        for field, schema in node["properties"].items()
    }
    always = dict.fromkeys((*node.get("required", ()), *_USUAL.get(name, ()))) & fields.keys()
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=_MOST_FIELDS, unique=True)
    if name == "spec" and "virtualhost" in fields:
        chosen = chosen.flatmap(lambda some: st.sampled_from([[*fields, *some] for fields in _ROOT_FIELDS]))
    if name == "virtualhost":
        chosen = chosen.flatmap(lambda some: st.sampled_from((some, ["tls", *some])))
    chosen = chosen.map(lambda some: list(dict.fromkeys((*sorted(always), *some))))
    chosen = chosen.flatmap(lambda some: mostly(st.just(_one_of_each(some)), st.just(some), 8))
    return chosen.flatmap(lambda some: st.fixed_dictionaries({field: fields[field] for field in some}))


def _one_of_each(fields: list[str]) -> list[str]:
    """Of fields that exclude each other the last: the first are the usual ones."""
    left = list(fields)
    for group in _ALTERNATIVES:
        found = [field for field in left if field in group]
        left = [field for field in left if field not in found[:-1]]
    return left
