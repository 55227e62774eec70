"""The reference's own shape (envoy.md §2): for its bootstrap, its command line and comparison with it.

One RouteConfiguration for all plain hosts and one for each TLS host, one filter chain for each TLS host, certificates
under names that change with their content. Listeners and `ingress_http` are O(hosts) by nature: they are joined from
pieces that are serialised already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from contour.api.meta import Ref
from contour.dag import graph
from contour.dag.build import Graph
from contour.dag.secrets import ServingSecret
from contour.dag.verdict import Invalid
from contour.envoy import (
    client_certificates,
    config_source,
    extensions,
    hcm,
    listener,
    metrics,
    names,
    order,
    pb,
    runtime,
    secret,
    static,
    tcp_proxy,
    tls,
    tracing,
    upstreams,
    virtualhost,
)
from contour.envoy.cluster import cluster, dns_cluster, extension_cluster
from contour.envoy.filters import jwt_authn
from contour.envoy.filters.order import Own, http_filters
from contour.envoy.options import Options
from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    SECRET,
    Resource,
    Withheld,
    resource,
    version_of,
)
from contour.envoy.upstreams import Shape
from contour.reactive import Collection, Derived, Engine, Index, Read

_Resources = Collection[str, Resource | Withheld]
_FALLBACK_CHAIN = "fallback-certificate"
_Piece = Callable[[Read, str], bytes | None]  # one host's part of an aggregate, serialised


def attach(engine: Engine, graph_: Graph, options: Options) -> Shape:
    """Declare the shape's collections; the next commit computes them.

    Nothing is withheld from this shape but what no message can hold (a weight of more than 32 bits, say).
    """
    hosts = graph_.hosts
    plain: Collection[str, bytes] = engine.collection("classic virtual hosts", (hosts,), _plain(hosts))
    fallback = _Fallback(engine, graph_, options)
    chains: Collection[str, bytes] = engine.collection("classic filter chains", (hosts,), _chain(graph_, options))
    listeners = _listeners(engine, graph_, plain, chains, options, fallback=fallback)
    return {
        CLUSTER: upstreams.clusters(engine, graph_, _cluster(graph_, options), names.upstream, first_key_set=True),
        ENDPOINTS: upstreams.assignments(engine, graph_),
        SECRET: _secrets(engine, graph_, options),
        LISTENER: listeners,
        ROUTE: _routes(engine, hosts, plain, fallback),
        RUNTIME: runtime.attach(engine, options, listeners),
    }


def _cluster(graph_: Graph, options: Options) -> Callable[[Read, str, upstreams.Source], Resource | Withheld]:
    certificate = graph_.options.client_certificate

    def translate(read: Read, name: str, one: upstreams.Source) -> Resource | Withheld:
        try:
            if isinstance(one, graph.DnsCluster):
                return resource(name, dns_cluster(one, name, options))
            client = ""
            if certificate is not None and one.protocol in ("tls", "h2"):
                client = _secret_name(read(graph_.serving_secrets, certificate))
            if isinstance(one, graph.ExtensionCluster):
                return resource(name, extension_cluster(one, options, config_source.CLASSIC, client))
            return resource(name, cluster(one, options, config_source.CLASSIC, client))
        except ValueError as error:
            return Withheld(name, str(error))

    return translate


def _secret_name(found: ServingSecret | Invalid) -> str:
    return names.secret(found.ref, found.certificate) if isinstance(found, ServingSecret) else ""


def _encoded(name: str, body: bytes) -> Resource:
    return Resource(name, version_of(body), body)


# --- routes -------------------------------------------------------------------------------------------------------


def _plain(hosts: Collection[str, graph.Host]) -> _Piece:
    def virtual_host(read: Read, name: str) -> bytes | None:
        host = read(hosts, name)
        if host is None or host.http is None:
            return None
        try:
            return pb.serialize(virtualhost.virtual_host(name, host.http.routes, host.http.policies, secure=False))
        except ValueError:
            return None

    return virtual_host


def _routes(
    engine: Engine, hosts: Collection[str, graph.Host], plain: Collection[str, bytes], fallback: _Fallback
) -> _Resources:
    """`ingress_http` is there even when no host is."""
    secure: Index[str, str] = engine.index("classic route configurations", hosts, _secure_names)

    def configuration(read: Read, name: str) -> Resource | Withheld | None:
        if name == names.INGRESS_HTTP:
            pieces = read(plain.all, None)
            ordered = [pieces[host] for host in sorted(pieces, key=order.virtual_host)]
            return _encoded(name, virtualhost.encoded_route_configuration(name, ordered))
        if name == names.INGRESS_FALLBACK:
            return fallback.routes(read)
        (host_name,) = read(secure, name)
        host = read(hosts, host_name)
        if host is None or host.https is None:
            return None
        try:
            virtual_host = virtualhost.virtual_host(host_name, host.https.routes, host.https.policies, secure=True)
        except ValueError as error:
            return Withheld(name, f"{host_name}: {error}", host.roots)
        return resource(name, virtualhost.route_configuration(name, [virtual_host]))

    own = frozenset((names.INGRESS_HTTP, names.INGRESS_FALLBACK))
    return engine.collection("classic routes", (own, secure), configuration)


def _secure_names(name: str, host: graph.Host) -> Iterator[tuple[str, str]]:
    if host.https is not None and host.https.routes:
        yield names.https_route_configuration(name), name


# --- listeners ----------------------------------------------------------------------------------------------------


def _listeners(
    engine: Engine,
    graph_: Graph,
    plain: Collection[str, bytes],
    chains: Collection[str, bytes],
    options: Options,
    *,
    fallback: _Fallback,
) -> _Resources:
    own = {
        message.name: resource(message.name, message) for message in static.listeners(options, config_source.CLASSIC)
    }
    any_plain: Derived[None, bool] = engine.derived("any plain host", lambda read, _: bool(read(plain.all, None)))

    def one(read: Read, name: str) -> Resource | None:
        if name == names.INGRESS_HTTP:
            if not read(any_plain, None):
                return None
            own_filters = extensions.of_plain_listener(read, graph_, own_timeout=False)
            return _plain_listener(own_filters, tracing.of_connection_managers(read, graph_, options), options)
        if name == names.INGRESS_HTTPS:
            pieces = read(chains.all, None)
            ordered = [pieces[host] for host in sorted(pieces, key=order.filter_chain)]
            ordered += fallback.chain(read)
            return _secure_listener(ordered, options) if ordered else None
        return own[name]

    keys = frozenset((names.INGRESS_HTTP, names.INGRESS_HTTPS, *own))
    return engine.collection("classic listeners", (keys,), one)


def _plain_listener(
    own: dict[Own, pb.HttpFilter | None], traces: pb.HttpConnectionManager.Tracing | None, options: Options
) -> Resource:
    name = names.INGRESS_HTTP
    manager = hcm.connection_manager(
        options,
        stat_prefix=name,
        access_log_path=options.http_access_log,
        routes=pb.Rds(route_config_name=name, config_source=config_source.CLASSIC),
        filters=http_filters("http", options, own),
        tracing=traces,
    )
    chain = pb.FilterChain(filters=[hcm.network_filter(manager)])
    return resource(
        name,
        listener.listener(name, options.http_address, options.http_port, [chain], options, tls=False, any_family=True),
    )


def _secure_listener(chains: list[bytes], options: Options) -> Resource:
    name = names.INGRESS_HTTPS
    return _encoded(
        name,
        listener.encoded_listener(
            name, options.https_address, options.https_port, chains, options, tls=True, any_family=True
        ),
    )


def _chain(graph_: Graph, options: Options) -> _Piece:
    def chain(read: Read, name: str) -> bytes | None:
        host = read(graph_.hosts, name)
        if host is None or host.https is None:
            return None
        # No API server lets a TLS host `*` pass; as a server name Envoy would refuse it.
        match = (
            pb.FilterChainMatch(transport_protocol="tls") if name == "*" else pb.FilterChainMatch(server_names=[name])
        )
        message = pb.FilterChain(filter_chain_match=match)
        own = extensions.of_chain(read, graph_, host.https.authorization)
        own["jwt_authn"] = jwt_authn.http_filter(
            host.https.jwt_providers, lambda keys: graph_.key_set(read, keys), names.upstream
        )
        try:
            traces = tracing.of_connection_managers(read, graph_, options)
            message.filters.append(_network_filter(name, host.https, own, traces, options))
        except ValueError:
            return None
        if host.https.secret is not None:
            context = _context(read, graph_, host.https, host.https.secret, options)
            if context is None:
                return None
            message.transport_socket.CopyFrom(tls.socket(context))
        return pb.serialize(message)

    return chain


def _network_filter(
    name: str,
    host: graph.SecureVirtualHost,
    own: dict[Own, pb.HttpFilter | None],
    traces: pb.HttpConnectionManager.Tracing | None,
    options: Options,
) -> pb.Filter:
    if host.tcp_proxy is not None:
        return tcp_proxy.network_filter(host.tcp_proxy, options)
    manager = hcm.connection_manager(
        options,
        stat_prefix=names.INGRESS_HTTPS,
        access_log_path=options.https_access_log,
        routes=pb.Rds(route_config_name=names.https_route_configuration(name), config_source=config_source.CLASSIC),
        filters=http_filters("https", options, own),
        tracing=traces,
    )
    if host.client_validation is not None and host.client_validation.forwarded is not None:
        client_certificates.forward(manager, host.client_validation.forwarded)
    return hcm.network_filter(manager)


def _context(
    read: Read, graph_: Graph, host: graph.SecureVirtualHost, secret_: Ref, options: Options
) -> pb.DownstreamTlsContext | None:
    context = tls.downstream(
        _secret_name(read(graph_.serving_secrets, secret_)),
        config_source.CLASSIC,
        options,
        min_tls=host.min_tls,
        max_tls=host.max_tls,
        alpn=() if host.tcp_proxy is not None else None,
    )
    if (clients := host.client_validation) is not None:
        authority = read(graph_.ca_bundles, clients.ca_secret) if clients.ca_secret else b""
        revoked = read(graph_.revocation_lists, clients.crl_secret) if clients.crl_secret else b""
        if isinstance(authority, Invalid) or isinstance(revoked, Invalid):
            return None
        client_certificates.ask_inline(context, clients, authority, revoked)
    return context


class _Fallback:
    """The hosts that clients reach without saying which one they want, and the chain that serves them (§4.10)."""

    def __init__(self, engine: Engine, graph_: Graph, options: Options) -> None:
        self._graph = graph_
        self._options = options
        self._hosts: Index[None, str] = engine.index("classic fallback hosts", graph_.hosts, _fallback_hosts)

    def chain(self, read: Read) -> list[bytes]:
        """None or one: the last of its listener, with the certificate of the first host by name."""
        hosts = read(self._hosts, None)
        host = read(self._graph.hosts, min(hosts)) if hosts else None
        if host is None or host.https is None or host.https.fallback is None:
            return []
        manager = hcm.connection_manager(
            self._options,
            stat_prefix=names.INGRESS_HTTPS,
            access_log_path=self._options.https_access_log,
            routes=pb.Rds(route_config_name=names.INGRESS_FALLBACK, config_source=config_source.CLASSIC),
            any_codec=True,
            tracing=tracing.of_connection_managers(read, self._graph, self._options),
            filters=http_filters(
                "fallback", self._options, extensions.of_chain(read, self._graph, host.https.authorization)
            ),
        )
        context = tls.downstream(
            _secret_name(read(self._graph.serving_secrets, host.https.fallback)),
            config_source.CLASSIC,
            self._options,
            min_tls=self._options.min_tls,
            max_tls=self._options.max_tls,
        )
        chain = pb.FilterChain(
            name=_FALLBACK_CHAIN,
            filter_chain_match=pb.FilterChainMatch(transport_protocol="tls"),
            filters=[hcm.network_filter(manager)],
            transport_socket=tls.socket(context),
        )
        return [pb.serialize(chain)]

    def routes(self, read: Read) -> Resource | None:
        virtual_hosts = []
        for name in sorted(read(self._hosts, None), key=order.virtual_host):
            host = read(self._graph.hosts, name)
            if host is not None and host.https is not None and host.https.routes:
                with suppress(ValueError):  # its own RouteConfiguration is withheld with the reason
                    virtual_hosts.append(
                        virtualhost.virtual_host(name, host.https.routes, host.https.policies, secure=True)
                    )
        name = names.INGRESS_FALLBACK
        return resource(name, virtualhost.route_configuration(name, virtual_hosts)) if virtual_hosts else None


def _fallback_hosts(name: str, host: graph.Host) -> Iterator[tuple[None, str]]:
    if host.https is not None and host.https.fallback is not None:
        yield None, name


# --- secrets ------------------------------------------------------------------------------------------------------


def _secrets(engine: Engine, graph_: Graph, options: Options) -> _Resources:
    """The certificates that TLS hosts serve with, under names that their content decides."""
    client = graph_.options.client_certificate
    uses = partial(_secrets_in_use, client=client)
    in_use: Index[Ref, None] = engine.index("serving secrets in use", graph_.hosts, uses)

    def served(read: Read, ref: Ref) -> Resource | None:
        serving = read(graph_.serving_secrets, ref)
        if not isinstance(serving, ServingSecret):
            return None
        name = names.secret(ref, serving.certificate)
        return resource(name, secret.tls_certificate(name, serving.certificate, serving.private_key))

    by_ref: Collection[Ref, Resource] = engine.collection("classic secrets by object", (in_use,), served)
    by_name: Index[str, Resource] = engine.index("classic secrets by name", by_ref, lambda _, one: ((one.name, one),))
    own = metrics.secrets(options.stats_tls)

    def one(read: Read, name: str) -> Resource:
        return own.get(name) or min(read(by_name, name), key=lambda found: found.version)

    return engine.collection("classic secrets", (by_name, frozenset(own)), one)


def _secrets_in_use(_: str, host: graph.Host, *, client: Ref | None) -> Iterator[tuple[Ref, None]]:
    """`client`, what Envoy shows to upstreams, as soon as there is one (§4.13)."""
    for secret_ in (host.https.secret, host.https.fallback) if host.https is not None else ():
        if secret_ is not None:
            yield secret_, None
    if client is not None and host.clusters:
        yield client, None
