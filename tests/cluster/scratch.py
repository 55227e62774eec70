"""What the objects of an API server come to when they are built from nothing, and what there is instead."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.cluster.xds_client import TYPES, Held

from contour.control.render import build, statuses
from contour.control.settings import load
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, ROUTE, SCOPED_ROUTE, Resource
from contour.kube import decoding, kinds
from contour.testing.cluster import Api
from contour.testing.cluster.api import Object
from contour.testing.envoy import Envoy

Statuses = dict[tuple[str, str], dict[str, Any]]


class Built(NamedTuple):
    held: Held
    statuses: Statuses  # of HTTPProxies


def scratch(api: Api, disabled: tuple[str, ...] = ()) -> Built:
    """A build of all objects that the server has, but those of disabled features."""
    objects = []
    for kind in kinds.wanted(disabled):
        for item in api.request("GET", kind.path())["items"]:
            read = decoding.version(kind.type, json.dumps(item).encode())
            assert read.value is not None, read.problem
            objects.append(read.value)
    pipeline = build(objects, load(""), "scoped")
    shape = pipeline.shape("scoped")
    held = {
        kind: {name: value.version for name, value in shape[kind].items() if isinstance(value, Resource)}
        for kind in TYPES
        if kind in shape
    }
    wanted = {
        (entry["namespace"], entry["name"]): _plain(entry["status"])
        for entry in statuses(pipeline)
        if entry["kind"] == "HTTPProxy"
    }
    return Built({kind: versions for kind, versions in held.items() if versions}, wanted)


def written(api: Api) -> Statuses:
    """The statuses of HTTPProxies as they are stored."""
    return {
        (item["metadata"]["namespace"], item["metadata"]["name"]): _plain(item.get("status", {}))
        for item in api.list("projectcontour.io/v1", "HTTPProxy")
    }


def taken(envoy: Envoy) -> Held:
    """What an Envoy has and uses, as `tellable`."""
    found: Held = {}
    for dump in json.loads(envoy.admin("/config_dump"))["configs"]:
        for kind, name, version in _dumped(dump):
            found.setdefault(kind, {})[name] = version
    return found


def tellable(held: Held) -> Held:
    """As much of it as an Envoy tells: of scopes the names, of endpoints nothing."""
    told = {kind: versions for kind, versions in held.items() if kind != ENDPOINTS}
    return {**told, SCOPED_ROUTE: dict.fromkeys(told.get(SCOPED_ROUTE, ()), "")}


def _dumped(dump: Object) -> list[tuple[str, str, str]]:
    found = [(CLUSTER, one["cluster"]["name"], one["version_info"]) for one in dump.get("dynamic_active_clusters", ())]
    found += [
        (LISTENER, one["name"], one["active_state"]["version_info"])
        for one in dump.get("dynamic_listeners", ())
        if "active_state" in one
    ]
    found += [
        (ROUTE, one["route_config"]["name"], one["version_info"]) for one in dump.get("dynamic_route_configs", ())
    ]
    for scopes in dump.get("dynamic_scoped_route_configs", ()):
        found += [(SCOPED_ROUTE, one["name"], "") for one in scopes.get("scoped_route_configs", ())]
    return found


def _plain(status: dict[str, Any]) -> dict[str, Any]:
    """Without the times at which conditions changed, and without what is empty: that is not written."""
    conditions = [
        {name: value for name, value in condition.items() if name != "lastTransitionTime"}
        for condition in status.get("conditions", ())
    ]
    return {name: value for name, value in {**status, "conditions": conditions}.items() if value}
