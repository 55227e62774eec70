"""A root IngressRoute: its checks, its TLS, what it and those that it delegates to serve (operations.md §12.3, §12.4).

Semantics are those of the last version that had the kind, 1.5. What differs on purpose is in docs/compatibility.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contour.api import heptio as api
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import Route, TCPProxy
from contour.dag.ingressroute_routes import routes
from contour.dag.ingressroute_tcpproxy import tcp_proxy
from contour.dag.ingressroute_walk import Walk, error
from contour.dag.report import Report
from contour.dag.sources import IngressRouteFacts, Lookup
from contour.dag.tls import Termination
from contour.dag.verdict import Finding, Verdict

ORPHANED = Verdict(
    errors=(
        Finding(
            "Orphaned",
            "Orphaned",
            "this IngressRoute is not part of a delegation chain from a root IngressRoute",
        ),
    )
)


class IngressRouteOutcome(msgspec.Struct, frozen=True, gc=False):
    """What a root contributes to its host; its own verdict is the first.

    `routes` are for the plain listener; if `secure`, for TLS, too.
    """

    routes: tuple[Route, ...] = ()
    secure: bool = False
    termination: Termination | None = None
    tcp_proxy: TCPProxy | None = None
    verdicts: tuple[tuple[Ref, Verdict], ...] = ()


def evaluate(lookup: Lookup, root: IngressRouteFacts, virtualhost: api.VirtualHost) -> IngressRouteOutcome:
    walk, report = Walk(lookup, root), Report()
    outcome = _evaluate(walk, virtualhost, report)
    verdicts = {root.ref: report.verdict, **walk.verdicts}
    return msgspec.structs.replace(outcome, verdicts=tuple(verdicts.items()))


def duplicate(fqdn: str, roots: Iterable[Ref]) -> Verdict:
    """For every root that claims a name which others claim too; none of them is evaluated."""
    names = ", ".join(sorted(map(str, roots)))
    text = f"fqdn {quote(fqdn)} is used in multiple IngressRoutes: {names}"
    return Verdict(errors=(error("DuplicateVhost", text),))


def _evaluate(walk: Walk, virtualhost: api.VirtualHost, report: Report) -> IngressRouteOutcome:
    if finding := _refusal(walk, virtualhost):
        report.add(finding)
        return IngressRouteOutcome()
    termination = _termination(walk, virtualhost.tls)
    if isinstance(termination, Finding):
        report.add(termination)
        return IngressRouteOutcome()
    # Where connections are forwarded, routes are for plain requests, which nobody redirects.
    forwarding = walk.root.spec.tcpproxy is not None
    passthrough = virtualhost.tls is not None and termination is None
    forwarded = tcp_proxy(walk, report) if forwarding and (termination or passthrough) else None
    secure = termination is not None and not forwarding
    found = routes(walk, report, redirect=secure)
    return IngressRouteOutcome(found, secure, termination, forwarded)


def _refusal(walk: Walk, virtualhost: api.VirtualHost) -> Finding | None:
    namespaces = walk.lookup.options.root_namespaces
    if namespaces and walk.root.ref.namespace not in namespaces:
        return error("RootNotAllowedInNamespace", "root IngressRoute cannot be defined in this namespace")
    if not virtualhost.fqdn.strip():
        return error("FQDNNotSpecified", "Spec.VirtualHost.Fqdn must be specified")
    if "*" in virtualhost.fqdn:
        return error("FQDNNotValid", f"Spec.VirtualHost.Fqdn {quote(virtualhost.fqdn)} cannot use wildcards")
    return None


def _termination(walk: Walk, tls: api.TLS | None) -> Termination | Finding | None:
    """Whose certificate is served; None for a host without TLS, or whose TLS is passed through."""
    if tls is None or (tls.passthrough and not tls.secret_name):
        return None
    secret = namespaced_ref(tls.secret_name, walk.root.ref.namespace)
    where = f"Spec.VirtualHost.TLS Secret {quote(tls.secret_name)}"
    # In this order, so that nobody learns about the Secrets of others.
    if not walk.lookup.delegated(secret, walk.root.ref.namespace):
        return error("DelegationNotPermitted", f"{where} certificate delegation not permitted")
    if invalid := walk.lookup.serving_error(secret):
        return error("SecretNotValid", f"{where} is invalid: {invalid.text}")
    # 1.1, once the default, is below what is served at all.
    return Termination(secret, "1.3" if tls.minimum_protocol_version == "1.3" else "1.2", "1.3")
