"""Objects in, the whole state out, once and offline: what `contour render` prints.

The state is a mapping of lists: one for each resource type, in protobuf's JSON with the original field names and sorted
by name, and `status`, the status blocks that a controller would have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contour.api.meta import Object
from contour.control.pipeline import Pipeline, ShapeName
from contour.control.settings import Settings, extension_missing
from contour.envoy import pb
from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    SCOPED_ROUTE,
    SECRET,
    Resource,
    TypeUrl,
)

State = dict[str, list[Any]]

SECTIONS: Mapping[str, TypeUrl] = {
    "listeners": LISTENER,
    "routes": ROUTE,
    "scoped_routes": SCOPED_ROUTE,
    "clusters": CLUSTER,
    "endpoints": ENDPOINTS,
    "secrets": SECRET,
    "runtime": RUNTIME,
}

REDACTED = "[redacted]"


def render(objects: Iterable[Object], settings: Settings, shape: ShapeName, *, show_secrets: bool = False) -> State:
    """The state of `objects`, built from scratch. Of two objects with one key the last wins."""
    return state(build(objects, settings, shape), shape, show_secrets=show_secrets)


def build(objects: Iterable[Object], settings: Settings, shape: ShapeName) -> Pipeline:
    """A pipeline that holds `objects`, up to date."""
    pipeline = Pipeline(settings, (shape,))
    for obj in objects:
        pipeline.store.apply(obj)
    pipeline.commit()
    return pipeline


def state(pipeline: Pipeline, shape: ShapeName, *, show_secrets: bool) -> State:
    """All sections and `status`."""
    found = resources(pipeline, shape)
    if not show_secrets:
        for secret in found["secrets"]:
            if "private_key" in secret.get("tls_certificate", {}):
                secret["tls_certificate"]["private_key"] = {"inline_string": REDACTED}
    found["status"] = statuses(pipeline)
    return found


def findings(pipeline: Pipeline) -> list[str]:
    """What is wrong with objects that have no place for it in their status (Ingress), and with the configuration."""
    missing = sorted(pipeline.missing_extensions())
    found = [(key, finding) for key, of in pipeline.findings.items() for finding in of.findings]
    return [extension_missing(ref) for ref in missing] + [
        f"{key.kind} {key.namespace}/{key.name}: {finding.reason}: {finding.message}" for key, finding in sorted(found)
    ]


def resources(pipeline: Pipeline, shape: ShapeName) -> State:
    """The resources of a shape by section, each list sorted by name; what is withheld is left out."""
    collections = pipeline.shape(shape)
    state: State = {}
    for section, type_url in SECTIONS.items():
        found = dict(collections[type_url].items()) if type_url in collections else {}
        state[section] = [_json(type_url, value) for _, value in sorted(found.items()) if isinstance(value, Resource)]
    return state


def _json(type_url: TypeUrl, resource: Resource) -> dict[str, Any]:
    message = pb.message_class(type_url)
    if message is None:
        raise LookupError(f"no message class of {type_url}")
    return pb.to_dict(message.FromString(resource.body))


def statuses(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The status blocks, without the times at which conditions changed (they would differ from run to run)."""
    entries = []
    for key, status in sorted(pipeline.statuses.items()):
        block = dict(status)
        if "conditions" in block:
            block["conditions"] = [
                {name: value for name, value in condition.items() if name != "lastTransitionTime"}
                for condition in block["conditions"]
            ]
        entries.append({"kind": key.kind, "namespace": key.namespace, "name": key.name, "status": block})
    return entries
