import pytest

from contour.api.invalid import Invalid
from contour.api.projectcontour import TimeoutPolicy
from contour.dag.policy.timeout import Timeouts, timeouts

MS = 1_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("infinity", 0),
        ("infinite", 0),
        ("0", None),
        ("0s", None),
        ("0ms", None),
        ("1m30s", 90_000 * MS),
        ("250ms", 250 * MS),
    ],
)
def test_settings(text: str, expected: int | None):
    policy = TimeoutPolicy(response=text, idle=text, idle_connection=text)
    assert timeouts(policy) == Timeouts(expected, expected, expected)


def test_no_policy_is_all_defaults():
    assert timeouts(None) == Timeouts(None, None, None)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            TimeoutPolicy(response="5"),
            'error parsing response timeout: unable to parse timeout string "5": time: missing unit in duration "5"',
        ),
        (
            TimeoutPolicy(idle="h"),
            'error parsing idle timeout: unable to parse timeout string "h": time: invalid duration "h"',
        ),
        (
            TimeoutPolicy(idle_connection="5d"),
            (
                'error parsing idle connection timeout: unable to parse timeout string "5d": '
                'time: unknown unit "d" in duration "5d"'
            ),
        ),
        (
            TimeoutPolicy(response="x", idle="y", idle_connection="z"),
            'error parsing response timeout: unable to parse timeout string "x": time: invalid duration "x"',
        ),
    ],
)
def test_mistakes_name_the_setting(policy: TimeoutPolicy, message: str):
    assert timeouts(policy) == Invalid(message)
