import pytest

from contour.api.projectcontour import RetryPolicy
from contour.dag.graph import Retry
from contour.dag.policy.retry import retry


def test_no_policy():
    assert retry(None) is None


def test_an_empty_policy_retries_once_on_5xx():
    assert retry(RetryPolicy()) == Retry(retry_on="5xx", num_retries=1)


def test_conditions_and_codes_are_copied():
    policy = RetryPolicy(count=3, retry_on=("gateway-error", "reset"), retriable_status_codes=(503, 418))
    assert retry(policy) == Retry("gateway-error,reset", 3, None, (503, 418))


@pytest.mark.parametrize(
    ("count", "retries"), [(-1, 0), (0, 1), (1, 1), (7, 7), (2**32 - 1, 2**32 - 1), (2**32, 0), (2**32 + 2, 2)]
)
def test_count(count: int, retries: int):
    answer = retry(RetryPolicy(count=count))
    assert answer is not None
    assert answer.num_retries == retries


@pytest.mark.parametrize(
    ("text", "timeout"), [("", None), ("150ms", 150_000_000), ("0s", None), ("infinity", None), ("nonsense", None)]
)
def test_per_try_timeout_is_never_an_error(text: str, timeout: int | None):
    answer = retry(RetryPolicy(per_try_timeout=text))
    assert answer is not None
    assert answer.per_try_timeout == timeout
