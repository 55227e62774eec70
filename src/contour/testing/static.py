"""A rendered state as a static bootstrap: for Envoy's validator, and for traffic without an xDS server.

In: resources as protobuf JSON by section, as `contour render` prints them, of either shape. Out: a bootstrap whose
listeners hold their routes inline, whose clusters hold their endpoints, and whose secrets and runtime are static.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from contour.control.render import SECTIONS
from contour.envoy import pb
from contour.envoy.resource import Resource
from contour.envoy.upstreams import Shape

Json = dict[str, Any]
State = Mapping[str, list[Json]]

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ADMIN = "envoy-admin"
# By discovery there may be none; inline there must be one.
_NO_SCOPE: Json = {
    "name": "none",
    "key": {"fragments": [{"string_key": "none"}]},
    "route_configuration": {"name": "none"},
}


def state_of(shape: Shape) -> dict[str, list[Json]]:
    """The resources of a shape by section, sorted by name; secrets in full, what is withheld left out."""
    state: dict[str, list[Json]] = {}
    for section, type_url in SECTIONS.items():
        found = dict(shape[type_url].items()) if type_url in shape else {}
        message = pb.message_class(type_url)
        if message is None:
            raise TypeError(f"no message of type {type_url}")
        state[section] = [
            pb.to_dict(message.FromString(one.body)) for _, one in sorted(found.items()) if isinstance(one, Resource)
        ]
    return state


def static_config(state: State, *, admin_socket: str = "") -> Json:
    """A bootstrap without any other source of configuration.

    Without `admin_socket` (Envoy's own admin) the listeners that show its pages answer 503; `envoy.Envoy` and
    `envoy.validate` do not mind.
    """
    endpoints = {one["cluster_name"]: one for one in state.get("endpoints", [])}
    secrets = {one["name"] for one in state.get("secrets", [])}
    clusters = [_cluster(one, endpoints, secrets) for one in state.get("clusters", [])]
    config: Json = {
        "static_resources": {
            "listeners": [
                one for one in (_listener(one, state) for one in state.get("listeners", [])) if one["filter_chains"]
            ],
            "clusters": [*clusters, _admin_cluster(admin_socket or "/nowhere/admin.sock")],
            "secrets": copy.deepcopy(list(state.get("secrets", []))),
        },
        "layered_runtime": {
            "layers": [{"name": one["name"], "static_layer": one["layer"]} for one in state.get("runtime", [])]
        },
    }
    if admin_socket:
        config["admin"] = {"address": {"pipe": {"path": admin_socket}}}
    return config


def _listener(listener: Json, state: State) -> Json:
    listener = copy.deepcopy(listener)
    names = {secret["name"] for secret in state.get("secrets", [])}
    # A chain may wait for its secret by discovery, but not in a static listener.
    listener["filter_chains"] = [chain for chain in listener["filter_chains"] if _secret_names(chain) <= names]
    for chain in listener["filter_chains"]:
        for one in chain["filters"]:
            if one["typed_config"]["@type"] == _HCM:
                _inline_routes(one["typed_config"], state)
        if "transport_socket" in chain:
            _name_secrets(chain["transport_socket"]["typed_config"], state)
    return listener


def _secret_names(chain: Json) -> set[str]:
    context = chain.get("transport_socket", {}).get("typed_config", {}).get("common_tls_context", {})
    combined = context.get("combined_validation_context", {})
    trust = [combined["validation_context_sds_secret_config"]] if combined else []
    return {one["name"] for one in (*context.get("tls_certificate_sds_secret_configs", []), *trust)}


def _inline_routes(manager: Json, state: State) -> None:
    if "rds" in manager:
        name = manager.pop("rds")["route_config_name"]
        found = next((one for one in state["routes"] if one["name"] == name), {"name": name})
        manager["route_config"] = _unchecked(found)
    elif "scoped_routes" in manager:
        scopes = [
            {**scope, "route_configuration": _unchecked(scope["route_configuration"])}
            for scope in state["scoped_routes"] or [_NO_SCOPE]
        ]
        routes = manager["scoped_routes"]
        routes.pop("scoped_rds")
        routes.pop("rds_config_source")
        routes["scoped_route_configurations_list"] = {"scoped_route_configurations": scopes}


def _unchecked(configuration: Json) -> Json:
    """By discovery a route may name a cluster that is not there (yet); inline only when it says so."""
    return {**copy.deepcopy(configuration), "validate_clusters": False}


def _name_secrets(context: Json, state: State) -> None:
    common = context["common_tls_context"]
    for one in common.get("tls_certificate_sds_secret_configs", []):
        one.pop("sds_config", None)
    common.get("validation_context_sds_secret_config", {}).pop("sds_config", None)
    if "combined_validation_context" in common:  # of validation contexts Envoy takes no name in a static listener
        combined = common.pop("combined_validation_context")
        name = combined["validation_context_sds_secret_config"]["name"]
        (trust,) = (one["validation_context"] for one in state["secrets"] if one["name"] == name)
        common["validation_context"] = {**combined["default_validation_context"], **trust}


def _cluster(cluster: Json, endpoints: Mapping[str, Json], secrets: Collection[str]) -> Json:
    cluster = copy.deepcopy(cluster)
    if "transport_socket" in cluster:
        _name_client_certificate(cluster["transport_socket"]["typed_config"]["common_tls_context"], secrets)
    if cluster.get("type") == "EDS":
        source = cluster.pop("eds_cluster_config")
        assignment = endpoints.get(source["service_name"], {})
        cluster["load_assignment"] = {**copy.deepcopy(assignment), "cluster_name": cluster["name"]}
        cluster["type"] = "STATIC"  # like EDS it takes no names
    return cluster


def _name_client_certificate(context: Json, secrets: Collection[str]) -> None:
    """By discovery it may be missing: then the cluster's connections fail."""
    configs = [one for one in context.pop("tls_certificate_sds_secret_configs", []) if one["name"] in secrets]
    if configs:
        context["tls_certificate_sds_secret_configs"] = [{"name": one["name"]} for one in configs]


def _admin_cluster(path: str) -> Json:
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return {
        "name": _ADMIN,
        "type": "STATIC",
        "load_assignment": {"cluster_name": _ADMIN, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
