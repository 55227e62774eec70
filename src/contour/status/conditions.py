"""The condition `Valid` of an object, and the older fields of HTTPProxy that are derived from it (httpproxy.md §3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from contour.dag.verdict import Finding, Verdict

_MAX_MESSAGE_BYTES = 32760
_ERROR_MESSAGE = "At least one error present, see Errors for details"
_ORPHANED = "Orphaned"


def valid_condition(verdict: Verdict, kind: str, generation: int) -> dict[str, Any]:
    """The condition as it is written, but for `lastTransitionTime`. A generation of 0 (no API server) is left out."""
    condition: dict[str, Any] = {"type": "Valid"}
    if verdict.errors:
        condition |= {"status": "False", "reason": "ErrorPresent", "message": _ERROR_MESSAGE}
        condition["errors"] = [_sub_condition(error) for error in verdict.errors]
    else:
        condition |= {"status": "True", "reason": "Valid", "message": f"Valid {kind}"}
    if verdict.warnings:
        condition["warnings"] = [_sub_condition(warning) for warning in verdict.warnings]
    if generation:
        condition["observedGeneration"] = generation
    return condition


def merge(existing: Sequence[Mapping[str, Any]], condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put ours in its place: conditions of other types stay, one of ours that saw a newer generation stays too."""
    merged = []
    placed = False
    for other in existing:
        if other.get("type") != condition["type"]:
            merged.append(dict(other))
            continue
        newer = other.get("observedGeneration", 0) > condition.get("observedGeneration", 0)
        merged.append(dict(other) if newer else dict(condition))
        placed = True
    if not placed:
        merged.append(dict(condition))
    return merged


def http_proxy_status(verdict: Verdict, generation: int, observed: Mapping[str, Any]) -> dict[str, Any]:
    """The whole status block of an HTTPProxy: `observed` with our condition and the fields derived from it."""
    conditions = merge(observed.get("conditions") or (), valid_condition(verdict, "HTTPProxy", generation))
    status = dict(observed)
    status["conditions"] = conditions
    status |= _summary(conditions)
    status.setdefault("loadBalancer", {})
    return status


def extension_service_status(verdict: Verdict, generation: int, observed: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an ExtensionService, which has conditions only."""
    condition = valid_condition(verdict, "ExtensionService", generation)
    return {**observed, "conditions": merge(observed.get("conditions") or (), condition)}


def _summary(conditions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of a condition that is neither true nor false nothing is derived. It may be that of somebody who saw a newer
    generation, and need not have all that ours have: empty texts are dropped when a status is read.
    """
    valid = next(condition for condition in conditions if condition.get("type") == "Valid")
    message = valid.get("message", "")
    match valid.get("status"):
        case "True":
            return {"currentStatus": "valid", "description": message}
        case "False":
            orphaned = next((error for error in valid.get("errors", ()) if error.get("type") == _ORPHANED), None)
            if orphaned is not None:
                return {"currentStatus": "orphaned", "description": orphaned.get("message", "")}
            return {"currentStatus": "invalid", "description": message}
    return {}


def _sub_condition(finding: Finding) -> dict[str, str]:
    return {"type": finding.type, "status": "True", "reason": finding.reason, "message": _cut(finding.message)}


def _cut(message: str) -> str:
    encoded = message.encode()
    return message if len(encoded) <= _MAX_MESSAGE_BYTES else encoded[:_MAX_MESSAGE_BYTES].decode(errors="ignore")


def observed(status: Any) -> dict[str, Any]:
    """A typed status as the plain values that it has on the wire: what is zero or empty is left out."""
    pruned: dict[str, Any] = _pruned(msgspec.to_builtins(status)) or {}
    return pruned


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item
            for key, item in ((k, _pruned(v)) for k, v in value.items())
            if item not in (None, "", 0, (), [], {})
        }
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value]
    return value
