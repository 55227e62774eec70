"""The reflector as a dialogue: what the server says, what is asked next, what is handed on and what the user reads."""

from __future__ import annotations

import json

import pytest

from contour.api.core import Secret, Service
from contour.api.meta import ObjectRef
from contour.kube.answers import Failure
from contour.kube.events import (
    Answered,
    Chunk,
    Ended,
    List,
    Lost,
    Opened,
    Pause,
    Refused,
    Start,
    Trouble,
    Unread,
    Watch,
    Well,
    Woken,
)
from contour.kube.kinds import Kind
from contour.kube.reflector import SILENCE, Reflector

SERVICES = Kind(Service, "services")
GONE = Failure(410, "Expired", "too old resource version")
DOWN = "https://api: Connection refused"


def service(name: str, version: int, port: object = 80) -> dict:
    return {
        "metadata": {"name": name, "namespace": "ns", "resourceVersion": str(version)},
        "spec": {"ports": [{"port": port}]},
    }


def key(name: str) -> ObjectRef:
    return ObjectRef("Service", "ns", name)


class Talk:
    """One reflector in conversation. `asked` is what it wants now, spelled shortly; `has` what was handed on."""

    def __init__(self, kind: Kind = SERVICES, namespace: str = "", chance: float = 0.0, **options) -> None:
        self.reflector = Reflector(kind, namespace, lambda: chance, **options)
        self.now = 0.0
        self.command = None
        self.has: dict[str, str] = {}
        self.changes: list[str] = []
        self.reports: list = []
        self.synced = 0
        self.feed(Start())

    def feed(self, event) -> Talk:
        step = self.reflector.feed(event, self.now)
        self.changes = []
        for found, value in step.changes.items():
            if value is None:
                del self.has[found.name]
                self.changes.append(f"-{found.name}")
            else:
                self.has[found.name] = value.metadata.resource_version
                self.changes.append(f"{found.name}@{value.metadata.resource_version}")
        self.reports += step.reports
        self.synced += step.synced
        self.counts = (step.added, step.updated, step.deleted)
        if not isinstance(event, Opened | Chunk) or step.next is not None:
            self.command = step.next
        return self

    @property
    def asked(self) -> str:
        match self.command:
            case List(_, params):
                token = params.get("continue", "")
                size = params.get("limit", "all")
                return f"list {size} {token}".strip()
            case Watch(_, params, _):
                return f"watch {params['resourceVersion']}"
            case Pause(seconds):
                return f"pause {seconds:g}"
        return "nothing"

    def page(self, *items: dict, version: int = 10, more: str = "") -> Talk:
        body = {"kind": "ServiceList", "metadata": {"resourceVersion": str(version), "continue": more}, "items": items}
        return self.feed(Answered(json.dumps(body).encode()))

    def lines(self, *events: tuple[str, dict]) -> Talk:
        return self.feed(Chunk(b"".join(line(type_, value) for type_, value in events)))

    def told(self) -> list:
        reports, self.reports = self.reports, []
        return reports

    def watching(self, *items: dict, version: int = 10) -> Talk:
        self.page(*items, version=version)
        self.feed(Opened())
        self.changes = []
        return self


def line(type_: str, value: dict) -> bytes:
    return json.dumps({"type": type_, "object": value}).encode() + b"\n"


def bookmark(version: int) -> tuple[str, dict]:
    return "BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": str(version)}}


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_list_of_several_pages_and_then_a_watch_of_what_follows():
    talk = Talk()
    assert talk.command == List("/api/v1/services", {"limit": "500"})
    talk.page(service("a", 1), service("b", 2), version=7, more="t1")
    assert (talk.changes, talk.synced, talk.asked) == (["a@1", "b@2"], 0, "list 500 t1")
    talk.page(service("c", 3), version=7)
    assert (talk.changes, talk.counts, talk.synced) == (["c@3"], (1, 0, 0), 1)
    assert talk.command == Watch(
        "/api/v1/services",
        {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "7", "timeoutSeconds": "300"},
        SILENCE,
    )
    assert talk.told() == []


def test_an_empty_list_is_complete():
    talk = Talk().feed(Answered(b'{"metadata": {"resourceVersion": "3"}, "items": null}'))
    assert (talk.synced, talk.asked) == (1, "watch 3")


def test_namespace_and_selector():
    talk = Talk(Kind(Secret, "secrets", field_selector="type!=x"), "team-a", chance=0.5)
    assert talk.command == List("/api/v1/namespaces/team-a/secrets", {"limit": "500", "fieldSelector": "type!=x"})
    talk.page()
    assert talk.command.params["fieldSelector"] == "type!=x"
    assert talk.command.params["timeoutSeconds"] == "450"


def test_a_list_that_expires_while_it_is_read_begins_again():
    talk = Talk().page(service("a", 1), service("b", 2), more="t1").feed(Refused(GONE))
    assert talk.asked == "list 500"
    talk.page(service("b", 2), service("c", 9), version=9)
    assert (talk.changes, talk.asked) == (["c@9", "-a"], "watch 9")


def test_a_list_that_expires_again_and_again_is_read_at_once():
    talk = Talk()
    talk.page(service("a", 1), more="t1").feed(Refused(GONE))
    talk.page(service("a", 1), more="t2").feed(Refused(GONE))
    assert talk.asked == "pause 0.2"
    assert talk.feed(Woken()).asked == "list all"


def test_a_token_that_a_restored_server_does_not_know():
    talk = (
        Talk().page(service("a", 1), more="t1").feed(Refused(Failure(400, "BadRequest", "continue key is not valid")))
    )
    assert talk.asked == "list 500"


def test_a_lost_page_is_asked_for_again():
    talk = Talk().page(service("a", 1), more="t1").feed(Lost(DOWN))
    assert talk.asked == "pause 0.2"
    assert talk.feed(Woken()).asked == "list 500 t1"
    talk.page(service("b", 1))
    assert talk.has == {"a": "1", "b": "1"}
    assert talk.told() == [Trouble(DOWN, whole=True), Well()]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"metadata": {}}', b'{"metadata": {"resourceVersion": "1"}, "items": 3}']
)
def test_an_answer_that_is_no_list(body):
    talk = Talk().feed(Answered(body))
    (trouble,) = talk.told()
    assert "list of Service" in trouble.text
    assert talk.asked == "pause 0.2"


# --- watches ------------------------------------------------------------------------------------------------------


def test_changes():
    talk = Talk().watching(service("a", 1))
    talk.lines(("ADDED", service("b", 11)), ("MODIFIED", service("a", 12)))
    assert (talk.changes, talk.counts) == (["b@11", "a@12"], (1, 1, 0))
    talk.lines(("DELETED", service("b", 13)))
    assert (talk.changes, talk.counts) == (["-b"], (0, 0, 1))
    assert talk.reflector.version == "13"


def test_one_value_for_each_object_of_a_read():
    talk = Talk().watching()
    talk.lines(("ADDED", service("a", 11)), ("MODIFIED", service("a", 12)), ("MODIFIED", service("a", 13)))
    assert talk.changes == ["a@13"]


def test_lines_may_be_cut_anywhere():
    talk = Talk().watching()
    data = line("ADDED", service("a", 11)) + line("ADDED", service("b", 12))
    found = []
    for byte in data:
        talk.feed(Chunk(bytes([byte])))
        found += talk.changes
    assert found == ["a@11", "b@12"]


def test_the_next_watch_goes_on_where_the_last_one_ended():
    talk = Talk().watching().lines(("ADDED", service("a", 11)), bookmark(40))
    assert talk.changes == ["a@11"]
    talk.now += 400
    assert talk.feed(Ended()).asked == "watch 40"


def test_half_a_line_of_an_old_connection_is_forgotten():
    talk = Talk().watching().feed(Chunk(b'{"type": "ADD')).feed(Lost("reset")).feed(Opened())
    talk.lines(("ADDED", service("a", 11)))
    assert talk.changes == ["a@11"]


def test_a_lost_watch_is_taken_up_at_once_and_nobody_hears_of_it():
    talk = Talk().watching().lines(bookmark(11)).feed(Lost("reset"))
    assert (talk.asked, talk.told()) == ("watch 11", [])


def test_a_kind_in_which_nothing_ever_happens():
    """The server sends no bookmarks before the first event, so that each watch falls silent."""
    talk = Talk().watching()
    for _ in range(5):
        talk.now += SILENCE
        talk.feed(Lost("https://api: silent for 150 s"))
        assert talk.asked == "watch 10"
        talk.feed(Opened())
    assert talk.told() == []


def test_connections_that_are_cut_again_and_again():
    talk = Talk().watching()
    for _ in range(2):
        talk.now += 5
        talk.feed(Lost("reset")).feed(Woken()).feed(Opened())
    assert talk.told() == [Trouble("reset", whole=True), Well()]


def test_a_server_that_is_gone_for_a_minute():
    talk = Talk().watching(service("a", 1)).lines(bookmark(11)).feed(Lost("reset"))
    pauses = []
    for _ in range(8):
        talk.feed(Lost(DOWN))
        pauses.append(talk.command.seconds)
        talk.feed(Woken())
    assert pauses == [0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]
    assert talk.told() == [Trouble(DOWN, whole=True)]
    assert talk.asked == "watch 11"  # no list for a server that was away
    talk.feed(Opened())
    assert talk.told() == [Well()]
    assert talk.has == {"a": "1"}


def test_chance_spreads_pauses():
    talk = Talk(chance=0.5).feed(Lost(DOWN))
    assert talk.asked == "pause 0.15"


@pytest.mark.parametrize("as_event", [True, False])
def test_too_far_behind(as_event):
    talk = Talk().watching(service("a", 1), service("b", 2), service("c", 3)).lines(bookmark(11))
    if as_event:
        talk.lines(("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}))
    else:
        talk.feed(Lost("reset")).feed(Refused(GONE))
    assert talk.asked == "list 500"
    talk.page(service("a", 1), service("b", 30), service("d", 31), version=31)
    assert (talk.changes, talk.counts) == (["b@30", "d@31", "-c"], (1, 1, 1))
    assert (talk.asked, talk.synced, talk.told()) == ("watch 31", 1, [])


def test_what_came_before_an_error_counts():
    talk = Talk().watching()
    talk.lines(("ADDED", service("a", 11)), ("ERROR", {"kind": "Status", "code": 500, "message": "etcd"}))
    assert (talk.changes, talk.asked) == (["a@11"], "pause 0.2")
    assert talk.feed(Woken()).asked == "watch 11"


def test_changes_that_come_faster_than_a_list_is_read():
    talk = Talk().watching().feed(Refused(GONE))
    pauses = []
    for version in range(20, 24):
        talk.page(version=version).feed(Refused(GONE))
        pauses.append(talk.asked)
        if isinstance(talk.command, Pause):
            talk.feed(Woken())
    assert pauses == ["pause 0.2", "pause 0.4", "pause 0.8", "pause 1.6"]


def test_watches_that_end_as_soon_as_they_begin():
    talk = Talk().watching().feed(Ended())
    assert talk.asked == "pause 0.2"
    talk.feed(Woken()).feed(Opened()).lines(bookmark(11)).feed(Ended())
    assert talk.asked == "watch 11"


def test_a_line_that_nobody_can_read():
    talk = Talk().watching().lines(bookmark(11))
    asked = []
    for _ in range(4):
        talk.feed(Chunk(b"not json\n"))
        asked.append(talk.asked)
        if isinstance(talk.command, Pause):
            talk.feed(Woken())
        talk.feed(Opened())
    assert asked[0] == "watch 11"
    assert talk.asked == "list 500"


# --- refusals -----------------------------------------------------------------------------------------------------


def test_slow_down():
    busy = Failure(429, "TooManyRequests", "please try again later", retry_after=3)
    talk = Talk().feed(Refused(busy))
    assert (talk.asked, talk.told()) == ("pause 3", [])
    talk.feed(Woken()).watching().lines(bookmark(11)).feed(Refused(busy))
    assert talk.asked == "pause 3"
    assert talk.feed(Woken()).asked == "watch 11"


def test_a_server_that_stays_busy_is_told():
    talk = Talk().watching()
    for _ in range(5):
        talk.feed(Refused(Failure(429, "TooManyRequests", "again later", retry_after=1))).feed(Woken())
        assert talk.asked == "watch 10"
    assert [report.text for report in talk.told()] == ["cannot watch services of v1: 429 TooManyRequests: again later"]


def test_not_allowed_is_told_once():
    forbidden = Failure(403, "Forbidden", 'services is forbidden: User "x" cannot list')
    talk = Talk(namespace="a")
    for _ in range(3):
        talk.feed(Refused(forbidden))
        assert talk.asked == "pause 10"
        talk.feed(Woken())
    assert [trouble.text for trouble in talk.told()] == [
        f"not allowed to list services of v1 in namespace a: {forbidden}",
    ]
    talk.page()
    assert talk.told() == [Well()]


def test_that_nobody_knows_us_any_more_is_told_after_a_lost_connection():
    talk = Talk().feed(Lost("lost")).feed(Woken()).feed(Refused(Failure(401, "Unauthorized", "no")))
    assert talk.told() == [
        Trouble("lost", whole=True),
        Trouble("not allowed to list services of v1: 401 Unauthorized: no"),
    ]


def test_allowed_to_list_but_not_to_watch():
    talk = Talk().watching()
    forbidden = Failure(403, "Forbidden", "no")
    for _ in range(5):
        talk.feed(Refused(forbidden)).feed(Woken())
        assert talk.asked == "watch 10"
    assert len(talk.told()) == 1


def test_a_server_with_errors_keeps_what_is_known():
    talk = Talk().watching(service("a", 1)).lines(bookmark(11))
    for _ in range(3):
        talk.feed(Refused(Failure(500, "InternalError", "etcdserver: leader changed"))).feed(Woken())
    assert talk.asked == "list 500"  # whatever it is about that version, a list does not need it
    assert talk.has == {"a": "1"}
    assert [report.text for report in talk.told()] == [
        "cannot watch services of v1: 500 InternalError: etcdserver: leader changed"
    ]


ABSENT = Failure(404, "", "404 page not found")


def test_a_kind_that_is_not_installed_yet():
    talk = Talk().feed(Refused(ABSENT))
    assert talk.told() == [Trouble("the API server does not know services of v1", absent=True)]
    assert (talk.asked, talk.synced) == ("pause 10", 0)
    talk.feed(Woken()).feed(Refused(ABSENT)).feed(Woken()).page(service("a", 1))
    assert (talk.changes, talk.synced, talk.told()) == (["a@1"], 1, [Well()])


def test_an_optional_kind_that_is_not_installed_counts_as_empty():
    talk = Talk(Kind(Service, "services", optional=True)).feed(Refused(ABSENT))
    assert (talk.synced, talk.asked, talk.told()) == (1, "pause 10", [])
    talk.feed(Woken()).page(service("a", 1))
    assert (talk.changes, talk.synced) == (["a@1"], 1)


def test_an_optional_kind_that_is_not_installed_has_no_trouble_left_when_the_server_is_back():
    talk = Talk(Kind(Service, "services", optional=True)).feed(Lost("the server is away"))
    assert talk.told() == [Trouble("the server is away", whole=True)]
    talk.feed(Woken()).feed(Refused(ABSENT))
    assert (talk.synced, talk.told()) == (1, [Well()])


def test_an_optional_kind_that_may_not_be_read_counts_as_empty_and_is_told():
    talk = Talk(Kind(Service, "services", optional=True)).feed(Refused(Failure(403, "Forbidden", "no")))
    assert talk.synced == 1
    assert talk.told() == [Trouble("not allowed to list services of v1: 403 Forbidden: no")]
    talk.feed(Woken()).page(service("a", 1))
    assert (talk.changes, talk.synced, talk.told()) == (["a@1"], 1, [Well()])


def test_a_kind_that_is_removed_keeps_its_objects_until_a_list_says_otherwise():
    talk = Talk().watching(service("a", 1)).feed(Ended()).feed(Woken()).feed(Refused(ABSENT))
    assert talk.has == {"a": "1"}
    talk.feed(Woken()).page()
    assert talk.has == {}


# --- objects that do not decode -----------------------------------------------------------------------------------


def test_a_bad_object_does_not_lose_a_list():
    talk = Talk().page(service("a", 1), service("b", 2, port="x"), service("c", 3))
    assert talk.changes == ["a@1", "c@3"]
    (report,) = talk.told()
    assert report == Unread(key("b"), "Expected `int`, got `str` at $.spec.ports[0].port")


def test_the_last_good_version_stays():
    talk = Talk().watching(service("a", 1)).lines(("MODIFIED", service("a", 11, port="x")))
    assert (talk.changes, talk.has, len(talk.told())) == ([], {"a": "1"}, 1)
    talk.lines(("ERROR", {"code": 410})).page(service("a", 11, port="x"), version=12)
    assert (talk.has, talk.told()) == ({"a": "1"}, [])  # the same version: told before
    talk.feed(Opened()).lines(("MODIFIED", service("a", 13, port="y")))
    assert len(talk.told()) == 1
    talk.lines(("MODIFIED", service("a", 14)))
    assert talk.changes == ["a@14"]


def test_a_bad_object_that_goes():
    talk = Talk().watching(service("a", 1), service("b", 2, port="x"))
    talk.lines(("DELETED", service("b", 11, port="x")), ("DELETED", service("a", 12, port="x")))
    assert talk.changes == ["-a"]


def test_something_without_a_name():
    talk = Talk().page(service("a", 1), {"metadata": 3}, version=5)
    assert (talk.changes, talk.asked, len(talk.told())) == (["a@1"], "watch 5", 1)


# --- what is not kept ---------------------------------------------------------------------------------------------


def test_secrets_keep_data_only_where_it_may_be_used():
    def secret(name: str, type_: str) -> dict:
        annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{all of it}", "a": "b"}
        meta = {"name": name, "namespace": "ns", "resourceVersion": "1", "annotations": annotations}
        return {"metadata": {**meta, "managedFields": "anything"}, "type": type_, "data": {"k": "dg=="}}

    reflector = Reflector(Kind(Secret, "secrets"), "", lambda: 0.0)
    reflector.feed(Start(), 0)
    items = [secret("tls", "kubernetes.io/tls"), secret("other", "kubernetes.io/dockercfg")]
    body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()
    tls, other = reflector.feed(Answered(body), 0).changes.values()
    assert (tls.data, tls.metadata.annotations) == ({"k": b"v"}, {"a": "b"})
    assert (other.data, other.metadata.annotations, other.type) == (None, None, "kubernetes.io/dockercfg")
