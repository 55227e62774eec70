"""External authorization: which server is asked, and what each route says to it (httpproxy.md §2.14; operations.md §7.9)."""

from __future__ import annotations

from typing import Literal

from contour.api.meta import Ref
from contour.api.projectcontour import AllowedHeader, AuthorizationPolicy, AuthorizationServer
from contour.api.scalars import parse_timeout, quote
from contour.dag.graph import Authorization, HeaderPattern, RequestBody, RouteAuthorization
from contour.dag.options import Options
from contour.dag.sources import Lookup
from contour.dag.verdict import Finding, Invalid

_API_VERSION = "projectcontour.io/v1alpha1"
_MAX_REQUEST_BYTES = 1024
_Kind = Literal["exact", "prefix", "suffix", "contains"]
_KINDS: tuple[_Kind, ...] = ("prefix", "suffix", "exact", "contains")

_FIELD = "Spec.Virtualhost.Authorization"


def server(options: Options, own: AuthorizationServer | None) -> AuthorizationServer | None:
    """The one that a host over TLS asks: its own, else that of the settings."""
    return own if own is not None and own.extension_ref.name else options.authorization


def authorization(lookup: Lookup, namespace: str, policy: AuthorizationServer) -> Authorization | Finding:
    """Checks in the order of §2.14."""
    ref = policy.extension_ref
    if (ref.api_version or _API_VERSION) != _API_VERSION:
        return Finding(
            "AuthError",
            "AuthBadResourceVersion",
            f"{_FIELD}.extensionRef specifies an unsupported resource version {quote(ref.api_version)}",
        )
    service = Ref(ref.namespace or namespace, ref.name)
    if not lookup.extension(service):
        return Finding(
            "AuthError",
            "ExtensionServiceNotFound",
            f"{_FIELD}.ServiceRef extension service {quote(service)} not found",
        )
    if finding := error(policy):
        return finding
    return _asked(service, policy, policy.response_timeout)


def error(policy: AuthorizationServer) -> Finding | None:
    """What is wrong with it wherever it is written: in a host, or in the settings."""
    timeout = parse_timeout(policy.response_timeout)
    if isinstance(timeout, Invalid):
        return Finding(
            "AuthError", "AuthResponseTimeoutInvalid", f"{_FIELD}.ResponseTimeout is invalid: {timeout.text}"
        )
    if policy.service_type == "http" and policy.auth_policy is not None and policy.auth_policy.context:
        return Finding(
            "AuthError",
            "AuthContextForHTTP",
            f"{_FIELD}.AuthPolicy.Context are only applied to grpc service type",
        )
    for name, headers in (
        ("AllowedAuthorizationHeaders", _sent(policy)),
        ("AllowedUpstreamHeaders", _upstream(policy)),
    ):
        if problem := _pattern_error(headers):
            return Finding(
                "AuthError", "AuthBadAllowedHeader", f"{_FIELD}.HTTPServerSettings.{name} is invalid: {problem}"
            )
    return None


def of_listener(policy: AuthorizationServer, *, own_timeout: bool) -> Authorization:
    """What the plain listener asks for all hosts: the server of the settings, which were checked when they were read.

    `own_timeout`: the settings' `responseTimeout` counts; in the reference it does for hosts over TLS only.
    """
    ref = policy.extension_ref
    return _asked(Ref(ref.namespace, ref.name), policy, policy.response_timeout if own_timeout else "")


def _asked(service: Ref, policy: AuthorizationServer, response_timeout: str) -> Authorization:
    timeout = parse_timeout(response_timeout)
    body = policy.with_request_body
    http = policy.service_type == "http"
    return Authorization(
        extension=service,
        timeout=None if isinstance(timeout, Invalid) else timeout,
        http=http,
        path_prefix=policy.http_settings.path_prefix if http and policy.http_settings else "",
        sent_headers=_patterns(_sent(policy)) if http else (),
        upstream_headers=_patterns(_upstream(policy)) if http else (),
        fail_open=policy.fail_open,
        body=RequestBody(body.max_request_bytes or _MAX_REQUEST_BYTES, body.allow_partial_message, body.pack_as_bytes)
        if body is not None
        else None,
    )


def _sent(policy: AuthorizationServer) -> tuple[AllowedHeader, ...]:
    return policy.http_settings.allowed_authorization_headers if policy.http_settings is not None else ()


def _upstream(policy: AuthorizationServer) -> tuple[AllowedHeader, ...]:
    return policy.http_settings.allowed_upstream_headers if policy.http_settings is not None else ()


def of_host(options: Options, own: AuthorizationServer | None) -> RouteAuthorization | None:
    """What holds for all routes of a host, unless they say otherwise; None where nobody is asked."""
    default = options.authorization
    if own is None and default is None:
        return None
    disabled = default is not None and default.auth_policy is not None and default.auth_policy.disabled
    if own is not None:
        disabled = own.auth_policy is not None and own.auth_policy.disabled
    policy = own.auth_policy if own is not None else default.auth_policy if default is not None else None
    return RouteAuthorization(disabled, _sorted(policy.context if policy is not None else None))


def of_route(host: RouteAuthorization | None, policy: AuthorizationPolicy | None) -> RouteAuthorization | None:
    """The route decides what it names, for the rest the host does. None: the server is asked, without a context."""
    if host is None:
        return None
    disabled, context = host.disabled, host.context
    if policy is not None:
        disabled = policy.disabled
        if policy.context:
            context = _sorted({**dict(context), **policy.context})
    return RouteAuthorization(disabled, context) if disabled or context else None


def _sorted(context: dict[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((context or {}).items()))


def _pattern_error(headers: tuple[AllowedHeader, ...]) -> str:
    for header in headers:
        given = sum(bool(getattr(header, kind)) for kind in _KINDS)
        if not given:
            return "one of prefix, suffix, exact or contains is required for each allowedHeader"
        if given > 1:
            return "only one of prefix, suffix, exact, and contains should be set in the allowedHeader"
    return ""


def _patterns(headers: tuple[AllowedHeader, ...]) -> tuple[HeaderPattern, ...]:
    return tuple(
        HeaderPattern(kind, getattr(header, kind), header.ignore_case)
        for header in headers
        for kind in _KINDS
        if getattr(header, kind)
    )
