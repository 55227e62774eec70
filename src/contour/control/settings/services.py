"""What settings may say of the services that Envoy asks about requests (operations.md §2.5).

Their filters are in every chain: what the reference's start ends with, and what Envoy would refuse a listener for.
"""

from __future__ import annotations

from contour.control.settings.error import SettingsError
from contour.dag.graph import ExtensionFacts
from contour.dag.options import Options
from contour.dag.policy import authorization
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
