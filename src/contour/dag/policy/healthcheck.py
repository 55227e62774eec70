"""healthCheckPolicy of a route (httpproxy.md §2.19)."""

from __future__ import annotations

from contour.api.invalid import Invalid
from contour.api.projectcontour import HTTPHealthCheckPolicy
from contour.dag.graph import HealthCheck

_SECOND = 1_000_000_000


def http_health_check(policy: HTTPHealthCheckPolicy | None, port: int, port_name: str) -> HealthCheck | Invalid | None:
    """`port`, `port_name`: the Service's health port; 0 and "" when it is the port of the traffic."""
    if policy is None:
        return None
    for statuses in policy.expected_statuses:  # half-open ranges
        if not 100 <= statuses.start <= 599:
            return Invalid("invalid expected status range: start must be in the range [100, 599]")
        if not 101 <= statuses.end <= 600:
            return Invalid("invalid expected status range: end must be in the range [101, 600]")
    return HealthCheck(
        path=policy.path,
        host=policy.host,
        timeout=policy.timeout_seconds * _SECOND,
        interval=policy.interval_seconds * _SECOND,
        unhealthy_threshold=policy.unhealthy_threshold_count,
        healthy_threshold=policy.healthy_threshold_count,
        expected_statuses=tuple((statuses.start, statuses.end) for statuses in policy.expected_statuses),
        port=port,
        port_name=port_name,
    )
