"""Routes (httpproxy.md §4.6, §4.9)."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from contour.api.meta import ObjectRef
from contour.dag import graph
from contour.envoy import names, order, pb
from contour.envoy.filters import cookies, ext_authz, jwt_authn, local_ratelimit, ratelimit, rbac
from contour.envoy.headers import header_match, header_values

# Where the access log finds the object that a route came from.
_METADATA = "envoy.access_loggers.file"

_RESPONSE_CODES = {
    0: pb.RedirectAction.MOVED_PERMANENTLY,  # unset: Envoy answers 301
    301: pb.RedirectAction.MOVED_PERMANENTLY,
    302: pb.RedirectAction.FOUND,
    303: pb.RedirectAction.SEE_OTHER,
    307: pb.RedirectAction.TEMPORARY_REDIRECT,
    308: pb.RedirectAction.PERMANENT_REDIRECT,
}
_SESSION = pb.duration(0)  # a cookie that lives as long as the browser's session
_WEBSOCKET = pb.RouteAction.UpgradeConfig(upgrade_type="websocket")
_SAFE_CROSS_SCHEME = pb.TypedExtensionConfig(
    name="envoy.internal_redirect_predicates.safe_cross_scheme", typed_config=pb.pack(pb.SafeCrossSchemeConfig())
)
_PREVIOUS_ROUTES = pb.TypedExtensionConfig(
    name="envoy.internal_redirect_predicates.previous_routes", typed_config=pb.pack(pb.PreviousRoutesConfig())
)
_HTTPS_REDIRECT = pb.RedirectAction(https_redirect=True)


def route(
    r: graph.Route, *, host: str, secure: bool, origin: bool = True, cluster_name: names.ClusterName = names.cluster
) -> pb.Route:
    """Of `host`. `secure` is False for the copy on the plain listener, where a route may be a redirect to https instead.

    `origin`: with the object that it came from, 5 KB of an Envoy's memory for each route.
    """
    message = pb.Route(match=_match(r), metadata=_origin(r.origin) if origin else None)
    if r.https_redirect and not secure:
        message.redirect.CopyFrom(_HTTPS_REDIRECT)
        message.typed_per_filter_config[ext_authz.NAME].CopyFrom(ext_authz.DISABLED)
        return message
    match r.action:
        case graph.Forward() as forward:
            message.route.CopyFrom(_forward(forward, cluster_name))
            _set_headers(message, forward.request_headers, forward.response_headers)
            if r.jwt_provider:
                message.typed_per_filter_config[jwt_authn.NAME].CopyFrom(jwt_authn.requirement(r.jwt_provider))
            if forward.address_filter is not None:
                message.typed_per_filter_config[rbac.NAME].CopyFrom(rbac.rules(forward.address_filter))
            if forward.rate_limits is not None:
                _set_rate_limits(message, forward.rate_limits, host)
            _set_authorization(message, r.authorization)
        case graph.Redirect() as redirect:
            message.redirect.CopyFrom(_redirect(redirect))
        case graph.DirectResponse(status=status, body=body):
            message.direct_response.status = status
            if body:
                message.direct_response.body.inline_string = body
            _set_authorization(message, r.authorization)
        case _:
            assert_never(r.action)
    return message


def _set_rate_limits(message: pb.Route, limits: graph.RateLimits, host: str) -> None:
    message.route.rate_limits.extend(ratelimit.descriptors(limits.descriptors))
    if limits.local is not None:
        message.typed_per_filter_config[local_ratelimit.NAME].CopyFrom(local_ratelimit.bucket(limits.local, host))
    if limits.without_host:
        message.typed_per_filter_config[ratelimit.NAME].CopyFrom(ratelimit.WITHOUT_HOST)


def _set_authorization(message: pb.Route, asked: graph.RouteAuthorization | None) -> None:
    if asked is not None:
        message.typed_per_filter_config[ext_authz.NAME].CopyFrom(ext_authz.per_route(asked))


@lru_cache(maxsize=4096)
def _origin(origin: ObjectRef) -> pb.Metadata:
    fields = {
        "io.projectcontour.kind": origin.kind,
        "io.projectcontour.namespace": origin.namespace,
        "io.projectcontour.name": origin.name,
    }
    return pb.Metadata(filter_metadata={_METADATA: pb.struct({key: text for key, text in fields.items() if text})})


# --- match --------------------------------------------------------------------------------------------------------


def _match(r: graph.Route) -> pb.RouteMatch:
    message = pb.RouteMatch(
        headers=[header_match(one) for one in r.headers],
        query_parameters=[_query_match(one) for one in r.query],
    )
    path = r.path
    match path.kind:
        case graph.PathKind.PREFIX:
            message.prefix = path.value
        case graph.PathKind.SEGMENT:
            message.path_separated_prefix = path.value
        case graph.PathKind.EXACT:
            message.path = path.value
        case graph.PathKind.REGEX:
            # The anchor makes the program smaller: Envoy matches the whole path in any case.
            message.safe_regex.regex = "^" + path.value
        case _:
            assert_never(path.kind)
    return message


def _query_match(m: graph.QueryMatch) -> pb.QueryParameterMatcher:
    message = pb.QueryParameterMatcher(name=m.name)
    match m.kind:
        case graph.QueryKind.EXACT:
            message.string_match.exact = m.value
        case graph.QueryKind.PREFIX:
            message.string_match.prefix = m.value
        case graph.QueryKind.SUFFIX:
            message.string_match.suffix = m.value
        case graph.QueryKind.CONTAINS:
            message.string_match.contains = m.value
        case graph.QueryKind.REGEX:
            message.string_match.safe_regex.regex = m.value
            return message
        case graph.QueryKind.PRESENT:
            message.present_match = True
            return message
        case _:
            assert_never(m.kind)
    message.string_match.ignore_case = m.ignore_case
    return message


# --- actions ------------------------------------------------------------------------------------------------------


def _forward(f: graph.Forward, cluster_name: names.ClusterName) -> pb.RouteAction:
    message = pb.RouteAction(
        prefix_rewrite=f.prefix_rewrite,
        hash_policy=[_hash_policy(one) for one in f.hash_policies],
        request_mirror_policies=[_mirror(one, cluster_name) for one in f.mirrors],
        upgrade_configs=[_WEBSOCKET] if f.websocket else (),
    )
    if len(f.backends) == 1 and _is_plain(f.backends[0]):
        message.cluster = cluster_name(f.backends[0].cluster)
    else:
        message.weighted_clusters.CopyFrom(_weighted(f.backends, cluster_name))
    if f.timeout is not None:
        message.timeout.CopyFrom(pb.duration(f.timeout))
    if f.idle_timeout is not None:
        message.idle_timeout.CopyFrom(pb.duration(f.idle_timeout))
    if f.retry is not None:
        message.retry_policy.CopyFrom(_retry(f.retry))
    if f.request_headers.host_rewrite:  # the fixed one wins
        message.host_rewrite_literal = f.request_headers.host_rewrite
    elif f.request_headers.host_rewrite_header:
        message.host_rewrite_header = f.request_headers.host_rewrite_header
    if f.internal_redirect is not None:
        message.internal_redirect_policy.CopyFrom(_internal_redirect(f.internal_redirect))
    return message


def _internal_redirect(policy: graph.InternalRedirect) -> pb.InternalRedirectPolicy:
    message = pb.InternalRedirectPolicy(
        redirect_response_codes=policy.status_codes,
        allow_cross_scheme_redirect=policy.cross_scheme is not graph.CrossScheme.NEVER,
    )
    if policy.max_redirects:
        message.max_internal_redirects.value = policy.max_redirects
    if policy.cross_scheme is graph.CrossScheme.SAFE_ONLY:
        message.predicates.append(_SAFE_CROSS_SCHEME)
    if policy.deny_repeated_route:
        message.predicates.append(_PREVIOUS_ROUTES)
    return message


def _is_plain(backend: graph.Backend) -> bool:
    """Nothing that only an entry of `weighted_clusters` can say (§4.6)."""
    request = backend.request_headers
    return not (
        request.set
        or request.remove
        or request.host_rewrite
        or backend.response_headers.set
        or backend.response_headers.remove
        or backend.cookie_rewrites
    )


def _weighted(backends: tuple[graph.Backend, ...], cluster_name: names.ClusterName) -> pb.WeightedCluster:
    """All weights zero means equal shares; otherwise a zero is a backend that gets nothing."""
    equal = not any(backend.weight for backend in backends)
    clusters = []
    for backend in sorted(backends, key=order.weighted_cluster):
        entry = pb.WeightedCluster.ClusterWeight(
            name=cluster_name(backend.cluster),
            weight=pb.UInt32Value(value=1 if equal else backend.weight),
        )
        if backend.request_headers.host_rewrite:
            entry.host_rewrite_literal = backend.request_headers.host_rewrite
        _set_headers(entry, backend.request_headers, backend.response_headers)
        if backend.cookie_rewrites:
            entry.typed_per_filter_config[cookies.NAME].CopyFrom(cookies.rules(backend.cookie_rewrites))
        clusters.append(entry)
    return pb.WeightedCluster(clusters=clusters)


def _set_headers(
    message: pb.Route | pb.WeightedCluster.ClusterWeight, request: graph.Headers, response: graph.Headers
) -> None:
    if request.set:
        message.request_headers_to_add.extend(header_values(request.set))
    if request.remove:
        message.request_headers_to_remove.extend(request.remove)
    if response.set:
        message.response_headers_to_add.extend(header_values(response.set))
    if response.remove:
        message.response_headers_to_remove.extend(response.remove)


def _retry(retry: graph.Retry) -> pb.RetryPolicy:
    message = pb.RetryPolicy(
        retry_on=retry.retry_on,
        num_retries=pb.UInt32Value(value=retry.num_retries),
        retriable_status_codes=retry.status_codes,
    )
    if retry.per_try_timeout is not None:
        message.per_try_timeout.CopyFrom(pb.duration(retry.per_try_timeout))
    return message


def _hash_policy(policy: graph.HashPolicy) -> pb.RouteAction.HashPolicy:
    message = pb.RouteAction.HashPolicy(terminal=policy.terminal)
    if policy.header:
        message.header.header_name = policy.header
    elif policy.query_parameter:
        message.query_parameter.name = policy.query_parameter
    elif policy.cookie:
        message.cookie.name = policy.cookie
        message.cookie.path = policy.cookie_path
        message.cookie.ttl.CopyFrom(_SESSION)
    elif policy.source_ip:
        message.connection_properties.source_ip = True
    return message


def _mirror(mirror: graph.Mirror, cluster_name: names.ClusterName) -> pb.RouteAction.RequestMirrorPolicy:
    percent = pb.FractionalPercent(numerator=mirror.percent, denominator=pb.FractionalPercent.HUNDRED)
    return pb.RouteAction.RequestMirrorPolicy(
        cluster=cluster_name(mirror.cluster), runtime_fraction=pb.RuntimeFractionalPercent(default_value=percent)
    )


def _redirect(redirect: graph.Redirect) -> pb.RedirectAction:
    message = pb.RedirectAction(
        host_redirect=redirect.hostname,
        port_redirect=redirect.port,
        response_code=_RESPONSE_CODES.get(redirect.status, pb.RedirectAction.MOVED_PERMANENTLY),
    )
    if redirect.scheme:
        message.scheme_redirect = redirect.scheme
    if redirect.path:
        message.path_redirect = redirect.path
    elif redirect.prefix:
        message.prefix_rewrite = redirect.prefix
    return message
