"""The global rate limit service: the filter that asks it, and what it is asked about (httpproxy.md §4.7, §4.9, §4.11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from contour.dag import graph
from contour.dag.options import RateLimitService
from contour.envoy import names, pb
from contour.envoy.filters.ext_authz import grpc_service
from contour.envoy.headers import header_match

NAME = "envoy.filters.http.ratelimit"

# Of a route that switches off what its host says.
WITHOUT_HOST = pb.pack(pb.RateLimitPerRoute(vh_rate_limits=pb.RateLimitPerRoute.IGNORE))


def http_filter(service: RateLimitService, facts: graph.ExtensionFacts) -> pb.HttpFilter:
    """`facts` are those of its ExtensionService."""
    message = pb.RateLimitFilter(
        domain=service.domain,
        failure_mode_deny=not service.fail_open,
        rate_limited_as_resource_exhausted=service.resource_exhausted_code,
        enable_x_ratelimit_headers=pb.RateLimitFilter.DRAFT_VERSION_03
        if service.x_ratelimit_headers
        else pb.RateLimitFilter.OFF,
        rate_limit_service=pb.RateLimitServiceConfig(
            grpc_service=grpc_service(names.extension(service.extension), facts.sni, None),
            transport_api_version=pb.ApiVersion.V3,
        ),
    )
    if facts.response_timeout is not None:
        message.timeout.CopyFrom(pb.duration(facts.response_timeout))
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(message))


def descriptors(found: Iterable[graph.Descriptor]) -> list[pb.RateLimit]:
    return [pb.RateLimit(actions=[_action(entry) for entry in entries]) for entries in found]


def _action(entry: graph.Entry) -> pb.RateLimit.Action:
    message = pb.RateLimit.Action()
    match entry:
        case graph.GenericKey(key=key, value=value):
            message.generic_key.descriptor_key = key
            message.generic_key.descriptor_value = value
        case graph.RequestHeader(header=header, key=key):
            message.request_headers.header_name = header
            message.request_headers.descriptor_key = key
        case graph.HeaderValueMatch(value=value, expect_match=expect_match, headers=headers):
            message.header_value_match.descriptor_value = value
            message.header_value_match.expect_match.value = expect_match
            message.header_value_match.headers.extend(header_match(one) for one in headers)
        case graph.RemoteAddress():
            message.remote_address.SetInParent()
        case _:
            assert_never(entry)
    return message
