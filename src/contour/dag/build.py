"""The graph of a store: hosts, the verdicts on HTTPProxy and IngressRoute objects, and the secrets that hosts serve with.

The unit of work is the host, as its name is written. An edit re-runs the hosts that read the edited object, and stops
there when their values come out equal.
"""

from __future__ import annotations

from collections.abc import Iterable

from contour.api.meta import ObjectRef, Ref
from contour.dag import ingressroute
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
    TCPProxy,
    VirtualHost,
)
from contour.dag.httpproxy import RootOutcome, duplicate, evaluate
from contour.dag.ingress import NO_INGRESS, IngressHost, ingress_host
from contour.dag.ingressroute_host import with_ingressroutes
from contour.dag.match_order import in_match_order
from contour.dag.merge import ORPHANED, by_match
from contour.dag.options import Options
from contour.dag.secrets import ServingSecret
from contour.dag.sources import Lookup, Proxy, Sources
from contour.dag.verdict import Invalid, Verdict
from contour.dag.verdicts import Verdicts
from contour.reactive import Collection, Derived, Engine, Read
from contour.store import Store

_NOTHING = RootOutcome()


class Graph:
    """Declared on an engine, up to date after each commit."""

    hosts: Collection[str, Host]
    proxies: Collection[Ref, Verdict]
    ingressroutes: Collection[Ref, Verdict]
    serving_secrets: Derived[Ref, ServingSecret | Invalid]
    extensions: Collection[Ref, Extension]
    extension_facts: Derived[Ref, ExtensionFacts]
    ca_bundles: Derived[Ref, bytes | Invalid]
    revocation_lists: Derived[Ref, bytes | Invalid]

    def __init__(self, engine: Engine, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self._sources = Sources(engine, store, options, evaluate_extension)
        self.serving_secrets = self._sources.serving_secrets
        self.ca_bundles = self._sources.ca_bundles
        self.revocation_lists = self._sources.revocation_lists
        self.extension_facts = self._sources.extension_facts
        self.extensions = engine.collection(
            "extension services", (store.extensions,), lambda read, ref: read(self._sources.extensions, ref)
        )
        names = (
            store.proxies_by_host,
            store.ingressroutes_by_host,
            store.ingresses_by_host,
            store.ingresses_by_tls_host,
        )
        self.hosts = engine.collection("hosts", names, self._host)
        self.proxies = Verdicts(
            engine,
            "proxies",
            self.hosts,
            objects=store.proxies,
            roots=store.proxies_by_host,
            facts=self._sources.proxies,
            found=lambda host: host.verdicts,
            orphaned=ORPHANED,
        ).collection
        self.ingressroutes = Verdicts(
            engine,
            "ingressroutes",
            self.hosts,
            objects=store.ingressroutes,
            roots=store.ingressroutes_by_host,
            facts=self._sources.ingressroutes,
            found=lambda host: host.ingressroutes,
            orphaned=ingressroute.ORPHANED,
        ).collection

    def key_set(self, read: Read, keys: LocalKeys) -> bytes | None:
        """The text of a key set that a host uses by reference; None if it is gone or no good."""
        found = read(self._sources.key_sets, keys)
        return None if isinstance(found, Invalid) else found

    def _host(self, read: Read, name: str) -> Host | None:
        ingress = with_ingressroutes(read, self._sources, name, ingress_host(read, self._sources, name))
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


def _assembled(name: str, ingress: IngressHost, root: Proxy | None, outcome: RootOutcome) -> Host:
    """Ingress, IngressRoute and a root of one name share the host: the root's routes and its TLS settings win (§2.3)."""
    plain = in_match_order(by_match(ingress.http_routes, outcome.routes))
    termination = outcome.termination
    if outcome.secure and not ingress.http_routes and not ingress.https_routes:
        secure = plain  # the same routes, sorted and held once
    else:
        secure = in_match_order(by_match(ingress.https_routes, outcome.routes if outcome.secure else ()))
    secret = termination.secret if termination else ingress.secret
    roots, created = list(ingress.roots), ingress.created
    if root is not None and (outcome.routes or termination or outcome.tcp_proxy):
        own = ObjectRef("HTTPProxy", *root.ref)
        if not roots or root.created < created:
            roots, created = [own, *roots], root.created
        else:
            roots.append(own)
    # A proxy with TLS has the connections, whoever else would forward them.
    tcp_proxy = outcome.tcp_proxy or (None if termination else ingress.tcp_proxy)
    served = (secure and secret) or tcp_proxy
    providers = termination.jwt_providers if termination and served else ()
    return Host(
        name=name,
        http=VirtualHost(name, plain, outcome.policies) if plain else None,
        https=SecureVirtualHost(
            name,
            secure,
            secret,
            min_tls=termination.min_tls if termination else ingress.min_tls,
            max_tls=termination.max_tls if termination else ingress.max_tls,
            client_validation=termination.client_validation if termination else None,
            fallback=termination.fallback if termination else None,
            tcp_proxy=tcp_proxy,
            policies=outcome.policies if outcome.secure else NO_HOST_POLICIES,
            jwt_providers=providers,
            authorization=termination.authorization if termination else None,
        )
        if served
        else None,
        verdicts=outcome.verdicts,
        roots=tuple(roots),
        created=created,
        clusters=_clusters((*plain, *secure), tcp_proxy),
        dns_clusters=tuple(dict.fromkeys(one.keys.cluster for one in providers if isinstance(one.keys, RemoteKeys))),
        ingressroutes=ingress.ingressroutes,
        findings=ingress.findings,
    )


def _clusters(routes: Iterable[Route], tcp_proxy: TCPProxy | None) -> tuple[Cluster, ...]:
    found: dict[Cluster, None] = {}
    for backend in tcp_proxy.backends if tcp_proxy else ():
        found[backend.cluster] = None
    for route in routes:
        if isinstance(route.action, Forward):
            for backend in route.action.backends:
                found[backend.cluster] = None
        if isinstance(route.action, Forward | DirectResponse):
            for mirror in route.action.mirrors:
                found[mirror.cluster] = None
    return tuple(found)
