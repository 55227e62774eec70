"""The routes that one Ingress has for one host (operations.md §5.2, §5.5)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.networking import HTTPIngressPath, IngressBackend
from contour.api.scalars import quote, regex_error
from contour.dag.conditions import wildcard_host_match
from contour.dag.graph import NO_HEADERS, Backend, Cluster, Forward, PathKind, PathMatch, Route
from contour.dag.policy.default_headers import with_default_request, with_default_response
from contour.dag.services import limits, resolve
from contour.dag.sources import IngressFacts, Lookup
from contour.dag.upstream import client_certificate_error
from contour.dag.verdict import Finding

_ANY_HOST = "*"
_PATH_TYPES = (None, "", "Exact", "ImplementationSpecific", "Prefix")
_REGEX_CHARACTERS = frozenset("^+*[]%")  # one of them makes an ImplementationSpecific path a regular expression


def routes(lookup: Lookup, ingress: IngressFacts, host: str) -> tuple[dict[PathMatch, Route], list[Finding]]:
    """The routes of an Ingress for a host, without what depends on the listener."""
    found: dict[PathMatch, Route] = {}
    findings: list[Finding] = []
    headers = wildcard_host_match(host)
    settings = ingress.settings.contour
    for rule in _rules(ingress, host):
        for place, path in rule:
            if path.path_type not in _PATH_TYPES:
                # The reference crashes on these. An API server refuses them.
                told = f"{place}: pathType {quote(path.path_type)} is none of Exact, ImplementationSpecific and Prefix"
                findings.append(finding("PathTypeNotSupported", told))
                continue
            # The backend first: where it is missing, only this path is left out, whatever else is wrong with it.
            cluster = _cluster(lookup, ingress.ref.namespace, path.backend)
            if isinstance(cluster, Finding):
                findings.append(msgspec.structs.replace(cluster, message=f"{place}: {cluster.message}"))
                continue
            match = _path_match(path)
            if isinstance(match, Invalid):
                # The rest of the rule goes with it, as in the reference.
                findings.append(finding("PathNotValid", f"{place}: {match.text}; it and what follows it is ignored"))
                break
            backend = _backend(lookup, cluster)
            if isinstance(backend, Finding):
                ignored = f"{place}: {backend.message}; it and what follows it is ignored"
                findings.append(msgspec.structs.replace(backend, message=ignored))
                break
            action = Forward(
                (backend,),
                timeout=settings.response_timeout,
                retry=settings.retry,
                websocket=(path.path or "/") in settings.websocket_paths,
            )
            found[match] = Route(path=match, action=action, origin=ingress.origin, headers=headers)
    return found, findings


def finding(reason: str, message: str) -> Finding:
    return Finding("IngressError", reason, message)


def _rules(ingress: IngressFacts, host: str) -> Iterator[list[tuple[str, HTTPIngressPath]]]:
    """Paths for a host, rule by rule, each with the field it stands in. The default backend is a rule of its own."""
    if ingress.spec.default_backend is not None and host == _ANY_HOST:
        yield [("spec.defaultBackend", HTTPIngressPath(backend=ingress.spec.default_backend))]
    for index in ingress.rules.get(host, ()):
        rule = ingress.spec.rules[index]
        if rule.http is not None:
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


def _backend(lookup: Lookup, cluster: Cluster) -> Backend | Finding:
    """With what is set for everybody: the certificate that Envoy shows, and headers if they are for Ingress (§5.6)."""
    options = lookup.options
    if error := client_certificate_error(lookup):
        return finding("ClientCertificateNotValid", error.message)
    if not options.headers_apply_to_ingress:
        return Backend(cluster)
    port = cluster.service
    variables = {
        "CONTOUR_NAMESPACE": port.namespace,
        "CONTOUR_SERVICE_NAME": port.service,
        # In the reference this is 0 where the backend names its port (operations.md §14.1, no. 19).
        "CONTOUR_SERVICE_PORT": str(port.port),
    }
    request = with_default_request(NO_HEADERS, options.request_headers, variables)
    if isinstance(request, Invalid):
        return finding("DefaultHeadersNotValid", request.text)
    response = with_default_response(NO_HEADERS, options.response_headers, variables)
    if isinstance(response, Invalid):
        return finding("DefaultHeadersNotValid", response.text)
    return Backend(cluster, request_headers=request, response_headers=response)


def _cluster(lookup: Lookup, namespace: str, backend: IngressBackend) -> Cluster | Finding:
    if backend.service is None:
        # The reference crashes on these.
        named = f" {quote(f'{backend.resource.kind}/{backend.resource.name}')}" if backend.resource else ""
        return finding("BackendNotSupported", f"backend{named} is not a Service, which is all that is supported")
    ref = Ref(namespace, backend.service.name)
    port = backend.service.port.name or str(backend.service.port.number)
    facts, external_names = lookup.service(ref), lookup.options.enable_external_name
    resolved = resolve(facts, ref, port, external_names=external_names)
    if not isinstance(resolved, Invalid):
        # Once more by the number that was found, as in the reference: where a port before it has that number as its
        # name, that one is meant.
        resolved = resolve(facts, ref, str(resolved.port.port), external_names=external_names)
    if isinstance(resolved, Invalid):
        return finding("ServiceUnresolvedReference", resolved.text)
    return Cluster(
        service=resolved.port,
        protocol=resolved.upstream_protocol,
        circuit_breakers=limits(resolved.circuit_breakers, lookup.options.circuit_breakers),
        # The reference ignores the setting here; ours holds everywhere (operations.md §14.1, no. 28). Where no name is
        # looked up it means nothing.
        dns_lookup_family=lookup.options.dns_lookup_family if resolved.port.external_name else "auto",
    )
