"""The status of an object that was not admitted: it says in its own place why nothing is served from it."""

from __future__ import annotations

from typing import Any

from contour.api.meta import ObjectRef
from contour.dag.verdict import Finding, Verdict
from contour.status.conditions import http_proxy_status
from contour.status.ingressroute import ingress_route_status


def refused_status(key: ObjectRef, text: str) -> dict[str, Any]:
    """An entry of `status` for an object that an API server would refuse; `text` names the field and the reason."""
    verdict = Verdict((Finding("SchemaError", "Invalid", text),))
    match key.kind:
        case "HTTPProxy":
            block = http_proxy_status(verdict, 0, {})
        case "IngressRoute":
            block = ingress_route_status(verdict, {})
        case _:
            block = {"conditions": http_proxy_status(verdict, 0, {})["conditions"]}
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name, "status": block}
