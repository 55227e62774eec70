"""Elections as dialogues: replicas, a server that keeps one Lease, and a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contour.kube.lease import (
    Acquired,
    Conflict,
    Create,
    Done,
    Election,
    Failed,
    Found,
    Holder,
    Lost,
    Pause,
    Read,
    Record,
    Start,
    Stop,
    Timing,
    TimingError,
    Trouble,
    Update,
    Well,
    Woken,
    Written,
)


class Server:
    def __init__(self) -> None:
        self.now = 0.0
        self.record: Record | None = None
        self.version = 0
        self.replicas: list[Replica] = []

    def replica(self, name: str, **options) -> Replica:
        made = Replica(self, name, **options)
        self.replicas.append(made)
        return made

    def pass_time(self, seconds: float) -> None:
        """Pauses that end meanwhile end when they should."""
        end = self.now + seconds
        while True:
            due = [one for one in self.replicas if one.wakes is not None and one.wakes <= end and not one.frozen]
            if not due:
                break
            first = min(due, key=lambda one: one.wakes)
            self.now = max(self.now, first.wakes)
            first.feed(Woken())
        self.now = end

    def leaders(self) -> list[str]:
        return [one.name for one in self.replicas if one.machine.leading]


class Replica:
    """Its requests are answered at once, unless `reachable` is false or it is `frozen`."""

    def __init__(self, server: Server, name: str, *, clock: float = 0.0) -> None:
        self.server = server
        self.name = name
        self.reachable = True
        self.frozen = False
        self.clock = clock  # the machines have nothing to compare
        self.seen_version = 0
        self.news: list = []
        self.requests: list[str] = []
        self.wakes: float | None = None
        self.done = False
        self.machine = Election(name, Timing(), lambda: 0.0)
        self.feed(Start())

    def feed(self, event) -> None:
        self.wakes = None
        while event is not None:
            step = self.machine.feed(event, self.server.now + self.clock, f"T{self.server.now:g}")
            self.news += step.news
            event = self.carry_out(step.next)

    def carry_out(self, command):
        match command:
            case Pause(seconds):
                self.wakes = self.server.now + seconds
            case Done():
                self.done = True
            case Read() | Create() | Update():
                self.requests.append(type(command).__name__)
                return self.exchange(command) if self.reachable else Failed("refused")
        return None

    def exchange(self, command):
        server = self.server
        if isinstance(command, Read):
            self.seen_version = server.version
            return Found(server.record)
        if isinstance(command, Create) != (server.record is None) or (
            isinstance(command, Update) and self.seen_version != server.version
        ):
            return Conflict()
        server.record = command.record
        server.version += 1
        self.seen_version = server.version
        return Written()

    def told(self) -> list:
        news, self.news = self.news, []
        return news


def test_the_first_one_leads_and_renews():
    server = Server()
    a = server.replica("a")
    assert (a.told(), a.requests) == ([Acquired()], ["Read", "Create"])
    assert server.record == Record("a", 15, "T0", "T0", 0)
    server.pass_time(5)
    assert server.record == Record("a", 15, "T0", "T4", 0)
    assert a.requests == ["Read", "Create", "Update", "Update"]  # a leader does not read
    assert a.told() == []


def test_the_second_one_waits_and_says_for_whom():
    server = Server()
    server.replica("a")
    b = server.replica("b")
    server.pass_time(100)
    assert b.told() == [Holder("a")]
    assert server.leaders() == ["a"]


def test_a_leader_that_dies_is_followed_when_its_lease_ends():
    server = Server()
    a, b = server.replica("a"), server.replica("b")
    server.pass_time(9)
    a.frozen = True
    died = server.now
    while server.leaders() != ["a", "b"]:  # nobody has told a
        server.pass_time(0.1)
    assert 12 < server.now - died <= 15 + 2
    assert server.record.lease_transitions == 1
    assert b.told() == [Holder("a"), Acquired()]


def test_a_leader_that_stops_gives_the_lease_back():
    server = Server()
    a, b = server.replica("a"), server.replica("b")
    server.pass_time(5)
    a.feed(Stop())
    assert (a.done, a.told()) == (True, [Acquired(), Lost("stopped")])
    assert (server.record.holder_identity, server.record.lease_duration_seconds) == ("", 1)
    server.pass_time(2.5)
    assert (server.leaders(), b.machine.leading) == (["b"], True)


def test_a_candidate_that_stops_leaves_the_lease_alone():
    server = Server()
    server.replica("a")
    b = server.replica("b")
    b.feed(Stop())
    assert (b.done, server.record.holder_identity) == (True, "a")


def test_a_leader_that_is_cut_off_knows_it_before_anybody_else_leads():
    server = Server()
    a, b = server.replica("a"), server.replica("b")
    server.pass_time(4)
    a.reachable = False
    while len(server.leaders()) == 1 and server.leaders() == ["a"]:
        server.pass_time(0.1)
    assert server.leaders() == []  # a first
    assert 9 <= server.now - 4 <= 10.2
    assert a.told() == [Acquired(), Trouble("refused"), Lost("the Lease was not renewed for 10 s")]
    server.pass_time(10)
    assert server.leaders() == ["b"]
    a.reachable = True
    server.pass_time(5)
    assert a.told() == [Well(), Holder("b")]
    assert b.told() == [Holder("a"), Acquired()]


def test_a_leader_that_was_frozen_has_lost_when_it_wakes():
    server = Server()
    a, b = server.replica("a"), server.replica("b")
    server.pass_time(5)
    a.frozen = True
    server.pass_time(30)
    assert b.machine.leading
    a.frozen = False
    server.pass_time(0.1)
    assert a.told() == [Acquired(), Lost("the Lease was not renewed for 10 s"), Holder("b")]
    assert server.leaders() == ["b"]


def test_a_short_trouble_costs_nothing():
    server = Server()
    a = server.replica("a")
    server.pass_time(4)
    a.reachable = False
    server.pass_time(5)
    a.reachable = True
    server.pass_time(5)
    assert a.told() == [Acquired(), Trouble("refused"), Well()]
    assert server.leaders() == ["a"]


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "nonsense"])
def test_what_other_machines_take_for_the_time_has_no_say(stamp):
    server = Server()
    server.record, server.version = Record("a", 15, stamp, stamp, 0), 1
    b = server.replica("b", clock=1e9)
    assert b.told() == [Holder("a")]
    server.pass_time(14)
    assert server.leaders() == []
    server.pass_time(1.1)
    assert server.leaders() == ["b"]


def test_two_at_once():
    """Both read that there is none, then both write."""
    server = Server()
    a = server.replica("a")
    server.record, server.version = None, 0
    b = Election("b", Timing(), lambda: 0.0)
    assert isinstance(b.feed(Start(), 0, "T").next, Read)
    create = b.feed(Found(None), 0, "T").next
    assert isinstance(create, Create)
    a.exchange(Create(Record("a", 15), 1))
    step = b.feed(Conflict(), 0, "T")
    assert isinstance(step.next, Read)
    step = b.feed(Found(Record("a", 15)), 0, "T")
    assert (step.news, isinstance(step.next, Pause)) == ([Holder("a")], True)


def test_a_lease_that_somebody_took_by_force():
    server = Server()
    a = server.replica("a")
    server.record, server.version = Record("kubectl", 15, "T", "T", 5), 99
    server.pass_time(3)
    assert a.told() == [Acquired(), Lost("kubectl holds the Lease"), Holder("kubectl")]
    server.pass_time(20)
    assert server.leaders() == ["a"]  # it was not renewed
    assert server.record.lease_transitions == 6


def test_a_lease_that_was_deleted_is_made_again():
    server = Server()
    a = server.replica("a")
    server.record, server.version = None, 99
    server.pass_time(3)
    assert (server.record.holder_identity, a.told()) == ("a", [Acquired()])


def test_a_write_that_was_done_though_no_answer_came():
    server = Server()
    a = server.replica("a")
    server.pass_time(1)
    server.record, server.version = Record("a", 15, "T0", "T1", 0), server.version + 1
    server.pass_time(5)
    assert (a.told(), server.leaders()) == ([Acquired()], ["a"])
    assert "Read" in a.requests[2:]


def test_a_lease_that_may_be_read_but_not_written_is_told_once():
    machine = Election("a", Timing(), lambda: 0.0)
    event, news = Start(), []
    for _ in range(20):
        step = machine.feed(event, 0, "T")
        news += step.news
        event = {Read: Found(None), Create: Failed("403 Forbidden"), Pause: Woken()}[type(step.next)]
    assert news == [Trouble("403 Forbidden")]


def test_stop_while_a_request_is_under_way():
    machine = Election("a", Timing(), lambda: 0.0)
    machine.feed(Start(), 0, "T")
    assert isinstance(machine.feed(Found(None), 0, "T").next, Create)
    assert machine.feed(Stop(), 0, "T").next is None
    step = machine.feed(Written(), 0, "T")
    assert isinstance(step.next, Update)
    assert step.next.record.holder_identity == ""
    assert isinstance(machine.feed(Failed("x"), 0, "T").next, Done)


def test_candidates_do_not_all_wake_at_once():
    waits = []
    for chance in (0.0, 0.5, 0.9):
        machine = Election("b", Timing(), lambda chance=chance: chance)
        machine.feed(Start(), 0, "T")
        waits.append(machine.feed(Found(Record("a", 15)), 0, "T").next.seconds)
    assert waits == pytest.approx([2.0, 2.2, 2.36])


NAMES = "abc"
happenings = st.lists(
    st.tuples(
        st.sampled_from(["cut off", "back", "frozen", "thawed", "stop", "join"]),
        st.sampled_from(NAMES),
        st.floats(0, 20),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(happenings)
def test_there_are_never_two_leaders_and_in_the_end_there_is_one(happenings):
    server = Server()
    there = {name: server.replica(name) for name in NAMES}
    for number, (what, name, pause) in enumerate(happenings):
        one = there[name]
        match what:
            case "cut off" | "back":
                one.reachable = what == "back"
            case "frozen" | "thawed":
                one.frozen = what == "frozen"
            case "stop" if not one.done and not one.frozen:
                one.feed(Stop())
            case "join" if one.done:
                there[name] = server.replica(name + str(number))
        for _ in range(int(pause / 0.5) + 1):
            server.pass_time(0.5)
            # A frozen one does nothing; when it wakes, the first thing that it learns is what the time is.
            assert len([one for one in server.replicas if one.machine.leading and server.now < one.machine.until]) <= 1
    for one in there.values():
        one.reachable, one.frozen = True, False
    server.pass_time(40)
    alive = [one.name for one in there.values() if not one.done]
    assert [name for name in server.leaders() if name in alive] == server.leaders()
    assert len(server.leaders()) == (1 if alive else 0)


@pytest.mark.parametrize(
    ("timing", "says"),
    [
        (Timing(lease=10, renew=10), "lease-duration has to be greater than --leader-election-renew-deadline"),
        (Timing(lease=15, renew=2, retry=2), "renew-deadline has to be greater than 1.2 times"),
        (Timing(lease=0.5), "lease-duration has to be at least 1s"),
        (Timing(retry=0), "retry-period has to be greater than 0s"),
    ],
)
def test_durations_that_cannot_work(timing, says):
    with pytest.raises(TimingError, match=says):
        Election("a", timing, lambda: 0.0)
