"""External authorization: the server that a chain asks, and what a route says about it (httpproxy.md §4.9, §4.11)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contour.api.remembered import remembered
from contour.dag import graph
from contour.envoy import names, pb

NAME = "envoy.filters.http.ext_authz"

# A redirect to https never asks: the answer belongs to the request that comes back over TLS (httpproxy.md §4.9, 1).
DISABLED = pb.pack(pb.ExtAuthzPerRoute(disabled=True))

_FORBIDDEN = pb.HttpStatus(code=pb.StatusCode.Forbidden)
_MAX_TIMEOUT = (2**32 - 1) * 1_000_000_000
_URI = "http://dummy/"  # only its path counts, and that is the request's; the cluster says where to


def http_filter(server: graph.Authorization, facts: graph.ExtensionFacts, *, private_header: str = "") -> pb.HttpFilter:
    """`facts` are those of its ExtensionService. Where there is a `private_header`, the server may neither see nor set
    it, nor set the host.
    """
    message = pb.ExtAuthz(
        transport_api_version=pb.ApiVersion.V3,
        failure_mode_allow=server.fail_open,
        clear_route_cache=True,
        status_on_error=_FORBIDDEN,
        include_peer_certificate=True,
    )
    cluster = names.extension(server.extension)
    timeout = facts.response_timeout if server.timeout is None else server.timeout
    if server.http:
        message.http_service.CopyFrom(_http_service(server, cluster, timeout))
        if server.sent_headers:
            message.allowed_headers.patterns.extend(_patterns(server.sent_headers))
    else:
        message.grpc_service.CopyFrom(grpc_service(cluster, facts.sni, timeout))
    if server.body is not None:
        message.with_request_body.CopyFrom(
            pb.BufferSettings(
                max_request_bytes=server.body.max_bytes,
                allow_partial_message=server.body.allow_partial,
                pack_as_bytes=server.body.as_bytes,
            )
        )
    if private_header:
        _hide(message, private_header)
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(message))


@remembered(4096, size=lambda one: sum(len(key) + len(value) for key, value in one.context))
def per_route(one: graph.RouteAuthorization) -> pb.Any:
    if one.disabled:
        return DISABLED
    return pb.pack(pb.ExtAuthzPerRoute(check_settings=pb.CheckSettings(context_extensions=dict(one.context))))


def grpc_service(cluster: str, sni: str, timeout: graph.Timeout) -> pb.GrpcService:
    message = pb.GrpcService(
        envoy_grpc=pb.GrpcService.EnvoyGrpc(cluster_name=cluster, authority=names.authority(cluster, sni))
    )
    if timeout is not None:
        message.timeout.CopyFrom(pb.duration(timeout))
    return message


def _http_service(server: graph.Authorization, cluster: str, timeout: graph.Timeout) -> pb.AuthorizationHttpService:
    message = pb.AuthorizationHttpService(
        # Without a timeout, or with a longer one, Envoy refuses the message: 0 is none.
        server_uri=pb.HttpUri(uri=_URI, cluster=cluster, timeout=pb.duration(min(timeout or 0, _MAX_TIMEOUT))),
        path_prefix=server.path_prefix,
    )
    if server.upstream_headers:
        message.authorization_response.allowed_upstream_headers.patterns.extend(_patterns(server.upstream_headers))
    return message


def _patterns(headers: Iterable[graph.HeaderPattern]) -> list[pb.StringMatcher]:
    found = []
    for header in headers:
        message = pb.StringMatcher(ignore_case=header.ignore_case)
        setattr(message, header.kind, header.text)
        found.append(message)
    return found


def _hide(message: pb.ExtAuthz, header: str) -> None:
    """Nor the host, which is what the scope was found by: in one scope there can be wildcard hosts of several tenants,
    with tokens and addresses that are checked before this filter. All else the server may change that it may change
    without these rules: path and method, and Envoy's own headers.
    """
    message.disallowed_headers.patterns.append(pb.StringMatcher(exact=header, ignore_case=True))
    rules = message.decoder_header_mutation_rules
    rules.allow_all_routing.value = True
    rules.allow_envoy.value = True
    rules.disallow_expression.regex = f"(?i){re.escape(header)}|:authority|host"
