"""A root HTTPProxy: its checks in their order, its TLS, its routes (httpproxy.md §2.3, §2.4)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import quote
from contour.dag import includes, tcpproxy
from contour.dag.graph import NO_HOST_POLICIES, HostPolicies, Route, TCPProxy
from contour.dag.policy import authorization, ratelimit
from contour.dag.policy.cors import cors
from contour.dag.policy.ipfilter import address_filter
from contour.dag.policy.jwt import default_provider, undefined_provider
from contour.dag.report import Report
from contour.dag.sources import Lookup, Proxy
from contour.dag.tls import Termination, terminate
from contour.dag.verdict import Finding, Invalid, Verdict
from contour.dag.walk import Walk


class RootOutcome(msgspec.Struct, frozen=True, gc=False):
    """What a root contributes to its host. Routes are for the plain listener; if `secure`, for TLS too."""

    routes: tuple[Route, ...] = ()
    secure: bool = False
    termination: Termination | None = None
    tcp_proxy: TCPProxy | None = None
    policies: HostPolicies = NO_HOST_POLICIES
    verdicts: tuple[tuple[Ref, Verdict], ...] = ()


_NOTHING = RootOutcome()


def evaluate(lookup: Lookup, root: Proxy, virtualhost: api.VirtualHost) -> RootOutcome:
    """The verdicts are about the root and all proxies that its includes lead to, the root first."""
    walk = Walk(lookup, root, virtualhost.fqdn)
    report = Report()
    walk.commit(root.ref, report)  # the root comes first; replaced below
    outcome = _evaluate(walk, virtualhost, report)
    walk.commit(root.ref, report)
    return msgspec.structs.replace(outcome, verdicts=tuple(walk.verdicts.items()))


def duplicate(fqdn: str, roots: Iterable[Ref]) -> Verdict:
    """For every root that claims a name which others claim too; none of them is evaluated (§2.3)."""
    names = ", ".join(sorted(map(str, roots)))
    return Verdict(
        errors=(
            Finding(
                "VirtualHostError",
                "DuplicateVhost",
                f"fqdn {quote(fqdn.lower())} is used in multiple HTTPProxies: {names}",
            ),
        )
    )


def _evaluate(walk: Walk, virtualhost: api.VirtualHost, report: Report) -> RootOutcome:
    """Rows 1 to 17 of the table in §2.4; a row that stops leaves what was found before it."""
    if finding := _before_tls(walk, virtualhost):
        report.add(finding)
        return _NOTHING
    walk.authorization = authorization.of_host(walk.lookup.options, virtualhost.authorization)
    termination = None
    if virtualhost.tls is not None:
        tls = terminate(walk.lookup, walk.root.ref.namespace, virtualhost, virtualhost.tls, report)
        termination = tls.termination
        if tls.stop:
            return RootOutcome(termination=termination)
        walk.tls = True
        walk.default_jwt_provider = default_provider(virtualhost.jwt_providers)
    tcp_proxy = None
    if walk.root.spec.tcpproxy is not None:
        stop, tcp_proxy = tcpproxy.evaluate(walk, report)
        if stop:
            return RootOutcome(termination=termination)
    routes = includes.routes(walk, report)
    secure = walk.tls and walk.root.spec.tcpproxy is None
    stop, policies = _policies(walk, virtualhost, report, secure=secure)
    if stop:
        return RootOutcome(termination=termination, tcp_proxy=tcp_proxy, policies=policies)
    if secure:
        _providers_exist(routes, termination, report)
    return RootOutcome(tuple(routes), secure, termination, tcp_proxy, policies)


def _before_tls(walk: Walk, virtualhost: api.VirtualHost) -> Finding | None:
    """Rows 1 to 6."""
    spec, options = walk.root.spec, walk.lookup.options
    if not virtualhost.fqdn.strip():
        return Finding("VirtualHostError", "FQDNNotSpecified", "Spec.VirtualHost.Fqdn must be specified")
    if options.root_namespaces and walk.root.ref.namespace not in options.root_namespaces:
        return Finding(
            "RootNamespaceError",
            "RootProxyNotAllowedInNamespace",
            "root HTTPProxy cannot be defined in this namespace",
        )
    if not spec.routes and not spec.includes and spec.tcpproxy is None:
        return Finding(
            "SpecError", "NothingDefined", "HTTPProxy.Spec must have at least one Route, Include, or a TCPProxy"
        )
    if virtualhost.jwt_providers and (virtualhost.tls is None or not virtualhost.tls.secret_name):
        return Finding(
            "JWTVerificationError",
            "JWTVerificationNotPermitted",
            "Spec.VirtualHost.JWTProviders can only be defined for root HTTPProxies that terminate TLS",
        )
    authorization = virtualhost.authorization
    if authorization is not None and authorization.extension_ref.name and virtualhost.tls is None:
        return Finding(
            "AuthError",
            "AuthNotPermitted",
            "Spec.VirtualHost.Authorization.ExtensionServiceRef can only be defined for root HTTPProxies "
            "that terminate TLS",
        )
    if virtualhost.ip_allow_policy and virtualhost.ip_deny_policy:
        return Finding(
            "IPFilterError",
            "IncompatibleIPAddressFilters",
            "Spec.VirtualHost.IPAllowFilterPolicy and Spec.VirtualHost.IPDepnyFilterPolicy cannot both be defined.",
        )
    return None


def _policies(walk: Walk, virtualhost: api.VirtualHost, report: Report, *, secure: bool) -> tuple[bool, HostPolicies]:
    """Rows 11 to 16: whether one is invalid, so that nothing of the root's is served, and those before it, which hold
    for what an Ingress gave the host.
    """
    shared = cors(virtualhost.cors_policy)
    if isinstance(shared, Invalid):
        report.error("CORSError", "PolicyDidNotParse", f"Spec.VirtualHost.CORSPolicy: {shared.text}")
        return True, NO_HOST_POLICIES
    service = walk.lookup.options.rate_limit_service
    limits = ratelimit.of_host(virtualhost.rate_limit_policy, service.default_policy if service is not None else None)
    if isinstance(limits, Finding):
        report.add(limits)
        return True, HostPolicies(cors=shared)
    if finding := _global_authorization(walk, virtualhost):
        report.add(finding)
    filtering = address_filter(virtualhost.ip_allow_policy, virtualhost.ip_deny_policy)
    report.extend(filtering.findings)
    if filtering.failed:
        report.error(
            "IPFilterError",
            "IPFilterPolicyNotValid",
            "Spec.VirtualHost.IPAllowFilterPolicy or Spec.VirtualHost.IPDenyFilterPolicy is invalid: "
            f"{filtering.failed}",
        )
        return True, HostPolicies(cors=shared, rate_limits=limits)
    if secure:  # looked at once for each listener, and reported each time (§2.18)
        report.extend(filtering.findings)
    return False, HostPolicies(cors=shared, address_filter=filtering.rules, rate_limits=limits)


def _global_authorization(walk: Walk, virtualhost: api.VirtualHost) -> Finding | None:
    """Row 13: what the plain listener asks is there once for all hosts, but what is wrong with it each of them says."""
    options, own = walk.lookup.options, virtualhost.authorization
    if options.authorization is None or (own is not None and own.auth_policy is not None and own.auth_policy.disabled):
        return None
    found = authorization.authorization(walk.lookup, walk.root.ref.namespace, options.authorization)
    return found if isinstance(found, Finding) else None


def _providers_exist(routes: Iterable[Route], termination: Termination | None, report: Report) -> None:
    """Row 17: the first route that names a provider which is not there. The routes stay. One that another route with
    the same match replaces counts too, as recorded of the reference.
    """
    known = {"", *(provider.name for provider in (termination.jwt_providers if termination else ()))}
    for route in routes:
        if route.jwt_provider not in known:
            report.add(undefined_provider(route.jwt_provider))
            return
