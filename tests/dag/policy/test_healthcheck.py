import pytest

from contour.api.invalid import Invalid
from contour.api.projectcontour import HTTPHealthCheckPolicy, HTTPStatusRange
from contour.dag.graph import HealthCheck
from contour.dag.policy.healthcheck import http_health_check

S = 1_000_000_000


def test_no_policy():
    assert http_health_check(None, 80, "web") is None


def test_what_is_not_given_stays_open():
    assert http_health_check(HTTPHealthCheckPolicy(path="/ready"), 0, "") == HealthCheck(path="/ready")


def test_all_fields():
    policy = HTTPHealthCheckPolicy(
        "/ready", "a.test", 5, 2, 3, 4, (HTTPStatusRange(200, 300), HTTPStatusRange(418, 419))
    )
    assert http_health_check(policy, 9090, "health") == HealthCheck(
        path="/ready",
        host="a.test",
        timeout=2 * S,
        interval=5 * S,
        unhealthy_threshold=3,
        healthy_threshold=4,
        expected_statuses=((200, 300), (418, 419)),
        port=9090,
        port_name="health",
    )


START = "invalid expected status range: start must be in the range [100, 599]"
END = "invalid expected status range: end must be in the range [101, 600]"


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (99, 200, START),
        (600, 600, START),
        (100, 100, END),
        (200, 601, END),
        (99, 601, START),
        (100, 600, None),
        (599, 101, None),
    ],
)
def test_status_ranges(start: int, end: int, message: str | None):
    answer = http_health_check(HTTPHealthCheckPolicy("/", expected_statuses=(HTTPStatusRange(start, end),)), 80, "")
    if message is None:
        assert isinstance(answer, HealthCheck)
    else:
        assert answer == Invalid(message)
