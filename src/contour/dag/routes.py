"""The own routes of an HTTPProxy (httpproxy.md §2.6). One bad route takes all routes of its object with it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from contour.api import projectcontour as api
from contour.dag.backends import Backends, RoutePolicies, backends
from contour.dag.conditions import header_error, header_matches, path_error, path_match, query_error, query_matches
from contour.dag.graph import Backend, DirectResponse, Forward, Headers, PathMatch, RateLimits, Redirect, Route
from contour.dag.policy import authorization, ratelimit
from contour.dag.policy.cookies import cookie_rewrites
from contour.dag.policy.directresponse import direct_response
from contour.dag.policy.headers import request_headers, response_headers
from contour.dag.policy.healthcheck import http_health_check
from contour.dag.policy.internalredirect import internal_redirect
from contour.dag.policy.ipfilter import address_filter
from contour.dag.policy.jwt import required_provider
from contour.dag.policy.loadbalancer import load_balancer
from contour.dag.policy.redirect import redirect
from contour.dag.policy.retry import retry
from contour.dag.policy.rewrite import prefix_replacement
from contour.dag.policy.timeout import Timeouts, timeouts
from contour.dag.report import Report
from contour.dag.sources import Proxy
from contour.dag.verdict import Finding, Invalid
from contour.dag.walk import Inherited, Walk, origin

Answer = Redirect | DirectResponse

NO_BACKEND = DirectResponse(status=503)


class Answering(Forward, frozen=True, gc=False):
    """An answer of Envoy's own, in the clothes of a `Forward`; `settled` takes them off.

    The split of rewritten prefixes (§2.11) is done to every route that has a rewrite, whatever it does.
    """

    answer: Answer = NO_BACKEND


def settled(route: Route) -> Route:
    if isinstance(route.action, Answering):
        return msgspec.structs.replace(route, action=route.action.answer)
    return route


def own_routes(walk: Walk, proxy: Proxy, inherited: Inherited, report: Report) -> list[Route] | None:
    """None: a route is invalid, so nothing of this proxy is served."""
    routes = []
    for route in proxy.spec.routes:
        walk.step(1 + len(inherited))
        built = _route(walk, proxy, inherited, route, report)
        if isinstance(built, Finding):
            report.add(built)
            return None
        routes.append(built)
    return routes


def _route(walk: Walk, proxy: Proxy, inherited: Inherited, route: api.Route, report: Report) -> Route | Finding:
    """Steps in the order of the table in §2.6: the first one that fails is what the user reads."""
    answers = (route.request_redirect_policy, route.direct_response_policy)
    if bool(route.services) + sum(answer is not None for answer in answers) != 1:
        return _route_error(
            "RouteActionCountNotValid",
            "must set exactly one of route.services or route.requestRedirectPolicy or route.directResponsePolicy",
        )
    conditions = (*inherited, *route.conditions)
    if error := path_error(route.conditions):
        return _route_error("PathMatchConditionsNotValid", f"route: {error}")
    if error := header_error(conditions):
        return _route_error("HeaderMatchConditionsNotValid", error)
    if error := query_error(conditions):
        return _route_error("QueryParameterMatchConditionsNotValid", error)
    path = path_match(conditions)
    action = _action(walk, proxy, route, path, report)
    if isinstance(action, Finding):
        return action
    jwt_provider = required_provider(route.jwt_verification_policy, walk.default_jwt_provider)
    if isinstance(jwt_provider, Finding):
        return jwt_provider
    action = _filtered(route, action, report)
    if isinstance(action, Finding):
        return action
    options = walk.lookup.options
    return Route(
        path=path,
        action=action,
        origin=origin(proxy),
        headers=header_matches(conditions) + walk.host_match,
        query=query_matches(conditions),
        https_redirect=walk.tls and (options.disable_permit_insecure or not route.permit_insecure),
        authorization=authorization.of_route(walk.authorization, route.auth_policy),
        jwt_provider=jwt_provider,
    )


def _action(walk: Walk, proxy: Proxy, route: api.Route, path: PathMatch, report: Report) -> Forward | Finding:
    namespace = proxy.ref.namespace
    headers = _headers(route, {"CONTOUR_NAMESPACE": namespace})
    if isinstance(headers, Finding):
        return headers
    cookies = cookie_rewrites(route.cookie_rewrite_policies)
    if isinstance(cookies, Invalid):
        return _route_error("CookieRewritePoliciesInvalid", f"{cookies.text} on route cookie rewrite rules")
    limits = _limits(route)
    if isinstance(limits, Finding):
        return limits
    load_balancing = load_balancer(route.load_balancer_policy)
    report.warn(load_balancing.warnings)
    answer = _answer(route)
    if isinstance(answer, Invalid):
        return _route_error("RequestRedirectPolicy", f"route.requestRedirectPolicy is invalid: {answer.text}")
    replacements = route.path_rewrite_policy.replace_prefix if route.path_rewrite_policy else ()
    rewrite = prefix_replacement(replacements, path)
    if isinstance(rewrite, Finding):
        return rewrite
    health_check = http_health_check(route.health_check_policy, 0, "")
    if isinstance(health_check, Invalid):
        return _route_error("HealthCheckPolicyInvalid", health_check.text)
    if answer is not None:
        return Answering(backends=(), prefix_rewrite=rewrite, answer=answer)
    policies = RoutePolicies(*limits, load_balancing, health_check, *headers, cookies)
    served = backends(walk.lookup, namespace, route.services, policies, report)
    if isinstance(served, Finding):
        return served
    if not served.backends:
        answer = msgspec.structs.replace(NO_BACKEND, mirrors=served.mirrors)
        return Answering(backends=(), prefix_rewrite=rewrite, answer=answer)
    return _forward(route, policies, served, rewrite)


def _headers(route: api.Route, variables: Mapping[str, str]) -> tuple[Headers, Headers] | Finding:
    request = request_headers(route.request_headers_policy, variables)
    if isinstance(request, Invalid):
        return _route_error("RequestHeadersPolicyInvalid", f"{request.text} on request headers")
    response = response_headers(route.response_headers_policy, variables)
    if isinstance(response, Invalid):
        return _route_error("ResponseHeaderPolicyInvalid", f"{response.text} on response headers")
    return request, response


def _limits(route: api.Route) -> tuple[Timeouts, RateLimits | None] | Finding:
    limits = timeouts(route.timeout_policy)
    if isinstance(limits, Invalid):
        return _route_error("TimeoutPolicyNotValid", f"route.timeoutPolicy failed to parse: {limits.text}")
    rate_limits = ratelimit.of_route(route.rate_limit_policy)
    if isinstance(rate_limits, Invalid):
        return _route_error("RateLimitPolicyNotValid", f"route.rateLimitPolicy is invalid: {rate_limits.text}")
    return limits, rate_limits


def _answer(route: api.Route) -> Answer | Invalid | None:
    if route.request_redirect_policy is not None:
        return redirect(route.request_redirect_policy)
    if route.direct_response_policy is not None:
        return direct_response(route.direct_response_policy)
    return None


def _forward(route: api.Route, policies: RoutePolicies, served: Backends, rewrite: str) -> Forward:
    internal = internal_redirect(route.internal_redirect_policy)
    return Forward(
        backends=tuple(map(_following, served.backends)) if internal else served.backends,
        timeout=policies.timeouts.response,
        idle_timeout=policies.timeouts.idle,
        retry=retry(route.retry_policy),
        hash_policies=policies.load_balancing.hash_policies,
        mirrors=served.mirrors,
        prefix_rewrite=rewrite,
        websocket=route.enable_websockets,
        request_headers=policies.request_headers,
        response_headers=policies.response_headers,
        internal_redirect=internal,
        rate_limits=policies.rate_limits,
    )


def _following(backend: Backend) -> Backend:
    cluster = msgspec.structs.replace(backend.cluster, follows_redirects=True)
    return msgspec.structs.replace(backend, cluster=cluster)


def _filtered(route: api.Route, action: Forward, report: Report) -> Forward | Finding:
    """Step 19."""
    if route.ip_allow_policy and route.ip_deny_policy:
        return Finding(
            "IPFilterError",
            "IncompatibleIPAddressFilters",
            "cannot specify both `ipAllowPolicy` and `ipDenyPolicy`",
        )
    filtering = address_filter(route.ip_allow_policy, route.ip_deny_policy)
    if filtering.failed:
        *earlier, last = filtering.findings
        report.extend(earlier)
        return last
    report.extend(filtering.findings)
    return msgspec.structs.replace(action, address_filter=filtering.rules) if filtering.rules else action


def _route_error(reason: str, message: str) -> Finding:
    return Finding("RouteError", reason, message)
