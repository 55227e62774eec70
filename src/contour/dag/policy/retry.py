"""retryPolicy (httpproxy.md §2.19)."""

from __future__ import annotations

from contour.api.projectcontour import RetryPolicy
from contour.api.scalars import parse_duration
from contour.dag.graph import Retry, Timeout


def retry(policy: RetryPolicy | None) -> Retry | None:
    if policy is None:
        return None
    return Retry(
        retry_on=",".join(policy.retry_on) or "5xx",
        num_retries=_count(policy.count),
        per_try_timeout=_per_try_timeout(policy.per_try_timeout),
        status_codes=policy.retriable_status_codes,
    )


def _count(count: int) -> int:
    """-1 switches retries off and 0 means "not given". Admission refuses anything below -1; taken as "not given".

    Envoy counts in 32 bits; as in the reference, what is beyond wraps around.
    """
    if count == -1:
        return 0
    return max(count, 1) & 0xFFFFFFFF


def _per_try_timeout(text: str) -> Timeout:
    """Unlike the other timeouts: a mistake is no error, and `infinity` is one; both leave Envoy's default."""
    duration = parse_duration(text)
    return duration or None if isinstance(duration, int) else None
