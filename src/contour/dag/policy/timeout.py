"""timeoutPolicy: three settings, each unset, disabled or a value (httpproxy.md §0 and §2.19)."""

from __future__ import annotations

import msgspec

from contour.api.invalid import Invalid
from contour.api.projectcontour import TimeoutPolicy
from contour.api.scalars import parse_timeout
from contour.dag.graph import Timeout


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    response: Timeout = None
    idle: Timeout = None
    idle_connection: Timeout = None


NO_TIMEOUTS = Timeouts()


def timeouts(policy: TimeoutPolicy | None) -> Timeouts | Invalid:
    if policy is None:
        return NO_TIMEOUTS
    response = parse_timeout(policy.response)
    if isinstance(response, Invalid):
        return Invalid(f"error parsing response timeout: {response.text}")
    idle = parse_timeout(policy.idle)
    if isinstance(idle, Invalid):
        return Invalid(f"error parsing idle timeout: {idle.text}")
    idle_connection = parse_timeout(policy.idle_connection)
    if isinstance(idle_connection, Invalid):
        return Invalid(f"error parsing idle connection timeout: {idle_connection.text}")
    return Timeouts(response=response, idle=idle, idle_connection=idle_connection)
