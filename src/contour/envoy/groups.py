"""Groups of TLS hosts, the server names of their filter chains, and who may answer for which name (envoy.md §2).

Hosts of one group share every setting that shapes their filter chain: the serving secret (by reference), the TLS
versions, which clients may connect. A group's name is part of its hosts' scope keys, so that a connection which one
group's chain accepted reaches only hosts of that group.

Whatever else shapes a chain becomes a field of `Group`: with a default that is what most hosts have, set from the host
in `_group`, read where `contour.envoy.scoped` builds the chain. A value is a frozen struct (with `omit_defaults`), a
tuple or a scalar, and never the content of a Secret: refer to it. (Of a key set there is a digest, too: its keys are
part of the chain, and over a connection whose chain has others, revoked ones perhaps, the host is not to be had.) The
group's name covers every field that is not the
default, so that hosts which do not use a feature keep their group, their chain and their connections when the feature
comes.

Server names come from configured hosts alone, never from what a certificate lists: anybody can write a certificate
with somebody else's name in it. (The any-host `*` is never served over TLS, operations.md §5.2.) Adding a host behind
a wildcard name that its group has already changes no chain: what is read here are sets of entries that many hosts
share.

Two kinds of groups are not as the others. A host whose connections are proxied as such (`tcp`) is a group of its own,
which has no scopes and never takes a wildcard name of its certificate. Clients that say no server name, or one that no
chain has, come to the group of the fallback certificate (`fallback`), which reaches those hosts alone that asked for
it, by the host of the request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from contour.api.meta import ObjectRef, Ref
from contour.dag.build import Graph
from contour.dag.graph import (
    Authorization,
    ClientValidation,
    Forward,
    Host,
    JwtProvider,
    LocalKeys,
    RemoteKeys,
    Route,
    SecureVirtualHost,
)
from contour.dag.policy import authorization
from contour.dag.secrets import ServingSecret
from contour.envoy.keysets import usable
from contour.envoy.options import Options
from contour.reactive import Collection, Derived, Engine, Index, Read

_DAY = len("2026-01-31")
_DIGEST = 16  # hexadecimal digits
_UNSAFE = re.compile(r"[^a-z0-9.-]")  # in a scope key: `:` ends it, `/` ends the group, `%` begins a format


class Group(NamedTuple):
    """What a filter chain is for. Equal settings are one group, whoever configured the hosts."""

    secret: Ref | None  # None: TLS is passed through, the versions say nothing
    min_tls: str
    max_tls: str
    client_validation: ClientValidation | None = None
    jwt_providers: tuple[JwtProvider, ...] = ()
    key_sets: tuple[str, ...] = ()  # digests of those that are in Secrets, in the order of the providers
    cookie_rewrites: bool = False
    authorization: Authorization | None = None
    tcp: str = ""  # the host whose connections are proxied as such
    fallback: bool = False

    @property
    def name(self) -> str:
        """Readable, stable, and never the `http` of the plain listener: it has a dot."""
        return _name(self)


class Member(NamedTuple):
    """A TLS host as its group sees it. `claim`: the wildcard server name that would cover it, or the host itself.

    `fallback`: the second group that serves it.
    """

    group: Group
    claim: str
    created: str
    root: ObjectRef | None
    fallback: Group | None = None

    def group_named(self, name: str) -> Group | None:
        """The group of this name, if it is one that serves the host."""
        return next((group for group in (self.group, self.fallback) if group is not None and group.name == name), None)


class Place(NamedTuple):
    """The chain that accepts connections for a host."""

    group: Group
    server_name: str


class Chain(NamedTuple):
    """`server_name`: "" for all that no other chain has. `second_look`: there are hosts that the first selection of a
    scope misses, because they are wildcards or because what it goes by may be in upper case.
    """

    group: Group
    server_name: str
    second_look: bool

    @property
    def name(self) -> str:
        return f"{self.group.name}/{self.server_name}" if self.server_name else "fallback-certificate"


class _Claim(NamedTuple):
    group: Group
    configured: bool  # the name is a host of the group, not only a name in its certificate


class Groups:
    """Declared on an engine. Keys of `members`, `places` and `misdirected` are host names in lower case."""

    def __init__(self, engine: Engine, graph: Graph, options: Options) -> None:
        self._graph = graph
        self._options = options
        asked = graph.options.authorization
        self._usual = authorization.of_listener(asked, own_timeout=True) if asked is not None else None

        self._written: Index[str, str] = engine.index("TLS hosts by name", graph.hosts, _by_name)
        used: Index[Ref, bool] = engine.index("serving secrets in use", graph.hosts, _secret)
        # Everything below reads what certificates say through indexes: a rotation that changes no name stops there.
        self.certificates: Collection[Ref, tuple[str, ...]] = engine.collection(
            "wildcard names of certificates", (used,), self._wildcards
        )
        self._named: Index[tuple[Ref, str], bool] = engine.index("wildcard names by secret", self.certificates, _each)

        self.members: Collection[str, Member] = engine.collection("TLS hosts", (self._written,), self._member)
        self._claims: Index[str, _Claim] = engine.index("claims of server names", self.members, _claims)
        self._days: Index[tuple[Group, str], str] = engine.index("days of claims", self.members, _days)
        self._ages: Index[tuple[Group, str, str], tuple[str, ObjectRef | None]] = engine.index(
            "ages of claims", self.members, _ages
        )
        self._oldest: Derived[tuple[Group, str], tuple[str, tuple[str, ...]]] = engine.derived(
            "oldest root of a claim", self._oldest_root
        )
        # A collection, so that the hosts below a name hear of it only when its owner is another one.
        self._owners: Collection[str, Group] = engine.collection("owners of server names", (self._claims,), self._owner)
        self.wildcard_hosts: Index[str, str] = engine.index("wildcard hosts by group", self.members, _wildcard_hosts)
        # For the chains: each hears of its own name alone.
        self._is_wildcard_host: Index[tuple[str, str], bool] = engine.index(
            "wildcard hosts by group and name", self.members, _each_wildcard_host
        )
        self.fallbacks: Index[str, Group] = engine.index("fallback groups by name", self.members, _fallbacks)
        self._fallback_chains: Index[str, Group] = engine.index("fallback chains", self.members, _fallback_chain)
        self._fallback_wildcards: Index[str, Group] = engine.index(
            "fallback wildcard hosts", self.members, _fallback_wildcards
        )

        self.places: Collection[str, Place] = engine.collection("places of TLS hosts", (self.members,), self._place)
        self._answering: Index[str, Group] = engine.index("groups by server name", self.places, _server_name)
        self.chains: Collection[str, Chain] = engine.collection(
            "filter chains", (self._answering, self._fallback_chains), self._chain
        )
        self.misdirected: Collection[str, tuple[str, ...]] = engine.collection(
            "groups that others' connections may be held by", (self.members,), self._others
        )

    def host(self, read: Read, name: str) -> Host | None:
        """The host of a lower-case name. Two spellings can meet only where nobody validated them: one serves."""
        written = read(self._written, name)
        return read(self._graph.hosts, min(written)) if written else None

    def _wildcards(self, read: Read, ref: Ref) -> tuple[str, ...] | None:
        secret = read(self._graph.serving_secrets, ref)
        if not isinstance(secret, ServingSecret):
            return None
        return tuple(sorted({name for name in secret.dns_names if _is_wildcard(name)})) or None

    def _member(self, read: Read, name: str) -> Member | None:
        host = self.host(read, name)
        if host is None or host.https is None or not _is_server_name(name) or _trusts_nobody(host.https):
            return None
        group = _group(name, host.https, self._key_sets(read, host.https), self._options)
        wildcard = _covering(name) if not group.tcp else None
        covered = wildcard and group.secret and read(self._named, (group.secret, wildcard))
        root = host.roots[0] if host.roots else None
        fallback = _fallback_group(host.https, self._options) if not group.tcp else None
        return Member(group, wildcard if wildcard and covered else name, host.created or "", root, fallback)

    def _key_sets(self, read: Read, host: SecureVirtualHost) -> tuple[str, ...]:
        found = [one.keys for one in host.jwt_providers if isinstance(one.keys, LocalKeys)]
        return tuple(_digest(self._graph.key_set(read, keys)) for keys in found)

    def _owner(self, read: Read, server_name: str) -> Group | None:
        """The group that configures the name as a host, else the one with the oldest root object."""
        claims = read(self._claims, server_name)
        for claim in claims:
            if claim.configured:
                return claim.group
        groups = [claim.group for claim in claims]
        if len(groups) < 2:
            return groups[0] if groups else None
        return min(groups, key=lambda group: (read(self._oldest, (group, server_name)), group.name))

    def _oldest_root(self, read: Read, claim: tuple[Group, str]) -> tuple[str, tuple[str, ...]]:
        """Only asked for when two groups claim a name. By days first, so that few entries are looked at."""
        day = min(read(self._days, claim))
        created, root = min(read(self._ages, (*claim, day)), key=lambda age: (age[0], age[1] or ()))
        return created, root or ()

    def _place(self, read: Read, name: str) -> Place | None:
        member = read(self.members, name)
        if member is None:
            return None
        if member.claim != name and read(self._owners, member.claim) == member.group:
            return Place(member.group, member.claim)
        return Place(member.group, name)

    def _chain(self, read: Read, server_name: str) -> Chain | None:
        """Whether or not the secret is usable: without one the chain refuses handshakes, with an earlier one it serves,
        as the last good version stays.
        """
        answering = read(self._answering if server_name else self._fallback_chains, server_name)
        group = min(answering, key=_name)
        look = group.fallback or (not group.tcp and bool(read(self._is_wildcard_host, (group.name, server_name))))
        return Chain(group, server_name, second_look=look)

    def _others(self, read: Read, name: str) -> tuple[str, ...] | None:
        """Names of the other groups whose chains may hold a connection that was opened for this host.

        Its own old chain too: before its features it had none of its own, or all but the check of clients.
        """
        member = read(self.members, name)
        if member is None:
            return None
        indexes = (self._answering, self._fallback_wildcards)
        groups = {group for wildcard in _suffixes(name) for index in indexes for group in read(index, wildcard)}
        if (secret := member.group.secret) is not None:
            groups.add(Group(secret, member.group.min_tls, member.group.max_tls, authorization=self._usual))
            groups.add(member.group._replace(client_validation=None))
        others = groups - {member.group, member.fallback}
        return tuple(sorted(group.name for group in others if not group.tcp)) or None


def _trusts_nobody(host: SecureVirtualHost) -> bool:
    """Clients are to be checked and there is nothing to check them against: Envoy would let everybody in, or refuse a
    list of revoked certificates that no authority's certificates come with.
    """
    clients = host.client_validation
    if clients is None or clients.ca_secret is not None:
        return False
    return not clients.unchecked or clients.crl_secret is not None


def _group(name: str, host: SecureVirtualHost, key_sets: tuple[str, ...], options: Options) -> Group:
    tcp = name if host.tcp_proxy is not None else ""
    if host.secret is None:
        return Group(None, "", "", tcp=tcp)
    return Group(
        host.secret,
        max(options.min_tls, host.min_tls),
        min(options.max_tls, host.max_tls),
        client_validation=host.client_validation,
        jwt_providers=tuple(_by_reference(provider) for provider in host.jwt_providers),
        key_sets=key_sets,
        authorization=host.authorization,
        cookie_rewrites=any(_rewrites_cookies(route) for route in host.routes),
        tcp=tcp,
    )


def _fallback_group(host: SecureVirtualHost, options: Options) -> Group | None:
    """Of all hosts that asked for it: nothing about a client is known, so nothing of a host's own is left to differ."""
    if host.fallback is None:
        return None
    return Group(
        host.fallback,
        options.min_tls,
        options.max_tls,
        cookie_rewrites=True,
        authorization=host.authorization,
        fallback=True,
    )


def _by_reference(provider: JwtProvider) -> JwtProvider:
    """The CA of a remote key set is its cluster's affair."""
    keys = provider.keys
    if not isinstance(keys, RemoteKeys) or keys.cluster.validation is None:
        return provider
    validation = msgspec.structs.replace(keys.cluster.validation, ca=b"")
    cluster = msgspec.structs.replace(keys.cluster, validation=validation)
    return msgspec.structs.replace(provider, keys=msgspec.structs.replace(keys, cluster=cluster))


def _digest(key_set: bytes | None) -> str:
    """Of the keys that are sent; "" if there is none."""
    keys = usable(key_set) if key_set is not None else None
    return hashlib.sha256(keys).hexdigest()[:_DIGEST] if keys is not None else ""


def _rewrites_cookies(route: Route) -> bool:
    action = route.action
    return isinstance(action, Forward) and any(backend.cookie_rewrites for backend in action.backends)


@lru_cache(maxsize=65536)
def _name(group: Group) -> str:
    values = group._asdict().items()
    features = [(field, value) for field, value in values if value != group._field_defaults.get(field, value)]
    secret = group.secret or ("", "passthrough")
    text = "|".join((*secret, group.min_tls, group.max_tls)).encode()
    if features:
        text += b"|" + msgspec.json.encode(features)
    digest = hashlib.blake2b(text, digest_size=5).hexdigest()
    return _UNSAFE.sub("_", ".".join((*filter(None, secret), digest)).lower())


def _is_wildcard(name: str) -> bool:
    """`*.suffix`, the only form that Envoy takes: `w*.x` makes it refuse the whole listener."""
    return name.startswith("*.") and "*" not in name[1:] and len(name) > 2


def _is_server_name(name: str) -> bool:
    """No API server lets other names pass; for one of them Envoy would refuse the whole listener."""
    return bool(name) and ("*" not in name or _is_wildcard(name))


def _covering(host: str) -> str | None:
    """The wildcard name that covers an exact host in a certificate: one label (RFC 6125 §6.4.3)."""
    first, dot, rest = host.partition(".")
    return f"*.{rest}" if dot and rest and first != "*" else None


def _suffixes(host: str) -> Iterator[str]:
    """The server names under which Envoy may have accepted a connection for this host: any number of labels."""
    rest = host.removeprefix("*.")
    while True:
        _, dot, rest = rest.partition(".")
        if not dot:
            break
        yield f"*.{rest}"


# --- entries of the indexes -----------------------------------------------------------------------------------------


def _by_name(name: str, host: Host) -> Iterable[tuple[str, str]]:
    if host.https is not None:
        yield name.lower(), name


def _secret(_: str, host: Host) -> Iterable[tuple[Ref, bool]]:
    if host.https is not None and host.https.secret is not None:
        yield host.https.secret, True


def _each(ref: Ref, names: tuple[str, ...]) -> Iterable[tuple[tuple[Ref, str], bool]]:
    for name in names:
        yield (ref, name), True


def _claims(host: str, member: Member) -> Iterable[tuple[str, _Claim]]:
    if host.startswith("*"):
        yield host, _Claim(member.group, configured=True)
    elif member.claim != host:
        yield member.claim, _Claim(member.group, configured=False)


def _days(host: str, member: Member) -> Iterable[tuple[tuple[Group, str], str]]:
    if member.claim != host:
        yield (member.group, member.claim), member.created[:_DAY]


def _ages(host: str, member: Member) -> Iterable[tuple[tuple[Group, str, str], tuple[str, ObjectRef | None]]]:
    if member.claim != host:
        yield (member.group, member.claim, member.created[:_DAY]), (member.created, member.root)


def _wildcard_hosts(host: str, member: Member) -> Iterable[tuple[str, str]]:
    if host.startswith("*"):
        yield member.group.name, host
        if member.fallback is not None:
            yield member.fallback.name, host


def _each_wildcard_host(host: str, member: Member) -> Iterable[tuple[tuple[str, str], bool]]:
    return (((group, name), True) for group, name in _wildcard_hosts(host, member))


def _fallbacks(_: str, member: Member) -> Iterable[tuple[str, Group]]:
    if member.fallback is not None:
        yield member.fallback.name, member.fallback


def _fallback_chain(_: str, member: Member) -> Iterable[tuple[str, Group]]:
    if member.fallback is not None:
        yield "", member.fallback


def _fallback_wildcards(host: str, member: Member) -> Iterable[tuple[str, Group]]:
    if member.fallback is not None and host.startswith("*"):
        yield host, member.fallback


def _server_name(_: str, place: Place) -> Iterable[tuple[str, Group]]:
    yield place.server_name, place.group
