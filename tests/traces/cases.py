"""The recorded cases of `../shared/traces`: where they are, what one is, and which features it uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2].parent / "shared" / "traces"

# They have no effect unless a Gateway is configured, which is a configuration key below.
GATEWAY_KINDS = frozenset(
    {
        "GatewayClass",
        "Gateway",
        "HTTPRoute",
        "GRPCRoute",
        "TLSRoute",
        "TCPRoute",
        "ReferenceGrant",
        "BackendTLSPolicy",
        "ConfigMap",
    }
)
_KINDS = GATEWAY_KINDS | {
    "Service",
    "EndpointSlice",
    "Endpoints",
    "Secret",
    "Namespace",
    "Ingress",
    "IngressClass",
    "HTTPProxy",
    "TLSCertificateDelegation",
    "ExtensionService",
}
# Keys of the configuration file, or what is above them, whose effect comes later.
_LATER_KEYS = ("gateway",)


@dataclass(frozen=True)
class Case:
    name: str
    objects: list[dict[str, Any]]
    actual: dict[str, list[Any]]
    statuses: dict[str, Any]
    config: str = ""
    args: list[str] = field(default_factory=list)
    unordered: list[str] = field(default_factory=list)

    @property
    def later(self) -> list[str]:
        """Features that the case uses and that are not there yet, sorted."""
        return sorted(set(_later(self)))


def corpus() -> Iterator[Case]:
    with (ROOT / "corpus.jsonl").open() as lines:
        for line in lines:
            case = json.loads(line)
            yield _case(f"corpus/{case['name']}", case, case["objects"])


def prod() -> Iterator[Case]:
    for path in sorted((ROOT / "prod").glob("*.jsonl")):
        with path.open() as lines:
            for line in lines:
                case = json.loads(line)
                objects = json.loads((ROOT / case["ref"]).read_text())["objects"]
                yield _case(f"prod/{case['ref']}", case, objects)


def mutants() -> Iterator[Case]:
    for path in sorted((ROOT / "mutants").glob("*.jsonl")):
        with path.open() as lines:
            for number, line in enumerate(lines):
                case = json.loads(line)
                yield _case(f"mutants/{path.stem}/{number}", case, case["objects"])


def config() -> Iterator[Case]:
    shared = json.loads((ROOT / "config" / "_objects.json").read_text())
    objects = shared["objects"] if isinstance(shared, dict) else shared
    for path in sorted((ROOT / "config").glob("*.json")):
        case = json.loads(path.read_text()) if path.name != "_objects.json" else {}
        if "actual" in case:
            yield _case(f"config/{path.stem}", case, objects)


def _case(name: str, case: dict[str, Any], objects: list[dict[str, Any]]) -> Case:
    return Case(
        name,
        objects,
        case["actual"],
        case.get("statuses") or {},
        case.get("config_yaml") or "",
        case.get("args") or [],
        case.get("unordered") or [],
    )


def _later_settings(case: Case) -> Iterator[str]:
    for key in _config_keys(yaml.safe_load(case.config) if case.config else {}):
        if any(key == later or key.startswith(f"{later}.") for later in _LATER_KEYS):
            yield f"config {key}"


def _later(case: Case) -> Iterator[str]:
    yield from _later_settings(case)
    for obj in case.objects:
        yield from later_of(obj)


def later_of(obj: dict[str, Any]) -> Iterator[str]:
    """Features that an object uses and that are not there yet."""
    kind = obj["kind"]
    if kind not in _KINDS:
        yield kind


def _config_keys(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _config_keys(item, f"{prefix}.{key}" if prefix else key)
    elif prefix:
        yield prefix
