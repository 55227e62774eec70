"""The graph of a store: hosts, the verdicts on HTTPProxy objects, and the secrets that hosts serve with.

The unit of work is the host, as its name is written. An edit re-runs the hosts that read the edited object, and stops
there when their values come out equal.
"""

from __future__ import annotations

from collections.abc import Iterable

from contour.api.meta import ObjectRef, Ref
from contour.dag.extension import evaluate as evaluate_extension
from contour.dag.graph import (
    NO_HOST_POLICIES,
    Cluster,
    DirectResponse,
    Extension,
    ExtensionFacts,
    Forward,
    Host,
    LocalKeys,
    RemoteKeys,
    Route,
    SecureVirtualHost,
    VirtualHost,
)
from contour.dag.httpproxy import RootOutcome, duplicate, evaluate
from contour.dag.ingress import NO_INGRESS, IngressHost, ingress_host
from contour.dag.match_order import in_match_order
from contour.dag.merge import ORPHANED, by_match
from contour.dag.options import Options
from contour.dag.secrets import ServingSecret
from contour.dag.sources import Lookup, Proxy, Sources
from contour.dag.verdict import Invalid, Verdict
from contour.reactive import Collection, Derived, Engine, Index, Read
from contour.store import Store

_NOTHING = RootOutcome()


class Graph:
    """Declared on an engine, up to date after each commit."""

    hosts: Collection[str, Host]
    proxies: Collection[Ref, Verdict]
    serving_secrets: Derived[Ref, ServingSecret | Invalid]
    extensions: Collection[Ref, Extension]
    extension_facts: Derived[Ref, ExtensionFacts]

    def __init__(self, engine: Engine, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self._sources = Sources(engine, store, options, evaluate_extension)
        self.serving_secrets = self._sources.serving_secrets
        self.extension_facts = self._sources.extension_facts
        self.extensions = engine.collection(
            "extension services", (store.extensions,), lambda read, ref: read(self._sources.extensions, ref)
        )
        self.hosts = engine.collection(
            "hosts", (store.proxies_by_host, store.ingresses_by_host, store.ingresses_by_tls_host), self._host
        )
        # Most proxies have one and the same verdict from all their roots, however many: only where several contradict
        # each other does anybody read who said what.
        self._verdicts: Index[Ref, Verdict] = engine.index("verdicts", self.hosts, _verdicts)
        self._errors: Index[Ref, str] = engine.index("hosts with errors by proxy", self.hosts, _errors)
        self.proxies = engine.collection("proxies", (store.proxies,), self._verdict)

    def key_set(self, read: Read, keys: LocalKeys) -> bytes | None:
        """The text of a key set that a host uses by reference; None if it is gone or no good."""
        found = read(self._sources.key_sets, keys)
        return None if isinstance(found, Invalid) else found

    def _host(self, read: Read, name: str) -> Host | None:
        ingress = ingress_host(read, self._sources, name)
        lookup = Lookup(read, self._sources)
        refs = read(self.store.proxies_by_host, name)
        claimants = read(self.store.proxies_by_fqdn, name.lower()) if refs else frozenset()
        if len(claimants) > 1:
            verdict = duplicate(name, claimants)
            return _assembled(name, ingress, None, RootOutcome(verdicts=tuple((ref, verdict) for ref in sorted(refs))))
        for ref in refs:
            root = lookup.proxy(ref)
            if root is not None and root.spec.virtualhost is not None:
                return _assembled(name, ingress, root, evaluate(lookup, root, root.spec.virtualhost))
        return None if ingress == NO_INGRESS else _assembled(name, ingress, None, _NOTHING)

    def _verdict(self, read: Read, ref: Ref) -> Verdict:
        """Of several roots' verdicts on one proxy a bad one wins, of several bad ones that of the oldest root."""
        verdicts = read(self._verdicts, ref)
        if not verdicts:
            return ORPHANED
        errors = [verdict for verdict in verdicts if not verdict.valid]
        if len(errors) > 1:
            return min(self._by_age(read, ref))[-1]
        return errors[0] if errors else max(verdicts)

    def _by_age(self, read: Read, ref: Ref) -> Iterable[tuple[str, Ref, Verdict]]:
        """What roots found wrong with a proxy, with the root's age and name. A host has one root that is evaluated."""
        for name in read(self._errors, ref):
            host = read(self.hosts, name)
            verdict = dict(host.verdicts).get(ref) if host is not None else None
            for root_ref in read(self.store.proxies_by_host, name):
                root = read(self._sources.proxies, root_ref)
                if root is not None and verdict is not None:
                    yield root.created, root_ref, verdict


def _assembled(name: str, ingress: IngressHost, root: Proxy | None, outcome: RootOutcome) -> Host:
    """An Ingress and a root of one name share the host: the root's routes and its TLS settings win (§2.3)."""
    plain = in_match_order(by_match(ingress.http_routes, outcome.routes))
    termination = outcome.termination
    if termination and not ingress.http_routes and not ingress.https_routes:
        secure = plain  # the same routes, sorted and held once
    else:
        secure = in_match_order(by_match(ingress.https_routes, outcome.routes if termination else ()))
    secret = termination.secret if termination else ingress.secret
    roots, created = list(ingress.roots), ingress.created
    if root is not None and (outcome.routes or termination):
        own = ObjectRef("HTTPProxy", *root.ref)
        if not roots or root.created < created:
            roots, created = [own, *roots], root.created
        else:
            roots.append(own)
    settings = termination or ingress
    providers = termination.jwt_providers if termination and secure else ()
    return Host(
        name=name,
        http=VirtualHost(name, plain, outcome.policies) if plain else None,
        https=SecureVirtualHost(
            name,
            secure,
            secret,
            settings.min_tls,
            settings.max_tls,
            policies=outcome.policies if termination else NO_HOST_POLICIES,
            jwt_providers=providers,
            authorization=termination.authorization if termination else None,
        )
        if secure and secret
        else None,
        verdicts=outcome.verdicts,
        roots=tuple(roots),
        created=created,
        clusters=_clusters((*plain, *secure)),
        dns_clusters=tuple(dict.fromkeys(one.keys.cluster for one in providers if isinstance(one.keys, RemoteKeys))),
        findings=ingress.findings,
    )


def _clusters(routes: Iterable[Route]) -> tuple[Cluster, ...]:
    found: dict[Cluster, None] = {}
    for route in routes:
        if isinstance(route.action, Forward):
            for backend in route.action.backends:
                found[backend.cluster] = None
        if isinstance(route.action, Forward | DirectResponse):
            for mirror in route.action.mirrors:
                found[mirror.cluster] = None
    return tuple(found)


def _verdicts(_: str, host: Host) -> Iterable[tuple[Ref, Verdict]]:
    return host.verdicts


def _errors(name: str, host: Host) -> Iterable[tuple[Ref, str]]:
    return ((ref, name) for ref, verdict in host.verdicts if not verdict.valid)
