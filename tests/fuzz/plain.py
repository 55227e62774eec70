"""Objects of kinds that are not custom resources, from our own types of them."""

from __future__ import annotations

import base64
import types
import typing
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from tests.fuzz.surroundings import CONTENTS
from tests.fuzz.values import NAMES, NUMBERS, SERVICES, Strategy, mostly, now_and_then, one_of, texts

from contour.api.core import SERVICE_NAME_LABEL, Endpoints, EndpointSlice, Secret, Service
from contour.api.meta import Object
from contour.api.networking import Ingress, IngressClass

Json = dict[str, Any]

_MOST_FIELDS = 4
# Without them an API server refuses an object.
_USUAL = (
    *("ports", "port", "rules", "service", "number", "http", "paths", "backend", "pathType", "path"),
    *("addressType", "addresses", "endpoints", "controller"),
)
_OLD_INGRESS = ("extensions/v1beta1", "networking.k8s.io/v1beta1")

KINDS: dict[str, type[Object]] = {
    kind.kind: kind for kind in (Service, EndpointSlice, Endpoints, Secret, Ingress, IngressClass)
}


def body(kind: str) -> Strategy:
    """An object without its metadata."""
    if kind == Secret.kind:
        return _secret()
    found = _object(KINDS[kind])
    return mostly(found, found.map(_old), 10) if kind == Ingress.kind else found


def names(kind: str) -> Strategy:
    """Such as others refer to."""
    return st.sampled_from({Service.kind: SERVICES, Secret.kind: (*sorted(CONTENTS), "web")}.get(kind, NAMES))


def labels(kind: str) -> dict[str, Strategy]:
    if kind != EndpointSlice.kind:
        return {}
    return {"labels": st.fixed_dictionaries({SERVICE_NAME_LABEL: st.sampled_from((*SERVICES, ""))})}


@cache
def _object(kind: type[Object]) -> Strategy:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {
        one.encode_name: _typed(hints[one.name], one.encode_name, "")
        for one in msgspec.structs.fields(kind)
        if one.name not in ("metadata", "status")
    }
    return st.fixed_dictionaries({"apiVersion": st.just(kind.api_version), "kind": st.just(kind.kind), **fields})


def _typed(hint: Any, name: str, parent: str) -> Strategy:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _typed(typing.get_args(hint)[0], name, parent)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in typing.get_args(hint) if one is not types.NoneType]
        return st.one_of([_typed(one, name, parent) for one in kinds])
    if origin is tuple:
        items = st.deferred(lambda: _typed(typing.get_args(hint)[0], name, parent))
        return now_and_then(st.lists(items, min_size=name in _USUAL, max_size=3))
    if origin is dict:
        return st.dictionaries(st.sampled_from(("app", "")), st.sampled_from(("web", "")), max_size=1)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _struct(hint, name)
    if hint is bool:
        return st.booleans()
    if hint is int:
        return now_and_then(mostly(st.just(80), one_of(NUMBERS), 3))
    return now_and_then(one_of(texts(name.lower(), parent.lower(), ("a", "http", "TCP", ""))))


def _struct(kind: type[msgspec.Struct], name: str) -> Strategy:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {
        one.encode_name: st.deferred(lambda one=one: _typed(hints[one.name], one.encode_name, name))
        for one in msgspec.structs.fields(kind)
    }
    some = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=_MOST_FIELDS, unique=True)
    usual = [key for key in _USUAL if key in fields]
    some = some.map(lambda keys: list(dict.fromkeys([*usual, *keys])))
    if name in ("backend", "defaultBackend"):  # one of both
        some = mostly(st.just(["service"]), some, 10)
    if name == "port":
        some = mostly(st.sampled_from((["number"], ["number"], ["name"])), some, 10)
    return now_and_then(some.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys})))


def _secret() -> Strategy:
    """A Secret of any kind, with what belongs into another, or with something that is no base64."""
    data = mostly(
        st.sampled_from(sorted(CONTENTS)).map(lambda name: CONTENTS[name][1]),
        st.dictionaries(
            st.sampled_from(("tls.crt", "tls.key", "ca.crt", "crl.pem", "key", "")),
            st.sampled_from([part for _, parts in CONTENTS.values() for part in parts.values()]),
            max_size=3,
        ),
        3,
    ).map(lambda parts: {key: base64.b64encode(part).decode() for key, part in parts.items()})
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just(Secret.api_version),
            "kind": st.just(Secret.kind),
            "type": mostly(st.sampled_from(("kubernetes.io/tls", "Opaque")), st.sampled_from(("x", "", None)), 10),
            "data": now_and_then(data),
        },
        optional={"stringData": st.sampled_from(({}, {"key": "{}"}, {"tls.key": "x"}, {"a": None}, {"b": 1}))},
    )


def _old(ingress: Json) -> Json:
    """In a retired version: the backend's fields have other names, and stand elsewhere."""
    return {**_renamed(ingress), "apiVersion": _OLD_INGRESS[len(repr(ingress)) % 2]}


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if not isinstance(value, dict):
        return value
    fields = {{"defaultBackend": "backend"}.get(key, key): _renamed(one) for key, one in value.items()}
    service = fields.pop("service", None)
    if not isinstance(service, dict):
        return fields
    port = service.get("port")
    number = (port.get("number") or port.get("name")) if isinstance(port, dict) else port
    return {**fields, "serviceName": service.get("name"), "servicePort": number}
