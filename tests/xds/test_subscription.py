"""The protocol document's own examples ("How the client specifies what resources to return") and its odd rules."""

from __future__ import annotations

from contour.xds.subscription import Subscription, Update


def test_state_examples_of_the_document():
    s = Subscription()
    assert s.state([]) == Update(everything=True)
    assert s.covers("B")
    assert s.state(["*", "A"]) == Update(tell=("A",))
    assert s.covers("B")
    assert s.state(["A"]) == Update(narrowed=True)
    assert s.covers("A")
    assert not s.covers("B")
    assert s.state([]) == Update(dropped=("A",))
    assert not s.covers("A")


def test_state_newly_requested_names_are_told():
    s = Subscription()
    assert s.state(["a"]) == Update(tell=("a",))
    assert s.state(["a", "b"]) == Update(tell=("b",))
    assert s.state(["b"]) == Update(dropped=("a",))
    assert s.state(["b", "a"]) == Update(tell=("a",))


def test_state_explicit_wildcard_on_the_first_request():
    assert Subscription().state(["*"]) == Update(everything=True)


def test_delta_examples_of_the_document():
    s = Subscription()
    assert s.delta([], []) == Update(everything=True)
    assert s.delta(["A"], []) == Update(tell=("A",))
    assert s.covers("B")
    assert s.delta([], ["*"]) == Update(narrowed=True)
    assert s.covers("A")
    assert not s.covers("B")
    assert s.delta([], ["A"]) == Update(dropped=("A",))
    assert not s.covers("A")


def test_delta_acknowledgements_do_not_start_the_wildcard_again():
    s = Subscription()
    s.delta([], [])
    assert s.delta([], []) == Update()
    assert s.covers("x")


def test_delta_leaving_a_name_under_a_wildcard_is_answered():
    s = Subscription()
    s.delta(["*", "a"], [])
    assert s.delta([], ["a"]) == Update(tell=("a",))
    assert s.covers("a")


def test_delta_phantom_unsubscription_is_ignored():
    s = Subscription()
    s.delta(["a"], [])
    assert s.delta([], ["nobody", "*"]) == Update()
    assert s.covers("a")


def test_delta_names_are_told_again_although_subscribed():
    s = Subscription()
    s.delta(["a"], [])
    assert s.delta(["a"], []) == Update(tell=("a",))


def test_delta_first_request_that_only_leaves_is_no_wildcard():
    s = Subscription()
    assert s.delta([], ["a"]) == Update()
    assert not s.covers("b")
