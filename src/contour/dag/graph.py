"""The graph: what the cluster's objects mean, before any Envoy message exists.

Frozen values only. `contour.dag` builds them from objects, `contour.envoy` translates them to protobuf; neither
names of Envoy resources nor message types appear here. The unit is the `Host`: everything one host name serves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from contour.api.meta import ObjectRef, Ref
from contour.dag.verdict import Finding, Verdict

# Three-state timeout in nanoseconds: None = Envoy's default (unset), 0 = disabled (explicit zero), > 0 = the value.
Timeout = int | None


# --- matching -----------------------------------------------------------------------------------------------------


class PathKind(StrEnum):
    EXACT = "exact"
    REGEX = "regex"
    PREFIX = "prefix"  # plain string prefix (HTTPProxy)
    SEGMENT = "segment"  # prefix of whole path segments (Ingress `Prefix`)


class HeaderKind(StrEnum):
    EXACT = "exact"
    REGEX = "regex"
    CONTAINS = "contains"
    PRESENT = "present"


class QueryKind(StrEnum):
    EXACT = "exact"
    REGEX = "regex"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    PRESENT = "present"


class PathMatch(msgspec.Struct, frozen=True, gc=False):
    kind: PathKind
    value: str  # a regex is without the leading `^` that the translation adds for HTTPProxy (httpproxy.md §4.9)


class HeaderMatch(msgspec.Struct, frozen=True, gc=False):
    name: str
    kind: HeaderKind
    value: str = ""
    invert: bool = False
    ignore_case: bool = False
    treat_missing_as_empty: bool = False


class QueryMatch(msgspec.Struct, frozen=True, gc=False):
    name: str
    kind: QueryKind
    value: str = ""
    ignore_case: bool = False


# --- upstream -----------------------------------------------------------------------------------------------------


class ServicePort(msgspec.Struct, frozen=True, gc=False):
    """A port of a Service that a cluster sends to."""

    namespace: str
    service: str
    port: int
    port_name: str = ""
    external_name: str = ""  # ExternalName services only


class HealthCheck(msgspec.Struct, frozen=True, gc=False):
    """Active health check; durations in nanoseconds, 0 = not given (the translation fills the defaults, §4.5)."""

    tcp: bool = False
    path: str = ""
    host: str = ""
    timeout: int = 0
    interval: int = 0
    unhealthy_threshold: int = 0
    healthy_threshold: int = 0
    expected_statuses: tuple[tuple[int, int], ...] = ()
    port: int = 0  # health port, 0 = the service port
    port_name: str = ""


class UpstreamValidation(msgspec.Struct, frozen=True, gc=False):
    ca_secret: Ref
    ca: bytes
    subject_names: tuple[str, ...]


class CircuitBreakers(msgspec.Struct, frozen=True, gc=False):
    """0 = unset, for each limit."""

    max_connections: int = 0
    max_pending_requests: int = 0
    max_requests: int = 0
    max_retries: int = 0
    per_host_max_connections: int = 0


class SlowStart(msgspec.Struct, frozen=True, gc=False):
    window: int  # nanoseconds
    aggression: float = 1.0
    min_weight_percent: int = 0


class Cluster(msgspec.Struct, frozen=True, gc=False):
    """One upstream of Envoy. Its name is a function of this value: `contour.envoy.names.cluster` (§4.3)."""

    service: ServicePort
    # "", WeightedLeastRequest, Random, Cookie, RequestHash, or the literal RoundRobin of a degenerated RequestHash
    lb_policy: str = ""
    protocol: str = ""  # "", tls, h2, h2c
    sni: str = ""
    health_check: HealthCheck | None = None
    validation: UpstreamValidation | None = None
    idle_timeout: Timeout = None
    circuit_breakers: CircuitBreakers = CircuitBreakers()
    slow_start: SlowStart | None = None
    dns_lookup_family: str = "auto"  # auto, v4, v6, all; ExternalName only
    follows_redirects: bool = False  # for routes with an internal redirect policy
    http: bool = True  # False: cluster of a tcpproxy (no per-connection buffer limit, no max requests)


class DnsCluster(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A server of a key set, by the host of its URL; Envoy resolves the name itself."""

    scheme: str  # http, https
    host: str
    port: int
    validation: UpstreamValidation | None = None
    dns_lookup_family: str = "auto"  # auto, v4, v6, all


class ExtensionTarget(msgspec.Struct, frozen=True, gc=False):
    port: ServicePort
    weight: int = 0


class ExtensionCluster(msgspec.Struct, frozen=True, gc=False):
    """The upstream of an ExtensionService: a service that Envoy itself asks."""

    ref: Ref
    targets: tuple[ExtensionTarget, ...]
    lb_policy: str = ""  # "", WeightedLeastRequest, Random
    protocol: str = "h2"  # http/1.1, h2 (with TLS), h2c
    sni: str = ""
    validation: UpstreamValidation | None = None
    idle_timeout: Timeout = None
    circuit_breakers: CircuitBreakers = CircuitBreakers()


class ExtensionFacts(msgspec.Struct, frozen=True, gc=False):
    """What those who refer to an ExtensionService take over from it, whether or not it has errors."""

    sni: str = ""
    response_timeout: Timeout = None  # unless they have one of their own


class Extension(msgspec.Struct, frozen=True, gc=False):
    """An ExtensionService. `cluster` is there only if the verdict has no error."""

    verdict: Verdict
    cluster: ExtensionCluster | None = None


class Headers(msgspec.Struct, frozen=True, gc=False):
    """A resolved header policy: values already escaped for Envoy, `set` sorted by name, `remove` sorted."""

    set: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    host_rewrite: str = ""  # request policies only
    host_rewrite_header: str = ""


NO_HEADERS = Headers()


class CookieRewrite(msgspec.Struct, frozen=True, gc=False):
    name: str
    path: str | None = None
    domain: str | None = None
    secure: bool | None = None
    same_site: str | None = None


class Backend(msgspec.Struct, frozen=True, gc=False):
    """A weighted cluster of a route, with the policies that hold for it alone."""

    cluster: Cluster
    weight: int = 0
    request_headers: Headers = NO_HEADERS
    response_headers: Headers = NO_HEADERS
    cookie_rewrites: tuple[CookieRewrite, ...] = ()  # route and service rules merged (§2.13)


class Mirror(msgspec.Struct, frozen=True, gc=False):
    cluster: Cluster
    percent: int = 100


# --- limits and permission ------------------------------------------------------------------------------------------


class GenericKey(msgspec.Struct, frozen=True, gc=False):
    key: str  # "" is Envoy's `generic_key`
    value: str


class RequestHeader(msgspec.Struct, frozen=True, gc=False):
    header: str
    key: str


class HeaderValueMatch(msgspec.Struct, frozen=True, gc=False):
    value: str
    expect_match: bool
    headers: tuple[HeaderMatch, ...] = ()


class RemoteAddress(msgspec.Struct, frozen=True, gc=False):
    """The client's address."""


Entry = GenericKey | RequestHeader | HeaderValueMatch | RemoteAddress
Descriptor = tuple[Entry, ...]  # what the rate limit service is asked about


class LocalRateLimit(msgspec.Struct, frozen=True, gc=False):
    """A bucket of tokens that each Envoy keeps by itself."""

    max_tokens: int
    tokens_per_fill: int
    fill_interval: int  # nanoseconds
    status: int = 0  # 0 = unset (Envoy answers 429)
    headers: tuple[
        tuple[str, str], ...
    ] = ()  # of the answer beyond the limit, sorted by name; values escaped for Envoy


class RateLimits(msgspec.Struct, frozen=True, gc=False):
    local: LocalRateLimit | None = None
    descriptors: tuple[Descriptor, ...] = ()
    without_host: bool = False  # of a route: the host's descriptors do not count


class HeaderPattern(msgspec.Struct, frozen=True, gc=False):
    """Names of headers: those that are, begin with, end with or contain the text."""

    kind: Literal["exact", "prefix", "suffix", "contains"]
    text: str
    ignore_case: bool = False


class RequestBody(msgspec.Struct, frozen=True, gc=False):
    """How much of a request's body the authorization server sees."""

    max_bytes: int
    allow_partial: bool = False
    as_bytes: bool = False


class Authorization(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The server that is asked before a request passes; by reference: an edit of the ExtensionService touches no host."""

    extension: Ref
    timeout: Timeout = None  # None: that of the ExtensionService
    http: bool = False  # it speaks plain HTTP instead of gRPC
    path_prefix: str = ""  # this and the following two for HTTP only
    sent_headers: tuple[HeaderPattern, ...] = ()
    upstream_headers: tuple[HeaderPattern, ...] = ()
    fail_open: bool = False
    body: RequestBody | None = None


class RouteAuthorization(msgspec.Struct, frozen=True, gc=False):
    """`context` is told to the server with each request, sorted by name."""

    disabled: bool = False
    context: tuple[tuple[str, str], ...] = ()


# --- routes -------------------------------------------------------------------------------------------------------


class Retry(msgspec.Struct, frozen=True, gc=False):
    retry_on: str
    num_retries: int
    per_try_timeout: Timeout = None
    status_codes: tuple[int, ...] = ()


class HashPolicy(msgspec.Struct, frozen=True, gc=False):
    """Exactly one of header, query_parameter, cookie (name, path; ttl 0) and source_ip."""

    terminal: bool = False
    header: str = ""
    query_parameter: str = ""
    cookie: str = ""
    cookie_path: str = ""
    source_ip: bool = False


class CrossScheme(StrEnum):
    """Whether an internal redirect may lead from http to https and back."""

    NEVER = "Never"
    SAFE_ONLY = "SafeOnly"  # not from https to http
    ALWAYS = "Always"


class InternalRedirect(msgspec.Struct, frozen=True, gc=False):
    """Redirects of the upstream are followed here rather than by the client."""

    max_redirects: int = 0  # 0 = unset (Envoy: one)
    status_codes: tuple[int, ...] = ()  # () = unset (Envoy: 302)
    cross_scheme: CrossScheme = CrossScheme.NEVER
    deny_repeated_route: bool = False


class AddressRule(msgspec.Struct, frozen=True, gc=False):
    """A range of addresses; `remote`: of the client as trusted headers tell it, else of the peer of the connection."""

    remote: bool
    address: str  # the lowest of the range
    prefix_length: int  # of the range as written: above 96 of an IPv4 address that was written as ::ffff:10.0.0.1


class AddressFilter(msgspec.Struct, frozen=True, gc=False):
    """Only (`allow`) or all but the clients that one of the rules matches may pass."""

    allow: bool
    rules: tuple[AddressRule, ...]


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Send the request to one of `backends`."""

    backends: tuple[Backend, ...]
    timeout: Timeout = None
    idle_timeout: Timeout = None
    retry: Retry | None = None
    hash_policies: tuple[HashPolicy, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    prefix_rewrite: str = ""
    websocket: bool = False
    request_headers: Headers = NO_HEADERS  # route level; host rewrites included
    response_headers: Headers = NO_HEADERS
    internal_redirect: InternalRedirect | None = None
    address_filter: AddressFilter | None = None  # instead of the virtual host's
    rate_limits: RateLimits | None = None


class Redirect(msgspec.Struct, frozen=True, gc=False):
    hostname: str = ""
    scheme: str = ""
    port: int = 0
    status: int = 0  # 0 = unset (Envoy answers 301)
    path: str = ""
    prefix: str = ""


class DirectResponse(msgspec.Struct, frozen=True, gc=False):
    """`mirrors`: of a route without other services, which answers 503; the reference has their clusters all the same."""

    status: int
    body: str = ""
    mirrors: tuple[Mirror, ...] = ()


class Route(msgspec.Struct, frozen=True, gc=False):
    path: PathMatch
    action: Forward | Redirect | DirectResponse
    origin: ObjectRef
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()
    https_redirect: bool = False  # on the HTTP listener this route is a redirect to https
    priority: int = 0
    authorization: RouteAuthorization | None = None  # None: as the chain says
    jwt_provider: str = ""  # whose tokens a request over TLS must show; forwarded requests only


# --- hosts --------------------------------------------------------------------------------------------------------


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where a browser's script may come from: the origin itself, `*`, or a regular expression."""

    text: str
    regex: bool = False


class Cors(msgspec.Struct, frozen=True, gc=False):
    allow_origins: tuple[Origin, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_private_network: bool = False
    max_age: Timeout = None


class HostPolicies(msgspec.Struct, frozen=True, gc=False):
    """What a host name says about all of its requests, over TLS and plain."""

    cors: Cors | None = None
    address_filter: AddressFilter | None = None
    rate_limits: RateLimits | None = None


NO_HOST_POLICIES = HostPolicies()


class LocalKeys(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A key set in a Secret, by reference: a rotation must not touch the hosts that use it."""

    secret: Ref
    key: str


class RemoteKeys(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    uri: str
    cluster: DnsCluster
    timeout: int  # nanoseconds
    cache_duration: int | None = None  # nanoseconds; None = unset (Envoy: 5 minutes)


class JwtProvider(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Whose tokens are good; `forward`: the upstream sees the token."""

    name: str
    keys: LocalKeys | RemoteKeys
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    forward: bool = False


class VirtualHost(msgspec.Struct, frozen=True, gc=False):
    """What a host name serves on the plain listener. Routes are in match order already (§4.8)."""

    name: str
    routes: tuple[Route, ...]
    policies: HostPolicies = NO_HOST_POLICIES


class ForwardedCertificate(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What of a client's certificate upstreams are told, in `x-forwarded-client-cert`."""

    subject: bool = False
    certificate: bool = False
    chain: bool = False
    dns: bool = False
    uri: bool = False


class ClientValidation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Which certificates clients must show (httpproxy.md §2.5). By reference: a new CA or list touches no host."""

    ca_secret: Ref | None = None
    crl_secret: Ref | None = None
    crl_only_leaf: bool = False
    optional: bool = False  # a client may come without one
    unchecked: bool = False  # one that comes need not be trusted
    forwarded: ForwardedCertificate | None = None


class TCPProxy(msgspec.Struct, frozen=True, gc=False):
    """Where the bytes of a host's connections go; of the backends only cluster and weight count."""

    backends: tuple[Backend, ...]
    origin: ObjectRef


class SecureVirtualHost(msgspec.Struct, frozen=True, gc=False):
    """What a host name serves on the TLS listener: requests by its routes, unless its connections are proxied as such.

    `secret`: None if TLS is passed through. `fallback`: the certificate under which clients that name no host reach it.
    """

    name: str
    routes: tuple[Route, ...]
    secret: Ref | None  # by reference: a rotation must not touch the hosts that use it
    min_tls: str = "1.2"
    max_tls: str = "1.3"
    client_validation: ClientValidation | None = None
    fallback: Ref | None = None
    tcp_proxy: TCPProxy | None = None
    policies: HostPolicies = NO_HOST_POLICIES
    jwt_providers: tuple[JwtProvider, ...] = ()
    authorization: Authorization | None = None


class Host(msgspec.Struct, frozen=True, gc=False):
    """Everything that one host name serves, and what was found about the objects on the way.

    `verdicts`: one entry for each HTTPProxy that this host's evaluation visited, in order of the visit.
    `roots`: the objects that configure the host, oldest first. `created`: creation time of the oldest.
    """

    name: str
    http: VirtualHost | None = None
    https: SecureVirtualHost | None = None
    verdicts: tuple[tuple[Ref, Verdict], ...] = ()
    roots: tuple[ObjectRef, ...] = ()
    created: str = ""
    clusters: tuple[Cluster, ...] = ()  # distinct clusters of all routes and mirrors, in order of first use
    dns_clusters: tuple[DnsCluster, ...] = ()  # of JWT providers
    ingressroutes: tuple[tuple[Ref, Verdict], ...] = ()  # as `verdicts`, of IngressRoutes
    findings: tuple[tuple[ObjectRef, Finding], ...] = ()  # about Ingress objects, which have no condition to hold them
