"""Whatever happens between a server and its mirror, in the end they hold the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from contour.api.core import Service
from contour.kube.answers import Failure
from contour.kube.events import Answered, Chunk, Ended, List, Lost, Opened, Pause, Refused, Start, Watch, Woken
from contour.kube.kinds import Kind
from contour.kube.reflector import Reflector

KIND = Kind(Service, "services")
GONE = Failure(410, "Expired", "too old")
NAMES = "abcdefg"


class Server:
    """All versions that ever were; what is older than `compacted` cannot be asked about."""

    def __init__(self) -> None:
        self.version = 1
        self.compacted = 0
        self.now: dict[str, dict] = {}
        self.history: list[tuple[int, str, dict]] = []
        self.snapshots: dict[int, dict[str, dict]] = {1: {}}

    def write(self, name: str, port: object) -> None:
        """`port` None deletes; "x" is a value that does not decode."""
        if port is None and name not in self.now:
            return
        self.version += 1
        meta = {"name": name, "namespace": "ns", "resourceVersion": str(self.version)}
        value = {"metadata": meta, "spec": {"ports": [{"port": port or 1}]}}
        type_ = "DELETED" if port is None else "MODIFIED" if name in self.now else "ADDED"
        if port is None:
            del self.now[name]
        else:
            self.now[name] = value
        self.history.append((self.version, type_, value))
        self.snapshots[self.version] = dict(self.now)

    def page(self, params: dict[str, str]) -> Answered | Refused:
        version, after = ([*params["continue"].split("/"), ""])[:2] if "continue" in params else (self.version, "")
        if int(version) < self.compacted:
            return Refused(GONE)
        rest = [name for name in sorted(self.snapshots[int(version)]) if name > after]
        names = rest[: int(params.get("limit", 1000))]
        more = f"{version}/{names[-1]}" if len(names) < len(rest) else ""
        items = [self.snapshots[int(version)][name] for name in names]
        meta = {"resourceVersion": str(version), "continue": more}
        return Answered(json.dumps({"metadata": meta, "items": items}).encode())

    def since(self, version: int) -> list[bytes]:
        return [
            json.dumps({"type": type_, "object": value}).encode() + b"\n"
            for at, type_, value in self.history
            if at > version
        ]


class Mirror:
    """Drives a reflector; `draw` decides what goes wrong until `calm` is set."""

    def __init__(self, server: Server, draw) -> None:
        self.server = server
        self.draw = draw
        self.calm = False
        self.reflector = Reflector(KIND, "", lambda: 0.5, page=2)
        self.held: dict[str, str] = {}
        self.time = 0.0
        self.command = self.feed(Start())

    def feed(self, event):
        step = self.reflector.feed(event, self.time)
        for key, value in step.changes.items():
            if value is None:
                self.held.pop(key.name, None)  # it may have come and gone in one read
            else:
                self.held[key.name] = value.metadata.resource_version
        return step.next

    def go_on(self) -> None:
        """One exchange."""
        self.time += 5
        match self.command:
            case Pause():
                self.command = self.feed(Woken())
            case List(_, params):
                self.command = self.feed(self.fault() or self.server.page(params))
            case Watch(_, params, _):
                self.command = self.fault_of_watch() or self.watch(int(params["resourceVersion"]))

    def fault(self):
        if self.calm:
            return None
        fault = self.draw(st.sampled_from(["", "", "", "lost", "500", "429", "junk", "404"]))
        return {
            "lost": Lost("gone"),
            "500": Refused(Failure(500, "", "broken")),
            "429": Refused(Failure(429, "", "busy", retry_after=1)),
            "404": Refused(Failure(404, "", "who")),
            "junk": Answered(b"<html>"),
        }.get(fault)

    def fault_of_watch(self):
        fault = self.fault()
        return None if fault is None or isinstance(fault, Answered) else self.feed(fault)

    def watch(self, version: int):
        if version < self.server.compacted:
            if self.calm or self.draw(st.booleans()):
                return self.feed(Refused(GONE))
            self.feed(Opened())
            status = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
            return self.feed(Chunk(json.dumps(status).encode() + b"\n"))
        self.feed(Opened())
        data = b"".join(self.server.since(version))
        bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.server.version)}}}
        data += json.dumps(bookmark).encode() + b"\n"
        for piece in self.pieces(data):
            command = self.feed(Chunk(piece))
            assert command is None
        if self.calm:
            return self.feed(Ended())
        return self.feed(self.draw(st.sampled_from([Ended(), Lost("reset")])))

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut somewhere; when the connection breaks the rest never comes."""
        if self.calm:
            yield data
            return
        cut = self.draw(st.integers(0, len(data)))
        yield data[:cut]
        if self.draw(st.booleans()):
            yield data[cut:]


changes = st.tuples(st.sampled_from(NAMES), st.sampled_from([None, 1, 2, "x"]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_mirror_holds_what_the_server_holds(data):
    server = Server()
    for name, port in data.draw(st.lists(changes, max_size=8)):
        server.write(name, port)
    mirror = Mirror(server, data.draw)
    for _ in range(data.draw(st.integers(1, 12))):
        for name, port in data.draw(st.lists(changes, max_size=4)):
            server.write(name, port)
        if data.draw(st.integers(0, 4)) == 0:
            server.compacted = server.version
        mirror.go_on()
    mirror.calm = True
    for _ in range(30):
        mirror.go_on()
    assert mirror.reflector.version == str(server.version)
    held = mirror.held
    readable = {name: value["metadata"]["resourceVersion"] for name, value in server.now.items() if reads(value)}
    assert {name: held.get(name) for name in readable} == readable
    # What does not decode now is held in a version that did, or not at all; nothing else is held.
    assert held.keys() <= server.now.keys()
    assert set(held.values()) <= {str(version) for version, _, value in server.history if reads(value)}


def reads(value: dict) -> bool:
    return value["spec"]["ports"][0]["port"] != "x"
