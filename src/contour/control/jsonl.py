"""Render requests for tools: one JSON object in, one out (`contour render --jsonl`).

A request is `{"name", "config": text of a configuration file, "args": [flags of serve], "objects": [...]}`; the answer
has the state's sections beside the name, or `error`. Objects of unknown kinds are ignored; secrets are in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from contour.api.admission import admit
from contour.api.decode import REGISTRY, DecodeError, UnknownKind, decode
from contour.api.meta import Object, ObjectRef
from contour.control.pipeline import ShapeName
from contour.control.refused import refused_status
from contour.control.render import render
from contour.control.settings import Flags, SettingsError, load

ParseFlags = Callable[[Sequence[str]], Mapping[str, Any]]


class Request(msgspec.Struct):
    name: str = ""
    config: str = ""
    args: tuple[str, ...] = ()
    objects: tuple[dict[str, Any], ...] = ()


def answer(line: str | bytes, parse_flags: ParseFlags, shape: ShapeName, *, skip_admission: bool) -> dict[str, Any]:
    """The answer to one line; whatever is wrong with it becomes `error` in the answer."""
    name = ""
    try:
        name = msgspec.json.decode(line, type=_Name).name
        request = msgspec.json.decode(line, type=Request)
        settings = load(request.config, Flags(**parse_flags(request.args)))
    except SettingsError as error:
        return {"name": name, "error": f"config: {error}"}  # the member of the request that is wrong
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return {"name": name, "error": str(error)}
    objects, refused = _decode(request.objects, skip_admission=skip_admission)
    try:
        state = render(objects, settings, shape, show_secrets=True)
    except Exception as error:  # noqa: BLE001  # whatever it is, the next request is answered
        return {"name": request.name, "error": f"{type(error).__name__}: {error}"}
    state["status"] += [refused_status(key, text) for key, text in refused.items()]
    return {"name": request.name, **state}


class _Name(msgspec.Struct):
    name: str = ""


def _decode(mappings: Sequence[dict[str, Any]], *, skip_admission: bool) -> tuple[list[Object], dict[ObjectRef, str]]:
    objects: dict[ObjectRef, Object] = {}
    refused: dict[ObjectRef, str] = {}
    for mapping in mappings:
        try:
            obj = decode(mapping) if skip_admission else admit(mapping)
        except UnknownKind:
            continue
        except DecodeError as error:
            refused[_key(mapping)] = str(error)
            continue
        objects[ObjectRef(obj.kind, *obj.ref)] = obj
    return list(objects.values()), refused


def _key(mapping: Mapping[str, Any]) -> ObjectRef:
    known = REGISTRY.get((str(mapping.get("apiVersion")), str(mapping.get("kind"))))
    metadata = mapping.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    kind = known.kind if known else str(mapping.get("kind", ""))
    return ObjectRef(kind, str(found.get("namespace", "")), str(found.get("name", "")))
