"""Mappings and JSON bytes to typed objects.

Nulls count as absent, unknown fields are skipped, and nothing in a `status` makes an object fail: what cannot be read
there is dropped. Retired versions, of Ingress and of HTTPProxy, become the one that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from contour.api import httpproxy_v1alpha1
from contour.api.core import Endpoints, EndpointSlice, Namespace, Secret, Service
from contour.api.extensionservice import ExtensionService
from contour.api.heptio import HeptioCertificateDelegation, IngressRoute
from contour.api.ingress_v1beta1 import to_v1
from contour.api.meta import Object
from contour.api.networking import Ingress, IngressClass
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation

KINDS: tuple[type[Object], ...] = (
    Service,
    Endpoints,
    EndpointSlice,
    Secret,
    Namespace,
    Ingress,
    IngressClass,
    HTTPProxy,
    TLSCertificateDelegation,
    ExtensionService,
    IngressRoute,
    HeptioCertificateDelegation,
)

# (apiVersion, kind) -> type; the versions that are converted stand beside those that are stored.
REGISTRY: dict[tuple[str, str], type[Object]] = {
    **{(kind.api_version, kind.kind.partition(".")[0]): kind for kind in KINDS},
    ("extensions/v1beta1", "Ingress"): Ingress,
    ("networking.k8s.io/v1beta1", "Ingress"): Ingress,
    ("networking.k8s.io/v1beta1", "IngressClass"): IngressClass,
    ("projectcontour.io/v1alpha1", "HTTPProxy"): HTTPProxy,
    ("projectcontour.io/v1alpha1", "TLSCertificateDelegation"): TLSCertificateDelegation,
}

CLUSTER_SCOPED: frozenset[type[Object]] = frozenset({Namespace, IngressClass})

T = TypeVar("T", bound=Object)

_CONVERSIONS: dict[tuple[str, str], Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    ("extensions/v1beta1", "Ingress"): to_v1,
    ("networking.k8s.io/v1beta1", "Ingress"): to_v1,
    ("projectcontour.io/v1alpha1", "HTTPProxy"): httpproxy_v1alpha1.to_v1,
    ("projectcontour.io/v1alpha1", "TLSCertificateDelegation"): httpproxy_v1alpha1.to_v1,
}


class DecodeError(ValueError):
    """An object that does not have the shape of its kind.

    `path` is the field, as `$.spec.routes[0].services[0].port` ("" when the whole object is meant).
    """

    def __init__(self, kind: str, name: str, reason: str, path: str = "") -> None:
        self.kind, self.name, self.reason, self.path = kind, name, reason, path
        where = f" at {path}" if path else ""
        super().__init__(f"{kind or 'object'} {name or '(no name)'}: {reason}{where}")


class UnknownKind(DecodeError):  # noqa: N818 - what it says is enough
    """A well-formed Kubernetes object of a kind that is not known here."""


class _TypeMeta(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""


def decode(source: Mapping[str, Any] | bytes) -> Object:
    """The typed object of a mapping or of JSON bytes; raises `DecodeError` or `UnknownKind`."""
    if isinstance(source, bytes):
        try:
            meta = msgspec.json.decode(source, type=_TypeMeta)
            kind = REGISTRY.get((meta.api_version, meta.kind))
            if kind is not None and (meta.api_version, meta.kind) not in _CONVERSIONS:
                return decode_as(kind, source)
            mapping = msgspec.json.decode(source)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("", "", str(error)) from None
    else:
        mapping = source
    return decode_as(kind_of(mapping), mapping)


def kind_of(source: object) -> type[Object]:
    """The type that a mapping becomes; raises `DecodeError` if it does not say, `UnknownKind` if it is not ours."""
    if not isinstance(source, Mapping):
        raise DecodeError("", "", f"expected an object, got {json_type(source)}")
    api_version, name = source.get("apiVersion"), source.get("kind")
    if not isinstance(api_version, str) or not isinstance(name, str) or not api_version or not name:
        raise DecodeError(_text(name), object_name(source), "apiVersion and kind are required")
    kind = REGISTRY.get((api_version, name))
    if kind is None:
        raise UnknownKind(name, object_name(source), f"unknown kind {api_version} {name}")
    return kind


def decode_as(kind: type[T], source: Mapping[str, Any] | bytes) -> T:
    """As `decode` for a kind that is known beforehand, as in a list or a watch of one resource."""
    try:
        if isinstance(source, bytes):
            return msgspec.json.decode(source, type=kind)
        return msgspec.convert(to_stored_version(source), kind)
    except msgspec.ValidationError:
        pass  # nulls, line ends in base64, a strange status: the thorough way below tells what is wrong
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(kind.kind, "", str(error)) from None
    return _decode_thoroughly(kind, source)


def to_stored_version(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object in the version that its type describes: one of a retired version becomes v1."""
    convert = _CONVERSIONS.get((_text(source.get("apiVersion")), _text(source.get("kind"))))
    return source if convert is None else convert(source)


def _decode_thoroughly(kind: type[T], source: Mapping[str, Any] | bytes) -> T:
    mapping = msgspec.json.decode(source) if isinstance(source, bytes) else source
    if not isinstance(mapping, Mapping):
        raise DecodeError(kind.kind, "", f"expected an object, got {json_type(mapping)}")
    if kind is Secret:
        mapping = _plain_base64(mapping)
    stripped = to_stored_version(without_nulls(mapping))
    try:
        try:
            return msgspec.convert(stripped, kind)
        except msgspec.ValidationError as error:
            if "status" not in stripped or not _path(error).startswith("$.status"):
                raise
            return msgspec.convert({key: value for key, value in stripped.items() if key != "status"}, kind)
    except msgspec.ValidationError as error:
        reason, _, _ = str(error).partition(" - at `")
        raise DecodeError(kind.kind, object_name(stripped), reason, _path(error)) from None


def _path(error: msgspec.ValidationError) -> str:
    _, _, path = str(error).partition(" - at `")
    return path.removesuffix("`")


def _plain_base64(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Go's decoder skips line ends within base64, and a key whose value is null is there and empty."""
    data = secret.get("data")
    if not isinstance(data, Mapping):
        return dict(secret)
    plain = {key: _without_line_ends(value) for key, value in data.items()}
    return {**secret, "data": plain}


def _without_line_ends(value: Any) -> Any:
    if value is None:
        return ""
    return value.replace("\n", "").replace("\r", "") if isinstance(value, str) else value


def without_nulls(value: Any) -> Any:
    """The value with every null member of a mapping left out, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def object_name(source: Mapping[str, Any]) -> str:
    """`namespace/name` of a mapping, as far as it has them; for messages."""
    metadata = source.get("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    return "/".join(part for part in (_text(metadata.get("namespace")), _text(metadata.get("name"))) if part)


def json_type(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
    return "array"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
