"""The `scoped` shape, for Envoys that our bootstrap started (envoy.md §2): a change of a host is a change of its scope.

Each exact host is a scope with its routes inline, wildcard hosts of a group share one, TLS hosts share filter chains
by group. Listeners change only with the set of chains. What Envoy would refuse is withheld, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from contour.api.meta import ObjectRef, Ref
from contour.dag import graph
from contour.dag.build import Graph
from contour.dag.secrets import ServingSecret, envoy_accepts, reads_as_authorities, reads_as_revocation_lists
from contour.dag.verdict import Invalid
from contour.envoy import (
    accesslog,
    client_certificates,
    config_source,
    extensions,
    hcm,
    listener,
    metrics,
    names,
    pb,
    redirects,
    refusals,
    runtime,
    scopes,
    secret,
    selection,
    static,
    tcp_proxy,
    tls,
    tracing,
    upstreams,
)
from contour.envoy.cluster import cluster, dns_cluster, extension_cluster, weigh_services
from contour.envoy.filters import cookies
from contour.envoy.filters.order import Own, http_filters
from contour.envoy.groups import Chain, Group, Groups, Member
from contour.envoy.jwt import Providers
from contour.envoy.options import Options
from contour.envoy.refusals import Refusal
from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    RUNTIME,
    SCOPED_ROUTE,
    SECRET,
    Resource,
    Withheld,
    resource,
    version_of,
)
from contour.envoy.upstreams import Shape
from contour.reactive import Collection, Engine, Index, Read

_ANY_HOST = selection.ANY_HOST

_Resources = Collection[str, Resource | Withheld]

# A wildcard host has no scope of its own. If it is withheld, that is reported under this name: <group>/*/<host>.
_PIECE = "*/"
# A filter chain is no resource either: <this><server name>.
_WITHHELD_CHAIN = "ingress_https/"


def attach(engine: Engine, graph_: Graph, options: Options) -> Shape:
    """Declare the shape's collections; the next commit computes them."""
    groups = Groups(engine, graph_, options)
    providers = Providers(engine, graph_)
    listeners = _listeners(engine, graph_, groups, providers, options)
    return {
        CLUSTER: _clusters(engine, graph_, options),
        ENDPOINTS: upstreams.assignments(engine, graph_, refusals.drop_names, weighed=True),
        SECRET: _secrets(engine, graph_, options),
        LISTENER: listeners,
        SCOPED_ROUTE: _Scopes(
            engine, graph_, groups, providers, origins=accesslog.tells_origins(options.access_log)
        ).resources,
        RUNTIME: runtime.attach(engine, options, listeners),
    }


# --- scopes --------------------------------------------------------------------------------------------------------


class _Scopes:
    """The scopes of all groups. A scope's name is its key; host names in it are in lower case."""

    def __init__(self, engine: Engine, graph_: Graph, groups: Groups, providers: Providers, *, origins: bool) -> None:
        self._origins = origins
        self._hosts = graph_.hosts
        self._groups = groups
        self._providers = providers
        self._plain: Index[str, str] = engine.index("plain hosts by name", graph_.hosts, _plain_names)
        self._plain_wildcards: Index[str, str] = engine.index("plain wildcard hosts", graph_.hosts, _plain_wildcards)
        self._elsewhere: Index[str, str] = engine.index("wildcard hosts elsewhere", groups.misdirected, _wildcards)
        self._pieces: Collection[str, bytes | Withheld] = engine.collection(
            "virtual hosts of wildcard hosts",
            (
                engine.index("plain pieces", graph_.hosts, _plain_pieces),
                engine.index("TLS pieces", groups.members, _secure_pieces),
            ),
            self._piece,
        )
        self.resources: _Resources = engine.collection(
            "scopes",
            (
                engine.index("plain scopes", graph_.hosts, _plain_scopes),
                engine.index("TLS scopes", groups.members, _secure_scopes),
                engine.index("scopes of hosts elsewhere", groups.misdirected, _scopes_elsewhere),
                engine.index("withheld wildcard hosts", self._pieces, _withheld),
            ),
            self._scope,
        )

    def _scope(self, read: Read, name: str) -> Resource | Withheld | None:
        group, _, host = name.partition("/")
        if host == _ANY_HOST:
            return self._of_wildcards(read, name, group)
        if host.startswith(_PIECE):
            piece = read(self._pieces, name)
            return piece if isinstance(piece, Withheld) else None
        served = self._served(read, group, host)
        if served is None:
            return scopes.elsewhere(name)
        if group != selection.HTTP and (refusal := self._refusal(read, served[0])):
            return Withheld(name, refusal, served[0].roots)
        return scopes.exact(name, *served, secure=group != selection.HTTP, origins=self._origins)

    def _of_wildcards(self, read: Read, name: str, group: str) -> Resource:
        plain = group == selection.HTTP
        hosts = sorted(read(self._plain_wildcards if plain else self._groups.wildcard_hosts, group))
        pieces = [read(self._pieces, f"{group}/{_PIECE}{host}") for host in hosts]
        encoded = [piece for piece in pieces if isinstance(piece, bytes)]
        if not plain:
            # Who comes by the fallback certificate named no host that another answer could be owed to.
            others = frozenset() if read(self._groups.fallbacks, group) else frozenset((_ANY_HOST,))
            domains = sorted(read(self._elsewhere, group) | others)
            encoded += [pb.serialize(scopes.misdirected(domain)) for domain in domains]
        return scopes.of_wildcards(name, encoded)

    def _piece(self, read: Read, name: str) -> bytes | Withheld | None:
        group, _, host = name.partition("/" + _PIECE)
        served = self._served(read, group, host)
        if served is None:
            return None
        if group != selection.HTTP and (refusal := self._refusal(read, served[0])):
            return Withheld(name, refusal, served[0].roots)
        scope = f"{group}/{_ANY_HOST}"
        piece = scopes.wildcard(scope, *served, secure=group != selection.HTTP, origins=self._origins)
        return Withheld(name, piece.reason, piece.objects) if isinstance(piece, Refusal) else piece

    def _refusal(self, read: Read, host: graph.Host) -> str | None:
        """Of what a TLS host's chain would have for it."""
        for provider in host.https.jwt_providers if host.https else ():
            if refusal := self._providers.refusal(read, provider):
                return f"{host.name}: {refusal}"
        return None

    def _served(self, read: Read, group: str, name: str) -> tuple[graph.Host, tuple[graph.Route, ...]] | None:
        """A host with its routes, if it is this group that serves it."""
        if group == selection.HTTP:
            written = read(self._plain, name)
            host = read(self._hosts, min(written)) if written else None
            return (host, host.http.routes) if host and host.http else None
        member = read(self._groups.members, name)
        if member is None or member.group_named(group) is None:
            return None
        host = self._groups.host(read, name)
        return (host, host.https.routes) if host and host.https else None


def _scope_name(group: str, host: str) -> str:
    return f"{group}/{_ANY_HOST if host.startswith(_ANY_HOST) else host}"


def _plain_names(name: str, host: graph.Host) -> Iterable[tuple[str, str]]:
    if host.http is not None:
        yield name.lower(), name


def _plain_scopes(name: str, host: graph.Host) -> Iterable[tuple[str, None]]:
    if host.http is not None:
        yield _scope_name(selection.HTTP, name.lower()), None


def _plain_wildcards(name: str, host: graph.Host) -> Iterable[tuple[str, str]]:
    if host.http is not None and name.startswith(_ANY_HOST):
        yield selection.HTTP, name.lower()


def _plain_pieces(name: str, host: graph.Host) -> Iterable[tuple[str, None]]:
    if host.http is not None and name.startswith(_ANY_HOST):
        yield f"{selection.HTTP}/{_PIECE}{name.lower()}", None


def _secure_scopes(name: str, member: Member) -> Iterable[tuple[str, None]]:
    for group in (member.group, member.fallback):
        if group is not None and not group.tcp:
            yield _scope_name(group.name, name), None


def _secure_pieces(name: str, member: Member) -> Iterable[tuple[str, None]]:
    if name.startswith(_ANY_HOST):
        for group in (member.group, member.fallback):
            if group is not None and not group.tcp:
                yield f"{group.name}/{_PIECE}{name}", None


def _scopes_elsewhere(name: str, groups: tuple[str, ...]) -> Iterable[tuple[str, None]]:
    for group in groups:
        yield _scope_name(group, name), None


def _wildcards(name: str, groups: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    if name.startswith(_ANY_HOST):
        for group in groups:
            yield group, name


def _withheld(name: str, piece: bytes | Withheld) -> Iterable[tuple[str, None]]:
    if isinstance(piece, Withheld):
        yield name, None


# --- listeners -----------------------------------------------------------------------------------------------------


def _listeners(engine: Engine, graph_: Graph, groups: Groups, providers: Providers, options: Options) -> _Resources:
    own = {message.name: resource(message.name, message) for message in static.listeners(options, config_source.ADS)}
    plain: Index[str, None] = engine.index("plain listener", graph_.hosts, _plain_listener_of)
    secure: Index[str, None] = engine.index("TLS listener", groups.chains, lambda _, __: ((names.INGRESS_HTTPS, None),))
    chains: Collection[str, bytes | Withheld] = engine.collection(
        "filter chains, serialised", (groups.chains,), _chain(graph_, groups, providers, options)
    )
    withheld: Index[str, str] = engine.index("withheld filter chains", chains, _withheld_chain)

    def one(read: Read, name: str) -> Resource | Withheld | None:
        if name == names.INGRESS_HTTP:
            plain_filters = extensions.of_plain_listener(
                read, graph_, own_timeout=True, private_header=selection.HEADER
            )
            return _plain_listener(plain_filters, tracing.of_connection_managers(read, graph_, options), options)
        if name == names.INGRESS_HTTPS:
            found = read(chains.all, None)
            pieces = [piece for server_name in sorted(found) if isinstance(piece := found[server_name], bytes)]
            return _secure_listener(pieces, options) if pieces else None
        for server_name in read(withheld, name):
            refused = read(chains, server_name)
            return refused if isinstance(refused, Withheld) else None
        return own[name]

    return engine.collection("listeners", (plain, secure, withheld, frozenset(own)), one)


def _plain_listener_of(_: str, host: graph.Host) -> Iterable[tuple[str, None]]:
    if host.http is not None:
        yield names.INGRESS_HTTP, None


def _plain_listener(
    own: Mapping[Own, pb.HttpFilter | None], traces: pb.HttpConnectionManager.Tracing | None, options: Options
) -> Resource:
    """One chain, which has the second look from the start: adding it later would drain every connection."""
    name = names.INGRESS_HTTP
    manager = hcm.connection_manager(
        options,
        stat_prefix=name,
        access_log_path=options.http_access_log,
        routes=selection.SCOPED_ROUTES,
        filters=[selection.second_look(), *http_filters("scoped_http", options, own)],
        tracing=traces,
    )
    selection.set_group(manager, selection.HTTP, by_authority=True)
    chain = pb.FilterChain(filters=[hcm.network_filter(manager)])
    return resource(name, listener.listener(name, options.http_address, options.http_port, [chain], options, tls=False))


def _secure_listener(chains: Iterable[bytes], options: Options) -> Resource:
    name = names.INGRESS_HTTPS
    body = listener.encoded_listener(name, options.https_address, options.https_port, chains, options, tls=True)
    return Resource(name, version_of(body), body)


def _chain(
    graph_: Graph, groups: Groups, providers: Providers, options: Options
) -> Callable[[Read, str], bytes | Withheld | None]:
    def serialised(read: Read, server_name: str) -> bytes | Withheld | None:
        chain = read(groups.chains, server_name)
        if chain is None:
            return None
        if not chain.group.tcp:
            traces = tracing.of_connection_managers(read, graph_, options)
            requests = _requests(chain, _own_filters(read, graph_, providers, chain.group), traces, options)
            return pb.serialize(_filter_chain(chain, requests, options))
        host = groups.host(read, chain.group.tcp)
        if host is None or host.https is None or host.https.tcp_proxy is None:
            return None
        proxy = host.https.tcp_proxy
        try:
            connections = tcp_proxy.network_filter(proxy, options, names.unique_cluster)
        except ValueError as error:
            return Withheld(_WITHHELD_CHAIN + server_name, f"{host.name}: {error}", (proxy.origin, *host.roots))
        return pb.serialize(_filter_chain(chain, connections, options))

    return serialised


def _withheld_chain(server_name: str, piece: bytes | Withheld) -> Iterable[tuple[str, str]]:
    if isinstance(piece, Withheld):
        yield piece.name, server_name


def _own_filters(read: Read, graph_: Graph, providers: Providers, group: Group) -> dict[Own, pb.HttpFilter | None]:
    server = group.authorization
    if server is not None and refusals.of_authorization(server):
        server = None  # the hosts that ask for it are withheld
    return {
        "cookies": cookies.http_filter() if group.cookie_rewrites else None,
        "jwt_authn": providers.http_filter(read, group.jwt_providers),
        **extensions.of_chain(read, graph_, server, private_header=selection.HEADER),
    }


def _requests(
    chain: Chain,
    own: dict[Own, pb.HttpFilter | None],
    traces: pb.HttpConnectionManager.Tracing | None,
    options: Options,
) -> pb.Filter:
    manager = hcm.connection_manager(
        options,
        stat_prefix=names.INGRESS_HTTPS,
        access_log_path=options.https_access_log,
        routes=selection.SCOPED_ROUTES,
        any_codec=chain.group.fallback,
        filters=[
            *([selection.second_look()] if chain.second_look else ()),
            *http_filters("scoped_https", options, own),
        ],
        tracing=traces,
    )
    selection.set_group(manager, chain.group.name, by_authority=chain.group.fallback)
    if not chain.group.fallback:  # whose clients named no host that another connection could be for
        manager.local_reply_config.CopyFrom(selection.misdirected_without_scope())
    clients = chain.group.client_validation
    if clients is not None and clients.forwarded is not None:
        client_certificates.forward(manager, clients.forwarded)
    return hcm.network_filter(manager)


def _filter_chain(chain: Chain, filter_: pb.Filter, options: Options) -> pb.FilterChain:
    group = chain.group
    match = pb.FilterChainMatch(transport_protocol="tls")  # the fallback: whatever name is said, or none
    if chain.server_name:
        match = pb.FilterChainMatch(server_names=[chain.server_name])
    message = pb.FilterChain(name=chain.name, filter_chain_match=match, filters=[filter_])
    if group.secret is not None:
        context = tls.downstream(
            str(group.secret),
            config_source.ADS,
            options,
            min_tls=group.min_tls,
            max_tls=group.max_tls,
            alpn=() if group.tcp else None,
        )
        if group.client_validation is not None:
            client_certificates.ask(context, group.client_validation, config_source.ADS)
        message.transport_socket.CopyFrom(tls.socket(context))
    return message


# --- the rest ------------------------------------------------------------------------------------------------------


def _clusters(engine: Engine, graph_: Graph, options: Options) -> _Resources:
    origins: Index[str, ObjectRef] = engine.index("objects by cluster", graph_.hosts, _origins)
    client = str(graph_.options.client_certificate or "")

    def translate(read: Read, name: str, one: upstreams.Source) -> Resource | Withheld:
        try:
            if isinstance(one, graph.DnsCluster):
                message = dns_cluster(one, name, options)
                refusal = refusals.of_dns_cluster(message, one)
            elif isinstance(one, graph.ExtensionCluster):
                message = extension_cluster(one, options, config_source.ADS, client)
                weigh_services(message, one)
                refusal = refusals.of_upstream(message, one.idle_timeout, one.validation)
            else:
                message = cluster(one, options, config_source.ADS, client)
                message.name = name
                if one.follows_redirects:
                    redirects.set_filter(message)
                refusal = refusals.of_upstream(message, one.idle_timeout, one.validation)
        except ValueError as error:  # a number that no field of the message holds
            refusal = str(error)
        if refusal is None:
            return resource(name, message)
        if isinstance(one, graph.ExtensionCluster):
            return Withheld(name, refusal, (ObjectRef("ExtensionService", *one.ref),))
        return Withheld(name, refusal, tuple(sorted(read(origins, name))))

    return upstreams.clusters(engine, graph_, translate, names.scoped_upstream)


def _origins(_: str, host: graph.Host) -> Iterable[tuple[str, ObjectRef]]:
    if host.https is not None and host.https.tcp_proxy is not None:
        for backend in host.https.tcp_proxy.backends:
            yield names.unique_cluster(backend.cluster), host.https.tcp_proxy.origin
    for listed in (host.http, host.https):
        for route in listed.routes if listed else ():
            if isinstance(route.action, graph.Forward):
                clusters = [backend.cluster for backend in route.action.backends]
                clusters += [mirror.cluster for mirror in route.action.mirrors]
                for used in clusters:
                    yield names.scoped_upstream(used), route.origin
    for server in host.dns_clusters:
        for root in host.roots:
            yield names.scoped_upstream(server), root


def _secrets(engine: Engine, graph_: Graph, options: Options) -> _Resources:
    """Under the object's name, so that a rotation touches nothing else."""
    client = graph_.options.client_certificate
    used: Index[str, None] = engine.index("secrets by name", graph_.hosts, partial(_secret_names, client=client))
    asked: Index[str, None] = engine.index(
        "secrets of extension services", graph_.extensions, partial(_extension_secrets, client=client)
    )
    users: Index[str, ObjectRef] = engine.index("users of secrets", graph_.hosts, _secret_users)
    trusts: Index[str, graph.ClientValidation] = engine.index("trust by name", graph_.hosts, _trusts)

    own = metrics.secrets(options.stats_tls)

    def one(read: Read, name: str) -> Resource | Withheld | None:
        if name in own:
            return own[name]
        if trust := read(trusts, name):
            found = _trust(read, graph_, name, next(iter(trust)))
            return Withheld(name, found, tuple(sorted(read(users, name)))) if isinstance(found, str) else found
        ref = Ref(*name.split("/", 1))
        serving = read(graph_.serving_secrets, ref)
        if not isinstance(serving, ServingSecret):
            return None
        if refusal := envoy_accepts(serving):
            return Withheld(name, f"Secret {name}: {refusal.text}", tuple(sorted(read(users, name))))
        return resource(name, secret.tls_certificate(name, serving.certificate, serving.private_key))

    return engine.collection("secrets", (used, asked, trusts, frozenset(own)), one)


def _trust(read: Read, graph_: Graph, name: str, clients: graph.ClientValidation) -> Resource | str | None:
    """What clients' certificates are held against; a text if Envoy would refuse it."""
    authority = read(graph_.ca_bundles, clients.ca_secret) if clients.ca_secret else b""
    revoked = read(graph_.revocation_lists, clients.crl_secret) if clients.crl_secret else b""
    if isinstance(authority, Invalid) or isinstance(revoked, Invalid):
        return None
    if authority and not reads_as_authorities(authority):
        return f"Secret {clients.ca_secret}: a CA certificate cannot be read"
    if revoked and not authority:
        return f"Secret {clients.crl_secret}: Failed to load CRL from <inline> without trusted CA"
    if revoked and not reads_as_revocation_lists(revoked):
        return f"Secret {clients.crl_secret}: a list of revoked certificates cannot be read"
    return resource(name, client_certificates.secret(name, authority, revoked))


def _secret_names(_: str, host: graph.Host, *, client: Ref | None) -> Iterable[tuple[str, None]]:
    """`client`: what Envoy shows to upstreams, as soon as there is one."""
    for used in (host.https.secret, host.https.fallback) if host.https is not None else ():
        if used is not None:
            yield str(used), None
    if client is not None and host.clusters:
        yield str(client), None


def _extension_secrets(_: object, extension: graph.Extension, *, client: Ref | None) -> Iterable[tuple[str, None]]:
    """Without a Service's cluster too: in the reference nobody gets an answer from the extension then (§5, quirk 17)."""
    if client is not None and extension.cluster is not None:
        yield str(client), None


def _trusts(_: str, host: graph.Host) -> Iterable[tuple[str, graph.ClientValidation]]:
    clients = host.https.client_validation if host.https is not None else None
    if clients is not None and (name := client_certificates.secret_name(clients)):
        yield name, clients


def _secret_users(_: str, host: graph.Host) -> Iterable[tuple[str, ObjectRef]]:
    names_ = [name for name, _ in (*_secret_names("", host, client=None), *_trusts("", host))]
    for root in host.roots:
        for name in names_:
            yield name, root
