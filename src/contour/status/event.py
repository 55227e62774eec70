"""Kubernetes Events: what `kubectl describe` shows of an object besides its status.

An event that is said again is the same event: its name comes from what it says, so that neither a restart nor another
replica makes a second one. Pure: `Announcer` decides what is sent and when, somebody else sends it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from hashlib import sha256
from typing import Any, Literal

import msgspec

from contour.api.decode import KINDS
from contour.api.meta import ObjectRef

COMPONENT = "contour"

_API_VERSIONS = {**{kind.kind: kind.api_version for kind in KINDS}, "Lease": "coordination.k8s.io/v1"}
# As client-go cuts a message; a name may have 253 bytes, of which the digest takes its part.
_MAX_MESSAGE = 1024
_MAX_NAME = 230
_DIGEST = 16

# As many are held back and remembered; what comes on top is dropped, and counted.
_MAX_WAITING = 1000
_MAX_KNOWN = 10_000
_RATE, _BURST = 10.0, 50


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to an object, for its author to see."""

    key: ObjectRef
    uid: str
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Warning"

    @property
    def name(self) -> str:
        said = f"{self.key.kind}\0{self.uid}\0{self.reason}\0{self.message}"
        return f"{self.key.name[:_MAX_NAME].rstrip('.-')}.{sha256(said.encode()).hexdigest()[:_DIGEST]}"


def path(event: Event) -> str:
    """Where it is posted."""
    return f"/api/v1/namespaces/{event.key.namespace}/events"


def body(event: Event, now: str, host: str) -> dict[str, Any]:
    """The object to post; `now` in RFC 3339, `host` is where this runs."""
    kind, namespace, name = event.key
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": event.name},
        "involvedObject": {
            "apiVersion": _API_VERSIONS[kind],
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "uid": event.uid,
        },
        "reason": event.reason,
        "message": _cut(event.message),
        "type": event.type,
        "source": {"component": COMPONENT, "host": host},
        "reportingComponent": COMPONENT,
        "reportingInstance": host,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


class Announcer:
    """Each event once, not too many at a time. Events are for people: what comes in a flood is dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: deque[Event] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._tokens = float(_BURST)
        self._filled_at = 0.0

    def add(self, event: Event) -> None:
        name = event.name
        if name in self._known:
            self._known.move_to_end(name)
            return
        if len(self._waiting) >= _MAX_WAITING:
            self.dropped += 1
            return
        self._known[name] = None
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        self._waiting.append(event)

    def forget(self, event: Event) -> None:
        """It was not taken: said again, it is sent again."""
        self._known.pop(event.name, None)

    def take(self, now: float) -> Event | float | None:
        """The next event to send, the seconds until there may be one, or None: there is nothing to say."""
        if not self._waiting:
            return None
        self._tokens = min(_BURST, self._tokens + (now - self._filled_at) * _RATE)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / _RATE
        self._tokens -= 1
        return self._waiting.popleft()


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"
