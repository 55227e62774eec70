"""What all Ingress objects together say about one host (operations.md §5).

The reference leaves it open who wins where two Ingresses give one host the same match or a certificate. Here it is the
oldest, then the first by namespace and name; the other is told. Within one Ingress the later entry wins, as there.
Nothing that is left out is silent: what the reference only logs is a finding on the Ingress that it stands in.
"""

from __future__ import annotations

import msgspec

from contour.api.meta import ObjectRef, Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import PathMatch, Route, TCPProxy
from contour.dag.ingress_routes import finding, routes
from contour.dag.sources import IngressFacts, Lookup, Sources
from contour.dag.verdict import Finding, Verdict
from contour.reactive import Read

_ANY_HOST = "*"

Findings = tuple[tuple[ObjectRef, Finding], ...]


class IngressHost(msgspec.Struct, frozen=True, gc=False):
    """Routes are unique by match, in no order that matters. `roots`: oldest first; `created`: of the oldest.

    `https_routes` are there only where `secret` is: a host of an Ingress has TLS when an entry of `spec.tls` gives it
    a certificate that may be used, whichever Ingress that stands in.
    """

    http_routes: tuple[Route, ...] = ()
    https_routes: tuple[Route, ...] = ()
    secret: Ref | None = None
    min_tls: str = "1.2"
    max_tls: str = "1.3"
    roots: tuple[ObjectRef, ...] = ()
    created: str = ""
    findings: Findings = ()
    # Added by `ingressroute_host`, with routes and certificate of the IngressRoute.
    tcp_proxy: TCPProxy | None = None
    ingressroutes: tuple[tuple[Ref, Verdict], ...] = ()


NO_INGRESS = IngressHost()


def ingress_host(read: Read, sources: Sources, host: str) -> IngressHost:
    """`host`: as written in rules and TLS entries, `*` for none."""
    store = sources.store
    refs = read(store.ingresses_by_host, host) | read(store.ingresses_by_tls_host, host)
    if not refs:
        return NO_INGRESS
    lookup = Lookup(read, sources)
    found = (lookup.ingress(ref) for ref in refs)
    ingresses = sorted((ingress for ingress in found if ingress is not None), key=_age)
    findings: list[tuple[ObjectRef, Finding]] = []
    secret, giver = None, None
    http_routes: dict[PathMatch, Route] = {}
    https_routes: dict[PathMatch, Route] = {}
    for ingress in ingresses:
        given, problems = _secret(lookup, ingress, host)
        if secret and given and given != secret:
            told = f"host {quote(host)} is served with Secret {quote(secret)}, not with {quote(given)}"
            problems.append(finding("DuplicateCertificate", told))
        if given and not secret:
            secret, giver = given, ingress.settings.contour
        own, more_problems = routes(lookup, ingress, host)
        duplicates = [
            finding(
                "DuplicatePath", f"path {quote(path.value)} of host {quote(host)} is served by Ingress {_name(older)}"
            )
            for path in own
            if (older := http_routes.get(path) or https_routes.get(path))
        ]
        found_here = (*ingress.settings.problems, *problems, *more_problems, *duplicates)
        findings.extend((ingress.origin, one) for one in found_here)
        redirect = ingress.settings.redirect_to_https
        for path, route in own.items() if ingress.settings.http else ():
            http_routes.setdefault(path, msgspec.structs.replace(route, https_redirect=True) if redirect else route)
        for path, route in own.items():
            https_routes.setdefault(path, route)
    tls = secret is not None and host != _ANY_HOST
    return IngressHost(
        http_routes=tuple(http_routes.values()),
        https_routes=tuple(https_routes.values()) if tls else (),
        secret=secret if tls else None,
        min_tls=giver.min_tls if tls and giver else NO_INGRESS.min_tls,
        max_tls=giver.max_tls if tls and giver else NO_INGRESS.max_tls,
        roots=tuple(ingress.origin for ingress in ingresses),
        created=ingresses[0].created if ingresses else "",
        findings=tuple(dict.fromkeys(findings)),
    )


def _secret(lookup: Lookup, ingress: IngressFacts, host: str) -> tuple[Ref | None, list[Finding]]:
    """The certificate that an Ingress gives a host: the last that may be used."""
    namespace, settings = ingress.ref.namespace, ingress.settings.contour
    given, findings = None, []
    for index in ingress.tls.get(host, ()):
        entry = ingress.spec.tls[index]
        ref = namespaced_ref(entry.secret_name, settings.certificate_namespace or namespace)
        where = f"spec.tls[{index}].secretName: Secret {quote(ref)}"
        if not lookup.delegated(ref, namespace):
            findings.append(finding("DelegationNotPermitted", f"{where}: certificate delegation not permitted"))
        elif error := lookup.serving_error(ref):
            findings.append(finding("SecretNotValid", f"{where}: {error.text}"))
        elif settings.max_tls < settings.min_tls:
            # The reference gives up TLS for all Ingresses here (operations.md §14.1, no. 17).
            told = "the minimum protocol version is greater than the maximum protocol version"
            findings.append(finding("TLSConfigNotValid", f"spec.tls[{index}]: {told}"))
        else:
            given = ref
    return given, findings


def _age(ingress: IngressFacts) -> tuple[str, Ref]:
    return ingress.created, ingress.ref


def _name(route: Route) -> str:
    return f"{route.origin.namespace}/{route.origin.name}"
