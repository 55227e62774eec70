"""Is a rendered state the recorded one? Per resource type, and if not, where they part.

What is ignored is what `../shared/traces/README.md` names under "What a comparer ignores" and the rules of
`differences.py`; nothing else.
"""

from __future__ import annotations

from typing import Any

from tests.traces import differences
from tests.traces.cases import Case

from contour.control.render import SECTIONS
from contour.envoy import pb

TYPES = ("listeners", "routes", "clusters", "endpoints", "secrets", "runtime", "status")
_STATIC_LISTENERS = {"stats", "health", "stats-health", "health-om-enforced", "envoy-admin"}


def compare(case: Case, state: dict[str, list[Any]]) -> dict[str, str]:
    """By type, the first difference; types that agree, or that the case does not record, are absent."""
    found = {}
    for section in TYPES:
        difference = _status(case, state) if section == "status" else _resources(case, section, state[section])
        if difference:
            found[section] = difference
    return found


def recorded(case: Case, section: str) -> bool:
    return section == "status" or section in case.actual


def _resources(case: Case, section: str, ours: list[Any]) -> str:
    if section not in case.actual:
        return ""
    got = by_name(section, [normal(section, item) for item in ours])
    if case.name.startswith("mutants/") and section == "listeners":  # static listeners are not recorded there
        got = {name: item for name, item in got.items() if name not in _STATIC_LISTENERS}
    wanted = by_name(section, [normal(section, item) for item in case.actual[section]])
    if case.unordered:
        wanted, got = _sorted(wanted, case.unordered), _sorted(got, case.unordered)
    if section == "clusters":
        differences.give_ingress_its_family(case.objects, wanted, got)
    return difference_of_members(wanted, got)


def _sorted(value: Any, unordered: list[str], key: str = "") -> Any:
    """With the lists of these names as sets: in the reference their order is random."""
    if isinstance(value, dict):
        return {name: _sorted(item, unordered, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_sorted(item, unordered) for item in value]
        return sorted(items, key=repr) if key in unordered else items
    return value


def _status(case: Case, state: dict[str, list[Any]]) -> str:
    if differences.found_without_namespace(case.objects):
        return ""
    statuses = {key: value for key, value in case.statuses.items() if differences.has_status(key)}
    if differences.sees_no_address(case.args):
        statuses = {
            key: value | {"loadBalancer": {}} for key, value in statuses.items() if value.keys() > {"loadBalancer"}
        }
    wanted = {key: normal_status(value) for key, value in statuses.items()}
    got = {
        f"{entry['kind']}/{entry['namespace'] or differences.NO_NAMESPACE}/{entry['name']}": normal_status(
            entry["status"]
        )
        for entry in state["status"]
    }
    return difference_of_members(wanted, got)


def by_name(section: str, resources: list[Any]) -> dict[str, Any]:
    key = "cluster_name" if section == "endpoints" else "name"
    return {item.get(key, ""): item for item in resources}


def normal(section: str, item: dict[str, Any]) -> Any:
    """Through our own message classes and back, so that only content counts; then the rules."""
    message = pb.from_dict(pb.message_class(SECTIONS[section]), item)
    return differences.normal_resource(pb.to_dict(message))


def normal_status(status: dict[str, Any]) -> Any:
    block = dict(status)
    if "conditions" in block:
        conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in block["conditions"]]
        block["conditions"] = sorted(conditions, key=lambda condition: condition["type"])
    return differences.normal_status(block)


def difference_of_members(wanted: dict[str, Any], got: dict[str, Any]) -> str:
    """The first difference of two mappings by name, of what `normal` and `normal_status` return; "" if there is none."""
    if wanted.keys() != got.keys():
        return f"missing {sorted(wanted.keys() - got.keys())}, extra {sorted(got.keys() - wanted.keys())}"
    for name, item in sorted(wanted.items()):
        difference = first_difference(item, got[name], name)
        if difference:
            return difference
    return ""


def first_difference(wanted: Any, got: Any, path: str) -> str:
    if type(wanted) is not type(got):
        return f"{path}: want {wanted!r}, got {got!r}"
    if isinstance(wanted, dict):
        for key in sorted(wanted.keys() | got.keys()):
            if key not in got:
                return f"{path}.{key}: missing {wanted[key]!r}"
            if key not in wanted:
                return f"{path}.{key}: extra {got[key]!r}"
            difference = first_difference(wanted[key], got[key], f"{path}.{key}")
            if difference:
                return difference
        return ""
    if isinstance(wanted, list):
        for index, (left, right) in enumerate(zip(wanted, got, strict=False)):
            difference = first_difference(left, right, f"{path}[{index}]")
            if difference:
                return difference
        if len(wanted) != len(got):
            return f"{path}: want {len(wanted)} items, got {len(got)}: {wanted!r} against {got!r}"
        return ""
    if isinstance(wanted, str) and differences.leaked_variable(wanted, got):
        return ""
    return "" if wanted == got else f"{path}: want {wanted!r}, got {got!r}"
