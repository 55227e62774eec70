"""Events: what they look like, and that a flood of them does not become one of requests."""

from __future__ import annotations

from contour.api.meta import ObjectRef
from contour.status.event import Announcer, Event, body, path

KEY = ObjectRef("HTTPProxy", "shop", "a")


def event(message: str = "service not found", key: ObjectRef = KEY, uid: str = "u") -> Event:
    return Event(key, uid, "ServiceUnresolvedReference", message)


def test_an_event_stands_beside_its_object() -> None:
    made = body(event(), "2026-08-01T10:00:00Z", "contour-0")
    assert path(event()) == "/api/v1/namespaces/shop/events"
    assert made["involvedObject"] == {
        "apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "namespace": "shop", "name": "a", "uid": "u",
    }  # fmt: skip
    assert (made["type"], made["reason"], made["message"]) == (
        "Warning", "ServiceUnresolvedReference", "service not found",
    )  # fmt: skip
    assert made["source"] == {"component": "contour", "host": "contour-0"}


def test_the_same_event_has_the_same_name_and_another_one_has_not() -> None:
    assert event().name == event().name
    assert event().name.startswith("a.")
    others = [event("other"), event(uid="v"), event(key=KEY._replace(kind="Ingress"))]
    assert len({made.name for made in [event(), *others]}) == 4


def test_names_and_messages_have_their_limits() -> None:
    long = event("x" * 5000, KEY._replace(name="n" * 229 + ".x" * 12))
    assert len(long.name) <= 253
    assert ".." not in long.name
    assert len(body(long, "", "")["message"]) == 1024


def test_an_event_is_sent_once() -> None:
    announcer = Announcer()
    announcer.add(event())
    announcer.add(event())
    assert announcer.take(100) == event()
    announcer.add(event())
    assert announcer.take(100) is None
    announcer.forget(event())
    announcer.add(event())
    assert announcer.take(100) == event()


def test_a_flood_is_slowed_down_and_its_end_dropped() -> None:
    announcer = Announcer()
    for number in range(1200):
        announcer.add(event(str(number)))
    assert announcer.dropped == 200
    sent = 0
    while isinstance(wait := announcer.take(100), Event):
        sent += 1
    assert sent == 50
    assert wait == 0.1
    assert announcer.take(100.11) == event("50")
