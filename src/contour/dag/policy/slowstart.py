"""slowStartPolicy of a service: a new endpoint gets its share little by little (httpproxy.md §2.19)."""

from __future__ import annotations

import math
import re

from contour.api.invalid import Invalid
from contour.api.projectcontour import SlowStartPolicy
from contour.api.scalars import parse_duration, quote
from contour.dag.graph import SlowStart

# The others choose an endpoint by something else than its weight.
_STRATEGIES = frozenset({"", "RoundRobin", "WeightedLeastRequest"})
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def slow_start(policy: SlowStartPolicy | None, strategy: str) -> SlowStart | Invalid | None:
    """`strategy`: of the route's load balancing, as in `Cluster.lb_policy`."""
    if policy is None:
        return None
    if strategy not in _STRATEGIES:
        return Invalid("slow start is only supported with RoundRobin or WeightedLeastRequest load balancer strategy")
    window = parse_duration(policy.window)
    if isinstance(window, Invalid):
        return Invalid(f"error parsing window: {window.text} on slow start")
    aggression = 1.0
    if policy.aggression:
        aggression = float(policy.aggression) if _DECIMAL.fullmatch(policy.aggression) else math.inf
        if not math.isfinite(aggression):
            return Invalid(
                f"error parsing aggression: {quote(policy.aggression)} is not a decimal number on slow start"
            )
    return SlowStart(window, aggression, policy.min_weight_percent)
