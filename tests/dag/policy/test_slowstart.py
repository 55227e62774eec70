import pytest

from contour.api.invalid import Invalid
from contour.api.projectcontour import SlowStartPolicy
from contour.dag.graph import SlowStart
from contour.dag.policy.slowstart import slow_start


def test_no_policy():
    assert slow_start(None, "Random") is None


@pytest.mark.parametrize("strategy", ["", "RoundRobin", "WeightedLeastRequest"])
def test_a_policy_with_a_strategy_that_weighs(strategy: str):
    policy = SlowStartPolicy(window="10s", aggression="1.5", min_weight_percent=5)
    assert slow_start(policy, strategy) == SlowStart(10_000_000_000, 1.5, 5)


def test_aggression_is_one_unless_given():
    assert slow_start(SlowStartPolicy(window="1s"), "") == SlowStart(1_000_000_000, 1.0, 0)


@pytest.mark.parametrize("strategy", ["Random", "Cookie", "RequestHash"])
def test_other_strategies(strategy: str):
    assert slow_start(SlowStartPolicy(window="1s"), strategy) == Invalid(
        "slow start is only supported with RoundRobin or WeightedLeastRequest load balancer strategy"
    )


def test_a_window_that_is_no_duration():
    assert slow_start(SlowStartPolicy(window="soon"), "") == Invalid(
        'error parsing window: time: invalid duration "soon" on slow start'
    )


@pytest.mark.parametrize("text", ["often", "1,5", "0x1", "1e999", "inf", " 1"])
def test_an_aggression_that_is_no_number(text: str):
    assert slow_start(SlowStartPolicy(window="1s", aggression=text), "") == Invalid(
        f'error parsing aggression: "{text}" is not a decimal number on slow start'
    )
