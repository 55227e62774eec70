"""A root HTTPProxy: its checks in their order, its TLS, its routes (httpproxy.md §2.3, §2.4)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import quote
from contour.dag import includes
from contour.dag.graph import Route
from contour.dag.report import Report, not_supported
from contour.dag.sources import Lookup, Proxy
from contour.dag.tls import Termination, terminate
from contour.dag.verdict import Finding, Verdict
from contour.dag.walk import Walk


class RootOutcome(msgspec.Struct, frozen=True, gc=False):
    """What a root contributes to its host. Routes are for the plain listener, and with `termination` for TLS too."""

    routes: tuple[Route, ...] = ()
    termination: Termination | None = None
    verdicts: tuple[tuple[Ref, Verdict], ...] = ()


def evaluate(lookup: Lookup, root: Proxy, virtualhost: api.VirtualHost) -> RootOutcome:
    """The verdicts are about the root and all proxies that its includes lead to, the root first."""
    walk = Walk(lookup, root, virtualhost.fqdn)
    report = Report()
    walk.commit(root.ref, report)  # the root comes first; replaced below
    routes, termination = _evaluate(walk, virtualhost, report)
    walk.commit(root.ref, report)
    return RootOutcome(tuple(routes), termination, tuple(walk.verdicts.items()))


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


def _evaluate(walk: Walk, virtualhost: api.VirtualHost, report: Report) -> tuple[list[Route], Termination | None]:
    """Rows 1 to 16 of the table in §2.4; a row that stops leaves what was found before it."""
    if finding := _before_tls(walk, virtualhost):
        report.add(finding)
        return [], None
    termination = None
    if virtualhost.tls is not None:
        tls = terminate(walk.lookup, walk.root.ref.namespace, virtualhost, virtualhost.tls, report)
        termination = tls.termination
        if tls.stop:
            return [], termination
        walk.tls = True
    if finding := _tcp_proxy(walk):
        report.add(finding)
        return [], termination
    routes = includes.routes(walk, report)
    if finding := _address_filter(virtualhost):
        report.add(finding)
        return [], termination
    return routes, termination


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


def _tcp_proxy(walk: Walk) -> Finding | None:
    """Row 8."""
    if walk.root.spec.tcpproxy is None:
        return None
    if not walk.tls:
        return Finding(
            "TCPProxyError",
            "TLSMustBeConfigured",
            "Spec.TCPProxy requires that either Spec.TLS.Passthrough or Spec.TLS.SecretName be set",
        )
    return not_supported("Spec.TCPProxy")


def _address_filter(virtualhost: api.VirtualHost) -> Finding | None:
    """Row 14."""
    if virtualhost.ip_allow_policy:
        return not_supported("Spec.VirtualHost.IPAllowPolicy")
    if virtualhost.ip_deny_policy:
        return not_supported("Spec.VirtualHost.IPDenyPolicy")
    return None
