"""Ingress of `extensions/v1beta1` and `networking.k8s.io/v1beta1` as `networking.k8s.io/v1` (operations.md §5.2).

What does not have the expected shape is left where it is, for the decoder of v1 to complain about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

API_VERSION = "networking.k8s.io/v1"


def to_v1(old: Mapping[str, Any]) -> dict[str, Any]:
    """The same Ingress in v1: `backend` is `defaultBackend`, backends are nested, every path has a type."""
    new = {**old, "apiVersion": API_VERSION}
    spec = old.get("spec")
    if isinstance(spec, Mapping):
        new["spec"] = _spec(spec)
    return new


def _spec(old: Mapping[str, Any]) -> dict[str, Any]:
    new = {key: value for key, value in old.items() if key != "backend"}
    if old.get("backend") is not None:
        new["defaultBackend"] = _backend(old["backend"])
    if isinstance(old.get("rules"), list):
        new["rules"] = [_rule(rule) for rule in old["rules"]]
    return new


def _rule(old: Any) -> Any:
    http = old.get("http") if isinstance(old, Mapping) else None
    if not isinstance(http, Mapping) or not isinstance(http.get("paths"), list):
        return old
    return {**old, "http": {**http, "paths": [_path(path) for path in http["paths"]]}}


def _path(old: Any) -> Any:
    if not isinstance(old, Mapping):
        return old
    new = {**old, "pathType": old.get("pathType") or "ImplementationSpecific"}
    if "backend" in old:
        new["backend"] = _backend(old["backend"])
    return new


def _backend(old: Any) -> Any:
    if not isinstance(old, Mapping):
        return old
    new = {key: value for key, value in old.items() if key not in {"serviceName", "servicePort"}}
    name, port = old.get("serviceName"), old.get("servicePort")
    if name or port:
        service: dict[str, Any] = {"name": name if name is not None else ""}
        if port is not None:
            service["port"] = {"name": port} if isinstance(port, str) else {"number": port}
        new["service"] = service
    return new


def old_path(path: str) -> str:
    """A field of the converted object, as it was called before: `…backend.service.name` -> `…backend.serviceName`."""
    for new, old in (
        ("spec.defaultBackend", "spec.backend"),
        (".service.port.number", ".servicePort"),
        (".service.port.name", ".servicePort"),
        (".service.port", ".servicePort"),
        (".service.name", ".serviceName"),
    ):
        path = path.replace(new, old)
    return path
