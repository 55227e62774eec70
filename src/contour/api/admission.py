"""What an API server would do to an object that somebody writes: default, prune, check, or refuse with reasons.

For manifests in a folder and for `contour lint`; what comes from an API server has been through one.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from contour.api import crds, ingress_v1beta1, rules, schema
from contour.api.annotations import unsupported
from contour.api.core import Namespace, Secret, Service
from contour.api.decode import (
    CLUSTER_SCOPED,
    DecodeError,
    decode_as,
    json_type,
    kind_of,
    object_name,
    to_stored_version,
)
from contour.api.meta import Object
from contour.api.names import label_error, subdomain_error
from contour.api.schema import FieldError

# What etcd takes in one request: an API server would not take a larger object either.
MAX_SIZE = 1536 << 10
# All keys and values of an object's annotations together, as an API server counts them.
MAX_ANNOTATIONS = 256 << 10


class AdmissionError(DecodeError):
    """An object that an API server would refuse, with all the reasons."""

    def __init__(self, kind: str, name: str, errors: tuple[FieldError, ...]) -> None:
        super().__init__(kind, name, "; ".join(map(str, errors)))
        self.errors = errors
        self.path = errors[0].path


class Review(msgspec.Struct, frozen=True):
    """An admitted object, and what its author should know: fields that were left out, annotations without an effect."""

    object: Object
    warnings: tuple[str, ...] = ()


def admit(source: Mapping[str, Any]) -> Object:
    """The object as an API server would hold it; raises `AdmissionError` or `UnknownKind`, both `DecodeError`s."""
    return review(source).object


def review(source: Mapping[str, Any]) -> Review:
    """As `admit`, with warnings."""
    kind = kind_of(source)
    current = to_stored_version(source)
    old = current is not source  # converted from a retired version, whose authors know other field names

    def refuse(*errors: FieldError) -> AdmissionError:
        named = (msgspec.structs.replace(error, path=ingress_v1beta1.old_path(error.path)) for error in errors)
        name = object_name(source)
        if "/" not in name and kind not in CLUSTER_SCOPED:
            name = f"default/{name}" if name else ""
        return AdmissionError(kind.kind, name, tuple(named) if old else errors)

    if problem := _size_problem(source):
        raise refuse(FieldError("", problem))
    prepared, problems = _prepared(kind, current)
    warnings: tuple[str, ...] = ()
    if kind.kind in crds.NAMES and not problems:
        admitted = schema.admit(prepared, crds.schema(kind.kind))
        prepared, problems = admitted.value, list(admitted.errors)
        warnings = tuple(f'unknown field "{path}"' for path in admitted.pruned)
    if problems:
        raise refuse(*problems)
    try:
        obj = rules.defaulted(decode_as(kind, prepared))
    except DecodeError as error:
        hint = "quote the value" if error.reason.startswith("Expected `str`, got `") else ""
        raise refuse(FieldError(error.path.removeprefix("$."), error.reason, hint)) from None
    if broken := tuple(rules.errors(obj)):
        raise refuse(*broken)
    return Review(obj, (*warnings, *unsupported(kind.kind, obj.metadata.annotations or {})))


def _size_problem(source: Mapping[str, Any]) -> str:
    try:
        size = len(msgspec.json.encode(source))
    except RecursionError:
        return "nested too deeply"
    except (ValueError, TypeError, OverflowError) as error:  # half a surrogate pair, a number that is no JSON
        return f"not an object that JSON can hold: {error}"
    if size > MAX_SIZE:
        return f"{size} bytes, more than the {MAX_SIZE} that an object may have"
    metadata = source.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if isinstance(annotations, Mapping):
        total = sum(len(str(part).encode()) for pair in annotations.items() for part in pair)
        if total > MAX_ANNOTATIONS:
            return f"metadata.annotations: Too long: may not be more than {MAX_ANNOTATIONS} bytes"
    return ""


# --- metadata, and what differs between what is written and what is stored ----------------------------------------


def _prepared(kind: type[Object], source: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The object with its namespace, a Secret's `stringData` in `data`, no status of a custom resource or Ingress."""
    metadata = source.get("metadata")
    if not isinstance(metadata, Mapping):
        return {}, [FieldError("metadata.name", "Required value")]
    metadata = {key: value for key, value in metadata.items() if value is not None}
    if kind in CLUSTER_SCOPED:
        metadata.pop("namespace", None)
    elif not metadata.get("namespace"):
        metadata["namespace"] = "default"
    prepared = {**source, "metadata": metadata}
    problems = list(_metadata_problems(kind, metadata))
    if kind is Secret:
        prepared, secret_problems = _with_string_data(prepared)
        problems += secret_problems
    elif kind is not Service:
        # Status is the controller's to write. That of a Service stays: it is where a folder says the address of Envoy.
        prepared.pop("status", None)
    return prepared, problems


def _metadata_problems(kind: type[Object], metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    for field in ("name", "namespace"):
        path, value = f"metadata.{field}", metadata.get(field, "")
        one_label = field == "namespace" or kind in {Service, Namespace}
        if not isinstance(value, str):
            yield FieldError(path, f"must be a string, not {json_type(value)}", "quote the value")
        elif not value:
            if field == "name":
                yield FieldError(path, "Required value")
        elif wrong := label_error(value) if one_label else subdomain_error(value):
            yield FieldError(path, wrong)
    for field in ("labels", "annotations"):
        yield from _not_strings(metadata.get(field), f"metadata.{field}")


def _not_strings(value: Any, path: str) -> Iterator[FieldError]:
    """Members of a mapping that are not strings; the values themselves are not shown, as they may be secret."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield FieldError(path, f"must be an object, not {json_type(value)}")
        return
    for key, item in value.items():
        if item is not None and not isinstance(item, str):
            yield FieldError(f"{path}[{key}]", f"must be a string, not {json_type(item)}", "quote the value")


def _with_string_data(secret: dict[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """`stringData` wins over `data`. Values of `data` are checked here, where the key is known."""
    problems = [error for field in ("data", "stringData") for error in _not_strings(secret.get(field), field)]
    if problems:
        return secret, problems
    data = {key: value or "" for key, value in (secret.get("data") or {}).items()}
    for key, value in data.items():
        try:
            binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
        except ValueError:
            problems.append(FieldError(f"data[{key}]", "Invalid value: not base64", "plain text goes into stringData"))
    for key, value in (secret.get("stringData") or {}).items():
        data[key] = binascii.b2a_base64((value or "").encode(), newline=False).decode()
    merged = {key: value for key, value in secret.items() if key != "stringData"}
    return {**merged, "data": data}, problems
