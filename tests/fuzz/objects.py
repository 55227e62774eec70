"""Objects from the schemas of their kinds: of CRDs as OpenAPI, of core kinds as our own types."""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any

import msgspec
import re2
from hypothesis import strategies as st
from tests.fuzz.values import NUMBERS, Strategy, mostly, now_and_then, texts

from contour.api import crds
from contour.api.core import Service
from contour.api.meta import Object
from contour.api.networking import Ingress
from contour.api.yaml import documents

Json = dict[str, Any]

_MOST_FIELDS = 4
# Without them an API server refuses an object of a core kind.
_USUAL = ("ports", "port", "rules", "service", "number", "http", "paths", "backend", "pathType", "path")
_ROOT_FIELDS = ("virtualhost", "routes")

_ANNOTATIONS = {
    **{
        f"{family}/{name}": values
        for family in ("projectcontour.io", "contour.heptio.com")
        for name, values in {
            "ingress.class": ("contour", "other"),
            "response-timeout": ("5s", "infinity", "x"),
            "retry-on": ("5xx", ""),
            "num-retries": ("3", "-1", "x", "99999999999"),
            "per-try-timeout": ("1s", "x"),
            "tls-minimum-protocol-version": ("1.3", "1.1", "x"),
            "tls-maximum-protocol-version": ("1.2", "x"),
            "tls-cert-namespace": ("other", "shop"),
            "websocket-routes": ("/", "/a,/b", ""),
            "max-connections": ("10", "-1", "99999999999", "x"),
            "per-host-max-connections": ("1", "x"),
            "upstream-protocol.h2c": ("80", "http,x", ""),
            "upstream-protocol.tls": ("443,80", ""),
        }.items()
    },
    "ingress.kubernetes.io/force-ssl-redirect": ("true", "false", "x"),
    "kubernetes.io/ingress.allow-http": ("true", "false", "x"),
    "kubernetes.io/ingress.class": ("contour", "nginx", ""),
}


def kinds() -> tuple[str, ...]:
    return (*crds.NAMES, Ingress.kind, Service.kind)


def objects(kind: str) -> Strategy:
    """An object of a kind. Of the names there are few, so that objects meet and replace each other."""
    api_version, body = _custom(kind) if kind in crds.NAMES else _core({"Ingress": Ingress, "Service": Service}[kind])
    names = st.sampled_from(("site", "child", "loop", "web", "api", "auth"))
    metadata = st.fixed_dictionaries(
        {"name": names, "namespace": st.sampled_from(("shop", "shop", "other"))},
        optional={"annotations": _annotations(), "creationTimestamp": st.sampled_from(("2020-01-01T00:00:00Z", None))},
    )
    return st.tuples(metadata, body).map(
        lambda parts: {"apiVersion": api_version, "kind": kind.partition(".")[0], "metadata": parts[0], **parts[1]}
    )


def _annotations() -> Strategy:
    return st.lists(st.sampled_from(sorted(_ANNOTATIONS)), max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: st.sampled_from(_ANNOTATIONS[key]) for key in keys})
    )


# --- custom resources ---------------------------------------------------------------------------------------------


@cache
def _custom(kind: str) -> tuple[str, Strategy]:
    crd = documents(crds.text(kind))[0].value["spec"]
    version = crd["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return f"{crd['group']}/{version['name']}", st.fixed_dictionaries({"spec": _schema(schema, "spec", "")})


def _schema(node: Json, name: str, parent: str) -> Strategy:
    match node["type"]:
        case "object" if "properties" in node:
            right = _fields(node, name)
        case "object":
            right = st.dictionaries(st.sampled_from(("a", "", "b")), st.sampled_from(("c", "")), max_size=2)
        case "array":
            items = st.deferred(lambda: _schema(node["items"], name, parent))
            right = st.lists(items, min_size=node.get("minItems", 0), max_size=3)
        case "string":
            right = st.sampled_from(node["enum"]) if "enum" in node else _text(node, name, parent)
        case "boolean":
            right = st.booleans()
        case _:
            right = st.sampled_from(node["enum"]) if "enum" in node else _number(node)
    return now_and_then(right) if parent else right


def _text(node: Json, name: str, parent: str) -> Strategy:
    """What the schema takes, and in one of some what it does not."""
    found = texts(name.lower(), parent.lower(), ("a", "5s", "/x", "", "true"))
    pattern = re2.compile(node.get("pattern", ""))
    shortest, longest = node.get("minLength", 0), node.get("maxLength", 1 << 20)
    inside = [one for one in found if shortest <= len(one) <= longest and pattern.search(one)]
    return mostly(st.sampled_from(inside or found), st.sampled_from(found))


def _number(node: Json) -> Strategy:
    """What the schema takes, and in one of some what it just does not."""
    low, high = node.get("minimum", 0), node.get("maximum", 2**31)
    inside = [number for number in (*NUMBERS, 80, 80, low, low + 1, high - 1, high) if low <= number <= high]
    return mostly(st.sampled_from(inside), st.sampled_from((low - 1, high + 1)))


def _fields(node: Json, name: str) -> Strategy:
    fields = {
        field: st.deferred(lambda field=field, schema=schema: _schema(schema, field, name))
        for field, schema in node["properties"].items()
    }
    always = {field: fields[field] for field in node.get("required", ())}
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=_MOST_FIELDS, unique=True)
    if name == "spec" and "virtualhost" in fields:
        chosen = chosen.flatmap(lambda some: st.sampled_from(([*some, *_ROOT_FIELDS], [*some, *_ROOT_FIELDS], some)))
    if name in ("routes", "tcpproxy"):
        chosen = chosen.map(lambda some: [*some, "services"])
    return chosen.flatmap(lambda some: st.fixed_dictionaries({**always, **{field: fields[field] for field in some}}))


# --- core kinds ---------------------------------------------------------------------------------------------------


@cache
def _core(kind: type[Object]) -> tuple[str, Strategy]:
    hints = typing.get_type_hints(kind)
    return kind.api_version, st.fixed_dictionaries({"spec": _typed(hints["spec"], "spec", "")})


def _typed(hint: Any, name: str, parent: str) -> Strategy:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _typed(typing.get_args(hint)[0], name, parent)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return st.one_of([_typed(one, name, parent) for one in kinds])
    if origin is tuple:
        items = st.deferred(lambda: _typed(typing.get_args(hint)[0], name, parent))
        return now_and_then(st.lists(items, max_size=3))
    if origin is dict:
        return st.dictionaries(st.sampled_from(("app", "")), st.sampled_from(("web", "")), max_size=1)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = {
            one.encode_name: st.deferred(lambda one=one: _typed(hints[one.name], one.encode_name, name))
            for one in msgspec.structs.fields(hint)
        }
        some = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=_MOST_FIELDS, unique=True)
        usual = [key for key in _USUAL if key in fields]
        some = some.map(lambda keys: [*keys, *usual])
        return now_and_then(some.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys})))
    if hint is bool:
        return st.booleans()
    if hint is int:
        return now_and_then(mostly(st.just(80), st.sampled_from(NUMBERS), 3))
    return now_and_then(st.sampled_from(texts(name.lower(), parent.lower(), ("a", "", "http", "TCP"))))
