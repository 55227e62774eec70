"""The writer of statuses as dialogues: what it is told, what it does, at what time."""

from __future__ import annotations

from typing import Any

import pytest

from contour.api.meta import ObjectRef
from contour.status.patch import Patch
from contour.status.writer import (
    Answered,
    Command,
    Differs,
    Event,
    Leads,
    Limit,
    Outcome,
    Say,
    Send,
    Tick,
    Wait,
    Writer,
)

A, B, C = (ObjectRef("HTTPProxy", "shop", name) for name in "abc")
ELSEWHERE = ObjectRef("HTTPProxy", "other", "d")


def patch(version: str = "1", text: str = "valid") -> Patch:
    return Patch(version, "uid", {"currentStatus": text})


class Talk:
    """Feeds the machine at a time, and keeps what it says apart from what it does."""

    def __init__(self, *, leads: bool = True, **limit: Any) -> None:
        self.writer = Writer(Limit(**{"settle": 0.0, "pause": 0.0, **limit}), lambda: 0.0)
        self.now = 1000.0
        self.said: list[str] = []
        if leads:
            self.feed(Leads(True))

    def feed(self, event: Event) -> list[Command]:
        commands = self.writer.feed(event, self.now)
        self.said += [command.text for command in commands if isinstance(command, Say)]
        return [command for command in commands if not isinstance(command, Say)]

    def later(self, seconds: float) -> list[Command]:
        self.now += seconds
        return self.feed(Tick())


def test_a_difference_is_written_once() -> None:
    talk = Talk()
    assert talk.feed(Differs(A, patch())) == [Send(A, patch())]
    assert talk.feed(Answered(A, "written")) == []
    assert talk.feed(Differs(A, None)) == []
    assert talk.writer.waiting == 0
    assert talk.writer.writes.attempts["HTTPProxy"] == talk.writer.writes.outcomes["HTTPProxy", "written"] == 1


def test_a_difference_may_settle_and_is_not_put_off_for_ever() -> None:
    talk = Talk(settle=0.01)
    assert talk.feed(Differs(A, patch("1", "x"))) == [Wait(1000.01)]
    talk.now += 0.006
    assert talk.feed(Differs(A, patch("1", "y"))) == [Wait(1000.01)]
    assert talk.later(0.004) == [Send(A, patch("1", "y"))]
    talk.feed(Differs(B, patch()))
    talk.feed(Differs(B, None))
    assert [command for command in talk.later(1) if isinstance(command, Send)] == []


def test_a_new_leader_lets_its_envoys_go_first() -> None:
    talk = Talk(pause=0.5)
    assert talk.feed(Differs(A, patch())) == [Wait(1000.5)]
    assert talk.later(0.5) == [Send(A, patch())]
    assert talk.feed(Differs(B, patch())) == [Send(B, patch())]


def test_what_changes_during_a_write_is_written_after_it_and_only_the_last_of_it() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch("1", "x")))
    assert talk.feed(Differs(A, patch("1", "y"))) == []
    assert talk.feed(Differs(A, patch("2", "z"))) == []
    assert talk.feed(Answered(A, "conflict")) == [Send(A, patch("2", "z"))]


def test_a_difference_that_is_gone_before_its_turn_is_not_written() -> None:
    talk = Talk(parallel=1)
    talk.feed(Differs(A, patch()))
    talk.feed(Differs(B, patch()))
    talk.feed(Differs(B, None))
    assert talk.feed(Answered(A, "written")) == []


def test_nobody_but_the_leader_writes() -> None:
    talk = Talk(leads=False)
    assert talk.feed(Differs(A, patch())) == []
    assert talk.feed(Leads(True)) == []  # everything is told again
    assert talk.feed(Differs(A, patch())) == [Send(A, patch())]
    talk.feed(Differs(B, patch()))
    talk.feed(Leads(False))
    assert talk.feed(Answered(A, "failed", "lost")) == []
    assert talk.later(100) == []
    assert talk.writer.leads is False


def test_writes_go_in_parallel_and_the_newest_and_the_oldest_take_turns() -> None:
    talk = Talk(parallel=2)
    keys = [ObjectRef("HTTPProxy", "shop", str(number)) for number in range(6)]
    sent = [command for key in keys for command in talk.feed(Differs(key, patch()))]
    assert sent == [Send(keys[0], patch()), Send(keys[1], patch())]
    order = []
    for key in keys[:4]:
        order += [command.key.name for command in talk.feed(Answered(key, "written")) if isinstance(command, Send)]
        if key == keys[1]:
            break
    assert order == ["5", "2"]


def test_the_rate_is_limited_and_the_first_ones_are_not() -> None:
    talk = Talk(rate=10, burst=2)
    assert talk.feed(Differs(A, patch())) == [Send(A, patch())]
    assert talk.feed(Differs(B, patch())) == [Send(B, patch())]
    assert talk.feed(Differs(C, patch())) == [Wait(pytest.approx(1000.1))]
    assert talk.later(0.11) == [Send(C, patch())]


def test_a_conflict_waits_for_the_object_as_it_is_now() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch("1")))
    assert talk.feed(Answered(A, "conflict")) == []
    assert talk.writer.waiting == 0
    assert talk.feed(Differs(A, patch("2"))) == [Send(A, patch("2"))]
    assert talk.writer.writes.outcomes["HTTPProxy", "conflict"] == 1


def test_an_object_that_is_gone_is_dropped() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch()))
    assert talk.feed(Answered(A, "gone")) == []
    assert talk.said == []
    assert talk.writer.waiting == 0


def test_what_is_not_accepted_is_said_and_not_tried_again_unchanged() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch()))
    assert talk.feed(Answered(A, "refused", "status.conditions: Invalid value")) == []
    assert talk.said == ["the status of HTTPProxy shop/a is not accepted: status.conditions: Invalid value"]
    assert talk.later(1000) == []
    assert talk.feed(Differs(A, patch("2"))) == [Send(A, patch("2"))]


def test_failures_are_tried_again_ever_more_seldom_and_said_once() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch()))
    waits = []
    for _ in range(9):
        (wait,) = talk.feed(Answered(A, "failed", "HTTP 500"))
        assert isinstance(wait, Wait)
        waits.append(wait.until - talk.now)
        assert talk.later(wait.until - talk.now) == [Send(A, patch())]
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert talk.said == ["the status of HTTPProxy shop/a is not written yet: HTTP 500"]


def test_a_server_that_is_gone_is_said_once() -> None:
    talk = Talk()
    for key in (A, B, C):
        talk.feed(Differs(key, patch()))
    for key in (A, B, C):
        talk.feed(Answered(key, "failed", "no connection"))
    assert len(talk.said) == 1


def test_a_failure_does_not_bring_back_what_is_out_of_date() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch("1")))
    talk.feed(Differs(A, patch("2", "new")))
    assert talk.feed(Answered(A, "failed", "HTTP 500")) == [Send(A, patch("2", "new"))]


@pytest.mark.parametrize("outcome", ["failed", "forbidden"])
def test_a_failure_does_not_bring_back_what_need_not_be_written_any_more(outcome: Outcome) -> None:
    talk = Talk()
    assert talk.feed(Differs(A, patch())) == [Send(A, patch())]
    talk.feed(Differs(A, None))
    talk.feed(Answered(A, outcome, "no answer in time"))
    assert [command for command in talk.later(100) if isinstance(command, Send)] == []
    assert talk.writer.waiting == 0
    assert talk.feed(Differs(A, patch("2"))) == [Send(A, patch("2"))]


def test_a_server_that_has_too_much_to_do_gets_a_pause() -> None:
    talk = Talk()
    talk.feed(Differs(A, patch()))
    assert talk.feed(Answered(A, "failed", "HTTP 429", pause=5)) == [Wait(1000.25)]
    assert talk.feed(Differs(B, patch())) == [Wait(1000.25)]
    assert talk.later(1) == [Wait(1005)]
    commands = talk.later(4)
    assert {command.key for command in commands if isinstance(command, Send)} == {A, B}


def test_forbidden_is_said_once_and_asked_again_seldom() -> None:
    talk = Talk(parallel=2)
    for key in (A, B, C, ELSEWHERE):
        talk.feed(Differs(key, patch()))
    commands = talk.feed(Answered(A, "forbidden", "cannot patch"))
    assert [command.key for command in commands if isinstance(command, Send)] == [ELSEWHERE]
    talk.feed(Answered(ELSEWHERE, "written"))
    assert talk.feed(Answered(B, "forbidden", "cannot patch")) == [Wait(1060)]
    assert len(talk.said) == 1
    assert "HTTPProxy objects in namespace shop may not be written" in talk.said[0]
    assert talk.later(59) == [Wait(1060)]
    first, second = talk.later(1)
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    commands = talk.feed(Answered(first.key, "written"))
    assert talk.said[1:] == ["statuses of HTTPProxy objects in namespace shop may be written again"]
    assert [command for command in commands if isinstance(command, Send)]


def test_the_same_status_again_and_again_is_written_ever_more_seldom() -> None:
    """Somebody else writes another status each time that we have written ours."""
    talk = Talk()
    (send,) = talk.feed(Differs(A, patch("1")))
    talk.feed(Answered(A, "written"))
    waits = []
    for version in range(2, 13):
        commands = talk.feed(Differs(A, patch(str(version))))
        (wait,) = commands
        assert isinstance(wait, Wait)
        waits.append(wait.until - talk.now)
        (send,) = talk.later(wait.until - talk.now)
        assert isinstance(send, Send)
        talk.feed(Answered(A, "written"))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_another_status_is_written_at_once() -> None:
    talk = Talk()
    for version, text in enumerate(["valid", "invalid", "valid", "invalid"]):
        (send,) = talk.feed(Differs(A, patch(str(version), text)))
        assert isinstance(send, Send)
        talk.feed(Answered(A, "written"))
