"""What settings may say of the services that Envoy asks about requests (operations.md §2.5).

Their filters are in every chain: what the reference's start ends with, and what Envoy would refuse a listener for.
"""

from __future__ import annotations

from collections.abc import Iterator

from contour.api.projectcontour import GlobalRateLimitPolicy
from contour.api.scalars import regex_error
from contour.control.settings.error import SettingsError
from contour.dag.graph import ExtensionFacts, RateLimits
from contour.dag.options import Options
from contour.dag.policy import authorization
from contour.dag.policy.ratelimit import of_host
from contour.envoy import refusals, rules
from contour.envoy.filters import ratelimit


def check(options: Options) -> None:
    """Raises SettingsError."""
    policy = options.authorization
    if policy is not None:
        if finding := authorization.error(policy):
            raise SettingsError(finding.message)
        if refusal := refusals.of_authorization(authorization.of_listener(policy, own_timeout=True)):
            raise SettingsError(f"invalid globalExtAuth.{refusal}")
    if options.rate_limit_service is not None:
        for violation in rules.violations(ratelimit.http_filter(options.rate_limit_service, ExtensionFacts())):
            raise SettingsError(f"invalid rateLimitService: {violation.path}: {violation.text}")
        for problem in _default_policy(options.rate_limit_service.default_policy):
            raise SettingsError(f"invalid rateLimitService.defaultGlobalRateLimitPolicy.{problem}")


def _default_policy(policy: GlobalRateLimitPolicy | None) -> Iterator[str]:
    """It is part of every host without one: none of them would be served. What the reference itself has to say of an
    entry stands in the status of these hosts, as there.
    """
    limits = of_host(None, policy)
    for i, descriptor in enumerate(ratelimit.descriptors(limits.descriptors) if isinstance(limits, RateLimits) else ()):
        for violation in rules.violations(descriptor):
            yield f"descriptors[{i}]: {violation.path}: {violation.text}"
        for j, action in enumerate(descriptor.actions):
            for header in action.header_value_match.headers:
                if error := regex_error(header.string_match.safe_regex.regex):
                    yield f"descriptors[{i}].entries[{j}].requestHeaderValueMatch: {header.name}: {error.text}"
