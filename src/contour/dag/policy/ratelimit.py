"""rateLimitPolicy of virtual hosts and routes, and the default one of the settings (httpproxy.md §2.16)."""

from __future__ import annotations

from contour.api.projectcontour import (
    GlobalRateLimitPolicy,
    HeaderValue,
    LocalRateLimitPolicy,
    MatchCondition,
    RateLimitDescriptorEntry,
    RateLimitPolicy,
)
from contour.api.scalars import HEADER_NAME_ERRORS, canonical_header, quote, valid_header_name
from contour.dag.conditions import header_matches
from contour.dag.graph import (
    Descriptor,
    Entry,
    GenericKey,
    HeaderValueMatch,
    LocalRateLimit,
    RateLimits,
    RemoteAddress,
    RequestHeader,
)
from contour.dag.policy.headers import escape
from contour.dag.verdict import Finding, Invalid

_SECOND = 1_000_000_000
_UNITS = {"second": _SECOND, "minute": 60 * _SECOND, "hour": 3600 * _SECOND}


def of_host(policy: RateLimitPolicy | None, default: GlobalRateLimitPolicy | None) -> RateLimits | Finding | None:
    """A host's own limits; where it names no descriptors, nor refuses them, those of the settings hold."""
    own = _limits(policy)
    if isinstance(own, Invalid):
        return _host_error(f"Spec.VirtualHost.RateLimitPolicy is invalid: {own.text}")
    if default is None or not _takes_default(policy):
        return own
    descriptors = _descriptors(default)
    if isinstance(descriptors, Invalid):
        return _host_error(f"Default Global RateLimit Policy is invalid: {descriptors.text}")
    if not descriptors:
        return own
    return RateLimits(own.local if own is not None else None, descriptors)


def of_route(policy: RateLimitPolicy | None) -> RateLimits | Invalid | None:
    own = _limits(policy)
    if isinstance(own, Invalid) or policy is None or policy.global_ is None or not policy.global_.disabled:
        return own
    return RateLimits(own.local if own is not None else None, without_host=True)


def _takes_default(policy: RateLimitPolicy | None) -> bool:
    """Where there is a `global`, it is the answer, even if it says nothing; but alone and empty it is nothing at all
    (§5, quirk 12).
    """
    if policy is None or policy.global_ is None:
        return True
    return not policy.global_.disabled and not policy.global_.descriptors and policy.local is None


def _limits(policy: RateLimitPolicy | None) -> RateLimits | Invalid | None:
    """A policy that limits nothing is none."""
    if policy is None:
        return None
    local = _local(policy.local) if policy.local is not None else None
    if isinstance(local, Invalid):
        return local
    descriptors = _descriptors(policy.global_)
    if isinstance(descriptors, Invalid):
        return descriptors
    return RateLimits(local, descriptors) if local is not None or descriptors else None


def _local(policy: LocalRateLimitPolicy) -> LocalRateLimit | Invalid:
    if policy.requests <= 0:
        return Invalid(f"invalid requests value {policy.requests} in local rate limit policy")
    interval = _UNITS.get(policy.unit)
    if interval is None:
        return Invalid(f"invalid unit {quote(policy.unit)} in local rate limit policy")
    headers = _headers(policy.response_headers_to_add)
    if isinstance(headers, Invalid):
        return headers
    return LocalRateLimit(
        max_tokens=policy.requests + policy.burst,
        tokens_per_fill=policy.requests,
        fill_interval=interval,
        status=policy.response_status_code,
        headers=headers,
    )


def _headers(added: tuple[HeaderValue, ...]) -> tuple[tuple[str, str], ...] | Invalid:
    found: dict[str, str] = {}
    for header in added:
        name = canonical_header(header.name)
        if name in found:
            return Invalid(f"duplicate header addition: {quote(name)}")
        if not valid_header_name(name):
            return Invalid(f"invalid header name {quote(name)}: {HEADER_NAME_ERRORS}")
        found[name] = escape(header.value, {})
    return tuple(sorted(found.items()))


def _descriptors(policy: GlobalRateLimitPolicy | None) -> tuple[Descriptor, ...] | Invalid:
    if policy is None or policy.disabled:
        return ()
    descriptors: list[Descriptor] = []
    for descriptor in policy.descriptors:
        entries: list[Entry] = []
        for written in descriptor.entries:
            entry = _entry(written)
            if isinstance(entry, Invalid):
                return entry
            entries.append(entry)
        descriptors.append(tuple(entries))
    return tuple(descriptors)


def _entry(written: RateLimitDescriptorEntry) -> Entry | Invalid:
    found: list[Entry] = []
    if written.generic_key is not None:
        found.append(GenericKey(written.generic_key.key, written.generic_key.value))
    if written.request_header is not None:
        found.append(RequestHeader(written.request_header.header_name, written.request_header.descriptor_key))
    if (match := written.request_header_value_match) is not None:
        headers = header_matches([MatchCondition(header=header) for header in match.headers])
        found.append(HeaderValueMatch(match.value, match.expect_match, headers))
    if written.remote_address is not None:
        found.append(RemoteAddress())
    if len(found) != 1:
        return Invalid("rate limit descriptor entry must have exactly one field set")
    return found[0]


def _host_error(message: str) -> Finding:
    return Finding("VirtualHostError", "RateLimitPolicyNotValid", message)
