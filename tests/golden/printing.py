"""Values as the YAML of the goldens: graph values without their defaults, resources without what is constant."""

from __future__ import annotations

import base64
import enum
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from contour.api.meta import ObjectRef, Ref
from contour.api.scalars import format_duration
from contour.dag import graph
from contour.dag.verdict import Finding, Verdict
from contour.envoy.filters.script import script

Json = dict[str, Any]

_WIDTH = 110  # what fits in a line stands in a line
_DURATIONS = frozenset({"timeout", "idle_timeout", "per_try_timeout", "interval", "window"})
_ORIGIN = "envoy.access_loggers.file"
_SCRIPTS = {script(name): f"[{name}.lua]" for name in ("scope", "cookie_rewrite", "misdirected")}


# --- graph --------------------------------------------------------------------------------------------------------


def host(one: graph.Host) -> Json:
    printed = plain(one)
    for unit in ("clusters", "name"):  # the distinct clusters of the routes below; the key above
        printed.pop(unit, None)
    for side in ("http", "https"):
        if side in printed:
            printed[side].pop("name")
    if one.http and one.https and one.http.routes == one.https.routes:
        printed["https"]["routes"] = "as http"
    printed["verdicts"] = {str(ref): plain(verdict) for ref, verdict in one.verdicts}
    if one.ingressroutes:
        printed["ingressroutes"] = {str(ref): plain(verdict) for ref, verdict in one.ingressroutes}
    return printed


def plain(value: Any) -> Any:
    match value:
        case ObjectRef(kind, namespace, name):
            return f"{kind} {namespace}/{name}"
        case Ref():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case enum.Enum():
            return value.value
        case graph.PathMatch(kind, path):
            return f"{kind} {path}"
        case graph.ServicePort(external_name=""):
            name = f" ({value.port_name})" if value.port_name else ""
            return f"{value.namespace}/{value.service}:{value.port}{name}"
        case graph.Cluster(service) if value == graph.Cluster(service):
            return plain(service)
        case Finding():
            return f"{value.type}/{value.reason}: {value.message}"
        case Verdict(errors=(), warnings=()):
            return "valid"
        case msgspec.Struct():
            return {
                field.name: _duration(found) if field.name in _DURATIONS else plain(found)
                for field in msgspec.structs.fields(value)
                if (found := getattr(value, field.name)) != field.default or field.required
            } or type(value).__name__.lower()
        case tuple():
            return [plain(item) for item in value]
    return value


def _duration(value: int | None) -> str | None:
    return None if value is None else format_duration(value)


# --- resources ----------------------------------------------------------------------------------------------------


def trimmed(state: Mapping[str, list[Json]], constant: Mapping[str, list[Json]]) -> Json:
    """The state less what `constant`, the state of the golden `defaults`, has as well."""
    printed: Json = {}
    known = _http_filters(constant)
    for section, resources in state.items():
        found = [_less(one, _counterpart(section, one, constant[section]), known) for one in resources]
        found = [one for one in found if one]
        if found:
            printed[section] = found
    names = {one["name"] for section in _ALWAYS for one in state[section]}
    always = [one["name"] for section in _ALWAYS for one in constant[section] if one["name"] not in _INGRESS]
    missing = [name for name in always if name not in names]
    return printed | ({"without": missing} if missing else {})


# Resources that are there whatever is served, but for the listeners of hosts.
_ALWAYS = ("listeners", "runtime")
_INGRESS = ("ingress_http", "ingress_https")


def _http_filters(constant: Mapping[str, list[Json]]) -> list[Json]:
    """All that `defaults` has: the second look of envoy.md §2 is in the plain listener there."""
    return [
        one
        for listener in constant["listeners"]
        for chain in listener["filter_chains"]
        for network_filter in chain["filters"]
        for one in network_filter["typed_config"]["http_filters"]
    ]


def _counterpart(section: str, resource: Json, among: list[Json]) -> Json:
    """The resource of `defaults` that this one is compared with."""
    if section in _ALWAYS:
        return next((one for one in among if one["name"] == resource["name"]), {})
    if section == "scoped_routes":
        plain_host = resource["name"].startswith("http/")
        return next(one for one in among if one["name"].startswith("http/") is plain_host)
    if section == "routes":
        return among[0]
    return among[0] if section == "clusters" else {}


# Lists whose every item is compared with the first one of `defaults`, or with the one at the same place there.
_ALIKE = ("filter_chains", "filters", "tls_certificate_sds_secret_configs")
_ALIGNED = ("early_header_mutation_extensions", "mutations")
# Lists of which an item that `defaults` has too is printed as its name.
_HTTP_FILTERS = "http_filters"
_NAMED = (_HTTP_FILTERS, "virtual_hosts")
_SAME = "as always"
_NAMES = ("name", "service_name", "cluster_name")


def _less(value: Json, constant: Json, known: list[Json]) -> Json:
    if value == constant:
        return {"name": value["name"]} if value.get("name") in _INGRESS else {}
    kept: Json = {}
    for key, item in value.items():
        other = constant.get(key)
        if item == other and key not in _NAMES:
            continue
        if key in _ALIKE and other:
            kept[key] = [_less(one, other[0], known) or _SAME for one in item]
        elif key in _ALIGNED and other and len(item) == len(other):
            kept[key] = [_less(one, another, known) or _SAME for one, another in zip(item, other, strict=True)]
        elif key in _NAMED and other:
            kept[key] = [one["name"] if one in (known if key == _HTTP_FILTERS else other) else one for one in item]
        elif key in _NAMES or other is None:
            kept[key] = item
        else:
            both = isinstance(item, dict) and isinstance(other, dict)
            kept[key] = _less(item, other, known) if both else item
    missing = [key for key in constant if key not in value]
    return kept | ({"without": missing} if missing else {})


def without_scripts(value: Any) -> Any:
    """Lua has tests of its own."""
    if isinstance(value, dict):
        return {key: without_scripts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_scripts(item) for item in value]
    return _SCRIPTS.get(value, value) if isinstance(value, str) else value


def with_origins(value: Any) -> Any:
    """What the access log is told about a route, in one line."""
    if isinstance(value, list):
        return [with_origins(item) for item in value]
    if not isinstance(value, dict):
        return value
    printed = {key: with_origins(item) for key, item in value.items()}
    metadata = value.get("metadata", {}).get("filter_metadata", {})
    origin = metadata.get(_ORIGIN, {})
    if len(origin) == 3 and all(isinstance(text, str) for text in origin.values()):
        kind, namespace, name = (origin[f"io.projectcontour.{part}"] for part in ("kind", "namespace", "name"))
        printed["metadata"] = {"filter_metadata": metadata | {_ORIGIN: f"{kind} {namespace}/{name}"}}
    return printed


# --- YAML ---------------------------------------------------------------------------------------------------------


def text(value: Any, labels: Mapping[str, str]) -> str:
    """Two outer levels one item a line; deeper, what fits in a line stands in a line."""
    dumped = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    for found, label in labels.items():
        dumped = dumped.replace(found, label)
    return dumped


class _Dumper(yaml.SafeDumper):
    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _fits(node)
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = _fits(node) and not any(isinstance(item, yaml.MappingNode) for item in node.value)
        return node

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, '"' if "\n" in value else style)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _fits(node: yaml.Node) -> bool:
    return _length(node) <= _WIDTH


def _length(node: yaml.Node) -> int:
    if isinstance(node, yaml.MappingNode):
        return sum(_length(key) + _length(value) + 4 for key, value in node.value)
    if isinstance(node, yaml.SequenceNode):
        return sum(_length(item) + 2 for item in node.value)
    return min(len(node.value), 60) if _is_bytes(node.value) else len(node.value)


def _is_bytes(value: str) -> bool:
    """Base64 of a certificate, replaced by a label later."""
    return value.startswith("LS0tLS1CRUdJTi")
