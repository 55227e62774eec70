"""What an IngressRoute adds to what Ingress objects say about its host: it wins over them (operations.md §12.3)."""

from __future__ import annotations

import msgspec

from contour.api.meta import ObjectRef
from contour.dag.ingress import IngressHost
from contour.dag.ingressroute import IngressRouteOutcome, duplicate, evaluate
from contour.dag.merge import by_match
from contour.dag.sources import IngressRouteFacts, Lookup, Sources
from contour.reactive import Read


def with_ingressroutes(read: Read, sources: Sources, name: str, below: IngressHost) -> IngressHost:
    store = sources.store
    refs = read(store.ingressroutes_by_host, name)
    if not refs:
        return below
    if len(refs) > 1:
        verdict = duplicate(name, refs)
        return msgspec.structs.replace(below, ingressroutes=tuple((ref, verdict) for ref in sorted(refs)))
    lookup = Lookup(read, sources)
    for ref in refs:
        root = lookup.ingressroute(ref)
        if root is not None and root.spec.virtualhost is not None:
            return _merged(below, root, evaluate(lookup, root, root.spec.virtualhost))
    return below


def _merged(below: IngressHost, root: IngressRouteFacts, outcome: IngressRouteOutcome) -> IngressHost:
    merged = msgspec.structs.replace(below, ingressroutes=outcome.verdicts)
    termination, tcp_proxy = outcome.termination, outcome.tcp_proxy
    if not outcome.routes and not termination and not tcp_proxy:
        return merged
    own = ObjectRef("IngressRoute", *root.ref)
    older = bool(below.roots) and below.created <= root.created
    merged = msgspec.structs.replace(
        merged,
        http_routes=tuple(by_match(below.http_routes, outcome.routes)),
        tcp_proxy=tcp_proxy,
        roots=(*below.roots, own) if older else (own, *below.roots),
        created=below.created if older else root.created,
    )
    if tcp_proxy:  # connections that are forwarded reach no route, whoever has it
        merged = msgspec.structs.replace(merged, https_routes=(), secret=None)
    if termination is None:
        return merged
    return msgspec.structs.replace(
        merged,
        https_routes=tuple(by_match(merged.https_routes, outcome.routes if outcome.secure else ())),
        secret=termination.secret,
        min_tls=termination.min_tls,
        max_tls=termination.max_tls,
    )
