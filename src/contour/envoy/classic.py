"""The reference's own shape (envoy.md §2): for its bootstrap, its command line and comparison with it.

One RouteConfiguration for all plain hosts and one for each TLS host, one filter chain for each TLS host, certificates
under names that change with their content. Listeners and `ingress_http` are O(hosts) by nature: they are joined from
pieces that are serialised already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from contour.api.meta import Ref
from contour.dag import graph
from contour.dag.build import Graph
from contour.dag.secrets import ServingSecret
from contour.envoy import (
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
    tls,
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
_Piece = Callable[[Read, str], bytes | None]  # one host's part of an aggregate, serialised


def attach(engine: Engine, graph_: Graph, options: Options) -> Shape:
    """Declare the shape's collections; the next commit computes them.

    Nothing is withheld from this shape but what no message can hold (a weight of more than 32 bits, say).
    """
    hosts = graph_.hosts
    plain: Collection[str, bytes] = engine.collection("classic virtual hosts", (hosts,), _plain(hosts))
    chains: Collection[str, bytes] = engine.collection("classic filter chains", (hosts,), _chain(graph_, options))
    listeners = _listeners(engine, graph_, plain, chains, options)
    return {
        CLUSTER: upstreams.clusters(engine, graph_, lambda _, name, one: _cluster(name, one, options), names.upstream),
        ENDPOINTS: upstreams.assignments(engine, graph_),
        SECRET: _secrets(engine, graph_, options),
        LISTENER: listeners,
        ROUTE: _routes(engine, hosts, plain),
        RUNTIME: runtime.attach(engine, options, listeners),
    }


def _cluster(name: str, one: upstreams.Source, options: Options) -> Resource | Withheld:
    try:
        if isinstance(one, graph.DnsCluster):
            return resource(name, dns_cluster(one, name))
        if isinstance(one, graph.ExtensionCluster):
            return resource(name, extension_cluster(one, options, config_source.CLASSIC))
        return resource(name, cluster(one, options, config_source.CLASSIC))
    except ValueError as error:
        return Withheld(name, str(error))


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


def _routes(engine: Engine, hosts: Collection[str, graph.Host], plain: Collection[str, bytes]) -> _Resources:
    """`ingress_http` is there even when no host is."""
    secure: Index[str, str] = engine.index("classic route configurations", hosts, _secure_names)

    def configuration(read: Read, name: str) -> Resource | Withheld | None:
        if name == names.INGRESS_HTTP:
            pieces = read(plain.all, None)
            ordered = [pieces[host] for host in sorted(pieces, key=order.virtual_host)]
            return _encoded(name, virtualhost.encoded_route_configuration(name, ordered))
        (host_name,) = read(secure, name)
        host = read(hosts, host_name)
        if host is None or host.https is None:
            return None
        try:
            virtual_host = virtualhost.virtual_host(host_name, host.https.routes, host.https.policies, secure=True)
        except ValueError as error:
            return Withheld(name, f"{host_name}: {error}", host.roots)
        return resource(name, virtualhost.route_configuration(name, [virtual_host]))

    return engine.collection("classic routes", (frozenset((names.INGRESS_HTTP,)), secure), configuration)


def _secure_names(name: str, host: graph.Host) -> Iterator[tuple[str, str]]:
    if host.https is not None:
        yield names.https_route_configuration(name), name


# --- listeners ----------------------------------------------------------------------------------------------------


def _listeners(
    engine: Engine, graph_: Graph, plain: Collection[str, bytes], chains: Collection[str, bytes], options: Options
) -> _Resources:
    own = {
        message.name: resource(message.name, message) for message in static.listeners(options, config_source.CLASSIC)
    }
    any_plain: Derived[None, bool] = engine.derived("any plain host", lambda read, _: bool(read(plain.all, None)))

    def one(read: Read, name: str) -> Resource | None:
        if name == names.INGRESS_HTTP:
            if not read(any_plain, None):
                return None
            return _plain_listener(extensions.of_plain_listener(read, graph_, own_timeout=False), options)
        if name == names.INGRESS_HTTPS:
            pieces = read(chains.all, None)
            ordered = [pieces[host] for host in sorted(pieces, key=order.filter_chain)]
            return _secure_listener(ordered, options) if ordered else None
        return own[name]

    keys = frozenset((names.INGRESS_HTTP, names.INGRESS_HTTPS, *own))
    return engine.collection("classic listeners", (keys,), one)


def _plain_listener(own: dict[Own, pb.HttpFilter | None], options: Options) -> Resource:
    name = names.INGRESS_HTTP
    manager = hcm.connection_manager(
        options,
        stat_prefix=name,
        access_log_path=options.http_access_log,
        routes=pb.Rds(route_config_name=name, config_source=config_source.CLASSIC),
        filters=http_filters("http", options, own),
    )
    chain = pb.FilterChain(filters=[hcm.network_filter(manager)])
    return resource(name, listener.listener(name, options.http_address, options.http_port, [chain], options, tls=False))


def _secure_listener(chains: list[bytes], options: Options) -> Resource:
    name = names.INGRESS_HTTPS
    return _encoded(
        name, listener.encoded_listener(name, options.https_address, options.https_port, chains, options, tls=True)
    )


def _chain(graph_: Graph, options: Options) -> _Piece:
    hosts, secrets = graph_.hosts, graph_.serving_secrets

    def chain(read: Read, name: str) -> bytes | None:
        host = read(hosts, name)
        if host is None or host.https is None or host.https.secret is None:
            return None
        serving = read(secrets, host.https.secret)
        if not isinstance(serving, ServingSecret):
            return None
        own = extensions.of_chain(read, graph_, host.https.authorization)
        own["jwt_authn"] = jwt_authn.http_filter(
            host.https.jwt_providers, lambda keys: graph_.key_set(read, keys), names.upstream
        )
        return pb.serialize(_filter_chain(name, host.https, serving, own, options))

    return chain


def _filter_chain(
    name: str,
    host: graph.SecureVirtualHost,
    serving: ServingSecret,
    own: dict[Own, pb.HttpFilter | None],
    options: Options,
) -> pb.FilterChain:
    manager = hcm.connection_manager(
        options,
        stat_prefix=names.INGRESS_HTTPS,
        access_log_path=options.https_access_log,
        routes=pb.Rds(route_config_name=names.https_route_configuration(name), config_source=config_source.CLASSIC),
        filters=http_filters("https", options, own),
    )
    return pb.FilterChain(
        filter_chain_match=pb.FilterChainMatch(server_names=[name]),
        filters=[hcm.network_filter(manager)],
        transport_socket=tls.downstream(
            names.secret(serving.ref, serving.certificate),
            config_source.CLASSIC,
            options,
            min_tls=host.min_tls,
            max_tls=host.max_tls,
        ),
    )


# --- secrets ------------------------------------------------------------------------------------------------------


def _secrets(engine: Engine, graph_: Graph, options: Options) -> _Resources:
    """The certificates that TLS hosts serve with, under names that their content decides."""
    in_use: Index[Ref, None] = engine.index("serving secrets in use", graph_.hosts, _secrets_in_use)

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


def _secrets_in_use(_: str, host: graph.Host) -> Iterator[tuple[Ref, None]]:
    if host.https is not None and host.https.secret is not None:
        yield host.https.secret, None
