"""What has to be written: the wanted status of an object against the one that stands in it (httpproxy.md §3.1).

The time of a transition is no difference; `body` puts in the time of the write where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from contour.api.heptio import IngressRoute
from contour.api.meta import ObjectRef
from contour.dag.verdict import Finding
from contour.reactive import Collection, Engine, Read
from contour.status.conditions import observed
from contour.status.ingressroute import VALID
from contour.status.plan import Status, rejected
from contour.store import Store

_TIME = "lastTransitionTime"


class Patch(msgspec.Struct, frozen=True, gc=False):
    """A difference. It holds for one version of the object: a status that rests on an older one is not written over a
    newer one. `news`: errors that the object did not show before.
    """

    resource_version: str
    uid: str
    status: Status
    news: tuple[Finding, ...] = ()


def attach(engine: Engine, store: Store, statuses: Collection[ObjectRef, Status]) -> Collection[ObjectRef, Patch]:
    """Declare the collection of what has to be written; an object whose status is as it should be is no member."""

    def patch(read: Read, key: ObjectRef) -> Patch | None:
        wanted, seen = read(statuses, key), read(store.observed, key)
        if wanted is None or seen is None:
            return None
        stands = observed(seen.status)
        changes = differences(wanted, stands)
        if not changes:
            return None
        if key.kind == IngressRoute.kind:
            news = _described(changes, wanted, read(store.refusals, key))
        else:
            news = _news(changes, stands)
        return Patch(seen.resource_version, seen.uid, changes, news)

    return engine.collection("status patches", (statuses,), patch)


def differences(wanted: Mapping[str, Any], stands: Mapping[str, Any]) -> Status:
    """The members of `wanted` that `stands` does not have like that; absent and empty are the same."""
    return {name: value for name, value in wanted.items() if value and not _equal(value, stands.get(name))}


def body(patch: Patch, now: str) -> dict[str, Any]:
    """The JSON merge patch of the object's `status`; `now` in RFC 3339."""
    status = dict(patch.status)
    if "conditions" in status:
        status["conditions"] = [_complete(condition, now) for condition in status["conditions"]]
    return {"metadata": {"resourceVersion": patch.resource_version}, "status": status}


def _complete(condition: Mapping[str, Any], now: str) -> dict[str, Any]:
    """With all that the schema requires: what is empty was dropped from those of others when they were read."""
    complete = {"reason": "", "message": "", _TIME: now, **condition}
    for name in ("errors", "warnings"):
        if name in complete:
            complete[name] = [{"status": "", "reason": "", "message": "", **item} for item in complete[name]]
    return complete


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, list) and isinstance(other, list):
        return [_timeless(item) for item in value] == [_timeless(item) for item in other]
    return bool(value == other)


def _timeless(item: Any) -> Any:
    return {key: value for key, value in item.items() if key != _TIME} if isinstance(item, dict) else item


def _news(changes: Mapping[str, Any], stands: Mapping[str, Any]) -> tuple[Finding, ...]:
    known = set(_errors(stands))
    return tuple(dict.fromkeys(error for error in _errors(changes) if error not in known))


def _described(changes: Status, wanted: Status, refusals: tuple[str, ...] | None) -> tuple[Finding, ...]:
    """The same of an IngressRoute, whose one error is its description."""
    if "description" not in changes or wanted["currentStatus"] == VALID:
        return ()
    text = changes["description"]
    if refusals and text in refusals:
        return (rejected(text),)
    return (Finding("IngressRouteError", wanted["currentStatus"].capitalize(), text),)


def _errors(status: Mapping[str, Any]) -> Iterable[Finding]:
    for condition in status.get("conditions", ()):
        if condition.get("type") == "Valid":
            for error in condition.get("errors", ()):
                yield Finding(error.get("type", ""), error.get("reason", ""), error.get("message", ""))
