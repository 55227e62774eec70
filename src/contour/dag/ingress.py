"""What all Ingress objects together say about one host (operations.md §5).

The reference leaves it open who wins where two Ingresses give one host the same match or a certificate. Here it is the
oldest, then the first by namespace and name; the other is told. Within one Ingress the later entry wins, as there.
Nothing that is left out is silent: what the reference only logs is a finding on the Ingress that it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contour.api.invalid import Invalid
from contour.api.meta import ObjectRef, Ref
from contour.api.networking import HTTPIngressPath, Ingress, IngressBackend
from contour.api.scalars import namespaced_ref, quote, regex_error
from contour.dag.annotations import force_ssl_redirect, http_allowed
from contour.dag.conditions import wildcard_host_match
from contour.dag.graph import Backend, Cluster, Forward, PathKind, PathMatch, Route
from contour.dag.services import resolve
from contour.dag.sources import Lookup, Sources
from contour.dag.verdict import Finding
from contour.reactive import Read

_ANY_HOST = "*"
_REGEX_CHARACTERS = frozenset("^+*[]%")  # one of them makes an ImplementationSpecific path a regular expression

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


NO_INGRESS = IngressHost()


def ingress_host(read: Read, sources: Sources, host: str) -> IngressHost:
    """`host`: as written in rules and TLS entries, `*` for none."""
    store = sources.store
    refs = read(store.ingresses_by_host, host) | read(store.ingresses_by_tls_host, host)
    if not refs:
        return NO_INGRESS
    lookup = Lookup(read, sources)
    found = (read(store.ingresses, ref) for ref in refs)
    ingresses = sorted((ingress for ingress in found if ingress is not None), key=_age)
    findings: list[tuple[ObjectRef, Finding]] = []
    secret = None
    http_routes: dict[PathMatch, Route] = {}
    https_routes: dict[PathMatch, Route] = {}
    for ingress in ingresses:
        given, problems = _secret(lookup, ingress, host)
        if secret and given and given != secret:
            told = f"host {quote(host)} is served with Secret {quote(secret)}, not with {quote(given)}"
            problems.append(_finding("DuplicateCertificate", told))
        secret = secret or given
        routes, more_problems = _routes(lookup, ingress, host)
        plain = routes if http_allowed(ingress.metadata) else {}
        origin = _object_ref(ingress)
        duplicates = [
            _finding(
                "DuplicatePath", f"path {quote(path.value)} of host {quote(host)} is served by Ingress {_name(older)}"
            )
            for path in routes
            if (older := http_routes.get(path) or https_routes.get(path))
        ]
        findings.extend((origin, finding) for finding in (*problems, *more_problems, *duplicates))
        redirect = force_ssl_redirect(ingress.metadata)
        for path, route in plain.items():
            http_routes.setdefault(path, msgspec.structs.replace(route, https_redirect=True) if redirect else route)
        for path, route in routes.items():
            https_routes.setdefault(path, route)
    tls = secret is not None and host != _ANY_HOST
    return IngressHost(
        http_routes=tuple(http_routes.values()),
        https_routes=tuple(https_routes.values()) if tls else (),
        secret=secret if tls else None,
        roots=tuple(_object_ref(ingress) for ingress in ingresses),
        created=ingresses[0].metadata.creation_timestamp or "" if ingresses else "",
        findings=tuple(dict.fromkeys(findings)),
    )


# --- certificates --------------------------------------------------------------------------------------------------


def _secret(lookup: Lookup, ingress: Ingress, host: str) -> tuple[Ref | None, list[Finding]]:
    """The certificate that an Ingress gives a host: the last that may be used."""
    namespace = ingress.metadata.namespace
    given, findings = None, []
    for index, entry in enumerate(ingress.spec.tls):
        if host not in entry.hosts:
            continue
        ref = namespaced_ref(entry.secret_name, namespace)
        where = f"spec.tls[{index}].secretName: Secret {quote(ref)}"
        if not lookup.delegated(ref, namespace):
            findings.append(_finding("DelegationNotPermitted", f"{where}: certificate delegation not permitted"))
        elif error := lookup.serving_error(ref):
            findings.append(_finding("SecretNotValid", f"{where}: {error.text}"))
        else:
            given = ref
    return given, findings


# --- routes --------------------------------------------------------------------------------------------------------


def _routes(lookup: Lookup, ingress: Ingress, host: str) -> tuple[dict[PathMatch, Route], list[Finding]]:
    """The routes of an Ingress for a host, without what depends on the listener."""
    routes: dict[PathMatch, Route] = {}
    findings: list[Finding] = []
    headers = wildcard_host_match(host)
    for rule in _rules(ingress, host):
        for place, path in rule:
            match = _path_match(path)
            if isinstance(match, Invalid):
                # The rest of the rule goes with it, as in the reference.
                findings.append(_finding("PathNotValid", f"{place}: {match.text}; it and what follows it is ignored"))
                break
            cluster = _cluster(lookup, ingress.metadata.namespace, path.backend)
            if isinstance(cluster, Finding):
                findings.append(msgspec.structs.replace(cluster, message=f"{place}: {cluster.message}"))
                continue
            routes[match] = Route(
                path=match, action=Forward((Backend(cluster),)), origin=_object_ref(ingress), headers=headers
            )
    return routes, findings


def _rules(ingress: Ingress, host: str) -> Iterator[list[tuple[str, HTTPIngressPath]]]:
    """Paths for a host, rule by rule, each with the field it stands in. The default backend is a rule of its own."""
    if ingress.spec.default_backend is not None and host == _ANY_HOST:
        yield [("spec.defaultBackend", HTTPIngressPath(backend=ingress.spec.default_backend))]
    for index, rule in enumerate(ingress.spec.rules):
        if (rule.host or _ANY_HOST) == host and rule.http is not None:
            place = f"spec.rules[{index}].http.paths"
            yield [(f"{place}[{number}]", path) for number, path in enumerate(rule.http.paths)]


def _path_match(path: HTTPIngressPath) -> PathMatch | Invalid:
    value = path.path or "/"
    if path.path_type == "Exact":
        return PathMatch(PathKind.EXACT, value)
    if path.path_type == "Prefix":
        segments = value.rstrip("/")
        return PathMatch(PathKind.SEGMENT, segments) if segments else PathMatch(PathKind.PREFIX, "/")
    if _REGEX_CHARACTERS.isdisjoint(value):
        return PathMatch(PathKind.PREFIX, value)
    if error := regex_error(f"^{value}"):  # as Envoy gets it
        return Invalid(f"path {quote(value)} is not a valid regular expression: {error.text}")
    return PathMatch(PathKind.REGEX, value)


def _cluster(lookup: Lookup, namespace: str, backend: IngressBackend) -> Cluster | Finding:
    if backend.service is None:
        # The reference crashes on these.
        named = f" {quote(f'{backend.resource.kind}/{backend.resource.name}')}" if backend.resource else ""
        return _finding("BackendNotSupported", f"backend{named} is not a Service, which is all that is supported")
    ref = Ref(namespace, backend.service.name)
    port = backend.service.port.name or str(backend.service.port.number)
    facts, external_names = lookup.service(ref), lookup.options.enable_external_name
    resolved = resolve(facts, ref, port, external_names=external_names)
    if not isinstance(resolved, Invalid):
        # Once more by the number that was found, as in the reference: where a port before it has that number as its
        # name, that one is meant.
        resolved = resolve(facts, ref, str(resolved.port.port), external_names=external_names)
    if isinstance(resolved, Invalid):
        return _finding("ServiceUnresolvedReference", resolved.text)
    return Cluster(
        service=resolved.port,
        protocol=resolved.upstream_protocol,
        circuit_breakers=resolved.circuit_breakers,
        # The reference ignores the setting here; ours holds everywhere (operations.md §14.1, no. 28).
        dns_lookup_family=lookup.options.dns_lookup_family,
    )


def _age(ingress: Ingress) -> tuple[str, Ref]:
    return ingress.metadata.creation_timestamp or "", ingress.ref


def _object_ref(ingress: Ingress) -> ObjectRef:
    return ObjectRef("Ingress", *ingress.ref)


def _name(route: Route) -> str:
    return f"{route.origin.namespace}/{route.origin.name}"


def _finding(reason: str, message: str) -> Finding:
    return Finding("IngressError", reason, message)
