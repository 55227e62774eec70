"""A small universe of objects that get into each other's way, as hypothesis strategies.

Few names, hosts and namespaces, so that a random handful has duplicates, cycles, orphans, wildcards over exact hosts,
tenants who claim each other's names, certificates that go bad, and hosts that move from one group to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from tests.dag.world import Mapping, delegation, extension, ingress, ingressroute, obj, proxy, root, secret, service, to

from contour.testing.certs import Authority, Pair

NAMESPACES = ("shop", "team")
NAMES = ("a", "b", "c")  # of roots, mostly
CHILDREN = ("d", "e", "a")  # of others, mostly
HOSTS = ("one.test", "ONE.test", "two.test", "*.w.test", "p.w.test", "q.w.test", "*.p.w.test", "d.p.w.test")
SERVICES = ("web", "api")
SECRETS = ("shop/cert", "team/cert", "vault/cert", "vault/ca", "shop/keys")
DAYS = ("", "2026-01-01T00:00:00Z", "2026-01-01T09:00:00Z", "2026-02-01T00:00:00Z")


def mostly(usual: Sequence[Any], rare: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    """One of `usual`; in about one of ten draws one of `rare`, of which an object has at most a few."""
    each = max(1, -(-9 * len(rare) // len(usual)))
    return st.sampled_from((*(one for one in usual for _ in range(each)), *rare))


paths = mostly(("", "", "/p", "/p/q", "/"), ("//x", "x"))
names = st.sampled_from(NAMES)
hosts = st.sampled_from(HOSTS)
created = st.sampled_from(DAYS)
namespaces = st.sampled_from(NAMESPACES)


def _full(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


refs = st.builds(_full, namespaces, names)

# --- secrets ------------------------------------------------------------------------------------------------------

_OURS, _THEIRS = Authority("ours"), Authority("theirs")
_WILD, _ROTATED, _THEIR_WILD = _OURS.sign("*.w.test"), _OURS.sign("*.w.test"), _THEIRS.sign("*.w.test")


def _served(pair: Pair) -> dict[str, bytes]:
    return {"tls.crt": pair.certificate, "tls.key": pair.private_key}


_CONTENTS: tuple[tuple[str, dict[str, bytes]], ...] = (
    ("kubernetes.io/tls", _served(_WILD)),
    ("kubernetes.io/tls", _served(_ROTATED)),
    ("kubernetes.io/tls", _served(_THEIR_WILD)),
    ("Opaque", _served(_OURS.sign("one.test", "two.test", "*.p.w.test"))),
    ("kubernetes.io/tls", _served(_THEIRS.sign("elsewhere.test", "w*.w.test"))),
    ("kubernetes.io/tls", _served(_OURS.sign("*.w.test", key="rsa-1024"))),  # valid for the reference, not for Envoy
    ("kubernetes.io/tls", _served(Pair(_WILD.certificate, _ROTATED.private_key))),
    ("kubernetes.io/tls", {"tls.crt": b"nonsense", "tls.key": _WILD.private_key}),
    ("kubernetes.io/tls", {}),
    ("example.com/other", _served(_WILD)),
    ("Opaque", {"ca.crt": _OURS.certificate}),
    ("Opaque", {"ca.crt": _THEIRS.certificate}),
    ("Opaque", {"keys": b'{"keys": []}'}),
)


def _secret(name: str, content: tuple[str, dict[str, bytes]]) -> Mapping:
    return secret(name, content[0], **content[1])


secrets = st.builds(_secret, st.sampled_from(SECRETS), mostly(_CONTENTS[:6], _CONTENTS[6:]))
delegations = st.builds(
    delegation,
    st.sampled_from(("vault/grant", "vault/other", "team/grant")),
    st.sampled_from(("cert", "ca")),
    st.sampled_from(("shop", "team", "*")),
)

# --- services and endpoints ---------------------------------------------------------------------------------------

_PORTS: tuple[tuple[Mapping, ...], ...] = (
    ({"name": "http", "port": 80},),
    ({"name": "http", "port": 80, "targetPort": 8080}, {"name": "more", "port": 81}),
    ({"name": "other", "port": 80, "protocol": "TCP"},),
    ({"name": "http", "port": 80, "protocol": "UDP"},),
    ({"name": "http", "port": 81},),
)
_SERVICE_ANNOTATIONS: tuple[Mapping, ...] = (
    {},
    {"note": "touched"},
    {"projectcontour.io/upstream-protocol.h2c": "80"},
    {"projectcontour.io/upstream-protocol.tls": "80,81"},
    {"projectcontour.io/max-connections": "7"},
)


def _service(name: str, ports: tuple[Mapping, ...], annotations: Mapping, external: bool) -> Mapping:
    spec = {"type": "ExternalName", "externalName": "elsewhere.test"} if external else {}
    return service(name, *ports, spec=spec, metadata={"annotations": annotations})


services = st.builds(
    _service,
    st.builds(_full, namespaces, st.sampled_from(SERVICES)),
    mostly(_PORTS[:2], _PORTS[2:]),
    st.sampled_from(_SERVICE_ANNOTATIONS),
    mostly((False,), (True,)),
)


def _load_balancer(address: str) -> Mapping:
    found = service("projectcontour/envoy")
    return found | {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}} if address else found


load_balancers = st.builds(_load_balancer, st.sampled_from(("", "192.0.2.1", "192.0.2.2")))


def _slice(namespace: str, name: str, owner: str, addresses: tuple[str, ...], port: str, ready: bool) -> Mapping:
    return obj(
        "EndpointSlice", "discovery.k8s.io/v1", f"{namespace}/{name}",
        metadata={"labels": {"kubernetes.io/service-name": owner}} if owner else {},
        addressType="IPv4",
        ports=[{"name": port, "port": 8080, "protocol": "TCP"}, {"name": "more", "port": 9090, "protocol": "TCP"}],
        endpoints=[{"addresses": [one], "conditions": {"ready": ready}} for one in addresses],
    )  # fmt: skip


_ADDRESSES = (("10.0.0.1",), ("10.0.0.2", "10.0.0.1"), (), ("127.0.0.1",), ("fe80::1",))
slices = st.builds(
    _slice,
    namespaces,
    st.sampled_from(("s1", "s2")),
    st.sampled_from((*SERVICES, "")),
    st.sampled_from(_ADDRESSES),
    st.sampled_from(("http", "other")),
    st.sampled_from((True, True, False)),
)


def _endpoints(namespace: str, name: str, addresses: tuple[str, ...]) -> Mapping:
    subset = {"addresses": [{"ip": one} for one in addresses], "ports": [{"name": "http", "port": 8080}]}
    return obj("Endpoints", "v1", f"{namespace}/{name}", subsets=[subset])


endpoints = st.builds(_endpoints, namespaces, st.sampled_from(SERVICES), st.sampled_from(_ADDRESSES))

# --- ingresses ----------------------------------------------------------------------------------------------------

_INGRESS_ANNOTATIONS: tuple[Mapping, ...] = (
    {},
    {"ingress.kubernetes.io/force-ssl-redirect": "true"},
    {"kubernetes.io/ingress.class": "another"},
    {"kubernetes.io/ingress.class": "contour"},
    {"kubernetes.io/ingress.allow-http": "false"},
    {"projectcontour.io/tls-cert-namespace": "vault", "projectcontour.io/tls-minimum-protocol-version": "1.3"},
    {"projectcontour.io/tls-minimum-protocol-version": "1.3", "projectcontour.io/tls-maximum-protocol-version": "1.2"},
    {"contour.heptio.com/retry-on": "5xx", "projectcontour.io/response-timeout": "soon"},
    {"contour.heptio.com/websocket-routes": "/, /p"},
)


def _ingress(name: str, host: str, since: str, tls: str, path: str, to: str, annotations: Mapping) -> Mapping:
    found = ingress(name, host, since, tls, {path: to})
    found["metadata"]["annotations"] = annotations
    if not host:
        found["spec"]["defaultBackend"] = {"service": {"name": to, "port": {"name": "http"}}}
    return found


ingresses = st.builds(
    _ingress,
    refs,
    st.sampled_from((*HOSTS, "")),
    created,
    st.sampled_from(("", "cert", "vault/cert")),
    st.sampled_from(("/", "/p", "/p.*x")),
    st.sampled_from(SERVICES),
    st.sampled_from(_INGRESS_ANNOTATIONS),
)

# --- proxies ------------------------------------------------------------------------------------------------------

_CONDITIONS: tuple[Mapping, ...] = (
    {"exact": "/exact"},
    {"regex": "/[a-z]+"},
    {"header": {"name": "X-Tenant", "exact": "blue"}},
    {"header": {"name": "x-tenant", "present": True}},
    {"queryParameter": {"name": "v", "exact": "1"}},
)
_BAD_CONDITIONS: tuple[Mapping, ...] = (
    {"regex": "/("},
    {"queryParameter": {"name": "", "present": True}},  # Envoy refuses it
)
_CA = {"caSecret": "vault/ca", "subjectName": "web.test"}
_POLICIES: tuple[Mapping, ...] = (
    {},
    {"permitInsecure": True},
    {"enableWebsockets": True},
    {"timeoutPolicy": {"response": "5s", "idle": "infinity"}},
    {"retryPolicy": {"count": 2, "perTryTimeout": "1s"}},
    {"loadBalancerPolicy": {"strategy": "Cookie"}},
    {"loadBalancerPolicy": {"strategy": "RequestHash", "requestHashPolicies": [{"hashSourceIP": True}]}},
    {"healthCheckPolicy": {"path": "/up"}},
    {"requestHeadersPolicy": {"set": [{"name": "X-To", "value": "%CONTOUR_SERVICE_NAME%"}]}},
    {"responseHeadersPolicy": {"remove": ["X-From"]}},
    {"requestRedirectPolicy": {"hostname": "two.test"}, "services": []},
    {"directResponsePolicy": {"statusCode": 200, "body": "here"}, "services": []},
)
_BAD_POLICIES: tuple[Mapping, ...] = (
    {"timeoutPolicy": {"response": "soon"}},
    {"healthCheckPolicy": {"path": "/up", "expectedStatuses": [{"start": 700, "end": 800}]}},
    {"healthCheckPolicy": {"path": "/up", "expectedStatuses": [{"start": 300, "end": 300}]}},  # Envoy refuses it
    {"requestHeadersPolicy": {"remove": ["Host"]}},  # Envoy refuses it
    {"pathRewritePolicy": {"replacePrefix": [{"replacement": "/new"}]}},  # bad where no prefix is
)
_BACKENDS: tuple[Mapping, ...] = (
    {},
    {"weight": 3},
    {"mirror": True},
    {"protocol": "h2c"},
    {"healthPort": 81},  # with it and without there is one endpoint set
    {"protocol": "tls", "validation": _CA},
    {"protocol": "tls", "validation": _CA | {"subjectNames": ["web.test", "api.test"]}},  # a cluster of the same name
    {"port": 81},
)


def _route(path: str, extra: Mapping | None, backends: list[tuple[str, Mapping]], policy: Mapping) -> Mapping:
    conditions = ([{"prefix": path}] if path else []) + ([extra] if extra else [])
    to = [{"name": name, "port": 80} | backend for name, backend in backends]
    return {"conditions": conditions, "services": to} | policy


_routes = st.builds(
    _route,
    paths,
    mostly((None, None, *_CONDITIONS), _BAD_CONDITIONS),
    st.lists(st.tuples(st.sampled_from(SERVICES), mostly(_BACKENDS[:-1], _BACKENDS[-1:])), min_size=1, max_size=2),
    mostly(_POLICIES, _BAD_POLICIES),
)


def _include(name: str, namespace: str, path: str) -> Mapping:
    found: Mapping = {"name": name, "conditions": [{"prefix": path}] if path else []}
    return found | ({"namespace": namespace} if namespace else {})


_includes = st.builds(_include, mostly(CHILDREN[:2], CHILDREN[2:]), st.sampled_from(("", *NAMESPACES)), paths)


def _tls(name: str, least: str) -> Mapping:
    return {"tls": {"secretName": name} | ({"minimumProtocolVersion": least} if least else {})}


_tls_settings = st.builds(_tls, st.sampled_from(("cert", "vault/cert", "team/cert")), st.sampled_from(("", "", "1.3")))
# What a host over TLS asks of others: each looks up objects of its own.
_EXTRAS: tuple[Mapping, ...] = (
    {"authorization": {"extensionRef": {"name": "auth"}}},
    {"authorization": {"extensionRef": {"name": "auth", "namespace": "team"}, "failOpen": True}},
    {"jwtProviders": [{"name": "p", "default": True, "localJWKS": {"secretName": "keys", "key": "keys"}}]},
    {"tls": {"clientValidation": {"caSecret": "vault/ca"}}},
    {"tls": {"enableFallbackCertificate": True}},
    {"ipAllowPolicy": [{"source": "Peer", "cidr": "192.0.2.0/24"}]},
)


def _with(settings: Mapping, extra: Mapping) -> Mapping:
    return {**settings, **extra, "tls": {**settings["tls"], **extra.get("tls", {})}}


_virtualhosts = st.builds(_with, _tls_settings, st.sampled_from(({},) * len(_EXTRAS) + _EXTRAS))
_metadata: st.SearchStrategy[Mapping] = mostly(
    ({}, {}, {"generation": 2}, {"annotations": {"note": "x"}}),
    ({"annotations": {"kubernetes.io/ingress.class": "z"}},),
)


def _proxy(
    ref: str, since: str, metadata: Mapping, host: str, tls: Mapping, routes: list[Mapping], includes: list[Mapping]
) -> Mapping:
    """A root if it has a host, else a child."""
    spec: dict[str, Any] = {"routes": routes, "includes": includes}
    if host:
        spec["virtualhost"] = {"fqdn": host} | tls
    return proxy(ref, since, dict(metadata), **spec)


def _proxies(own: Sequence[str], host: st.SearchStrategy[str], most: int) -> st.SearchStrategy[Mapping]:
    return st.builds(
        _proxy,
        st.builds(_full, namespaces, st.sampled_from(own)),
        created,
        _metadata,
        host,
        st.just({}) | _virtualhosts,
        mostly(([None],), ([],)).flatmap(lambda some: st.lists(_routes, min_size=len(some), max_size=2)),
        st.lists(_includes, max_size=most),
    )


roots, children = _proxies(NAMES, hosts, 2), _proxies(CHILDREN, st.just(""), 1)

# --- ingressroutes ------------------------------------------------------------------------------------------------

_ROUTE_FIELDS: tuple[Mapping, ...] = (
    {},
    {"permitInsecure": True},
    {"enableWebsockets": True},
    {"prefixRewrite": "/new"},
    {"timeoutPolicy": {"request": "soon"}},
    {"retryPolicy": {"count": 2}},
)
_ROUTE_SERVICES: tuple[Mapping, ...] = (
    {},
    {"weight": 3},
    {"strategy": "Cookie"},
    {"healthCheck": {"path": "/up"}},
    {"validation": {"caSecret": "ca", "subjectName": "web.test"}},
    {"port": 81},
    {"weight": -1},
    {"healthCheck": {"path": "/up", "intervalSeconds": -1}},  # Envoy refuses it
)


def _legacy_route(match: str, backends: list[tuple[str, Mapping]], to: str, fields: Mapping) -> Mapping:
    """To services, or to another IngressRoute, or (a mistake) to both."""
    found: Mapping = {"match": match} | fields
    if backends:
        found["services"] = [{"name": name, "port": 80} | backend for name, backend in backends]
    if to:
        namespace, _, name = to.rpartition("/")
        found["delegate"] = {"name": name} | ({"namespace": namespace} if namespace else {})
    return found


_legacy_services = st.lists(
    st.tuples(st.sampled_from(SERVICES), mostly(_ROUTE_SERVICES[:5], _ROUTE_SERVICES[5:])), min_size=1, max_size=2
)
_legacy_matches = mostly(("/", "/p", "/p/q"), ("", "x", "/pq"))
_delegates = st.sampled_from(("d", "team/d", "e", "shop/a"))
_legacy_routes = st.one_of(
    st.builds(_legacy_route, _legacy_matches, _legacy_services, st.just(""), st.sampled_from(_ROUTE_FIELDS)),
    st.builds(_legacy_route, _legacy_matches, st.just([]), _delegates, st.just({})),
    st.builds(_legacy_route, _legacy_matches, _legacy_services, mostly(("",), ("d",)), st.just({})),
)


def _ingressroute(
    name: str, since: str, metadata: Mapping, host: str, tls: Mapping, routes: list[Mapping], tcp: Mapping
) -> Mapping:
    spec: dict[str, Any] = {"routes": routes} | tcp
    return ingressroute(name, host, since, metadata=dict(metadata), **(spec | ({"virtualhost": tls} if host else {})))


def _ingressroutes(own: Sequence[str], host: st.SearchStrategy[str]) -> st.SearchStrategy[Mapping]:
    return st.builds(
        _ingressroute,
        st.builds(_full, namespaces, st.sampled_from(own)),
        created,
        _metadata,
        host,
        st.just({}) | _tls_settings | st.just({"tls": {"passthrough": True}}),
        st.lists(_legacy_routes, min_size=1, max_size=3),
        mostly(
            ({},),
            (
                {"tcpproxy": {"services": [{"name": "web", "port": 80}]}},
                {"tcpproxy": {"delegate": {"name": "d"}}},
                {"tcpproxy": {"delegate": {"name": "d"}, "services": [{"name": "web", "port": 80}]}},
            ),
        ),
    )


ingressroutes = _ingressroutes(NAMES, hosts) | _ingressroutes(CHILDREN, st.just(""))
heptio_delegations = delegations.map(lambda one: one | {"apiVersion": "contour.heptio.com/v1beta1"})

# --- extension services -------------------------------------------------------------------------------------------


def _extension(namespace: str, target: str, validation: Mapping | None) -> Mapping:
    spec = {"validation": validation} if validation else {}
    return extension(f"{namespace}/auth", {"name": target, "port": 80}, **spec)


extensions = st.builds(_extension, namespaces, st.sampled_from(SERVICES), st.sampled_from((None, _CA)))

# --- all ----------------------------------------------------------------------------------------------------------

# (`one_of` counts a strategy once, however often it is listed.)
objects: st.SearchStrategy[Mapping] = st.sampled_from(
    (
        *(roots,) * 6, *(children,) * 2, *(secrets,) * 3, services, *(slices,) * 2, endpoints, delegations, ingresses,
        load_balancers, *(ingressroutes,) * 2, heptio_delegations, extensions,
    )
).flatmap(lambda kind: kind)  # fmt: skip

# What lets most of the above be served. A random sequence starts from any part of it.
BASIS: tuple[Mapping, ...] = (
    *(service(f"{namespace}/{name}") for namespace in NAMESPACES for name in SERVICES),
    *(_secret(f"{namespace}/cert", _CONTENTS[number]) for number, namespace in enumerate((*NAMESPACES, "vault"))),
    secret("vault/ca", "Opaque", **{"ca.crt": _OURS.certificate}),
    *(proxy(f"{namespace}/{name}", routes=[to("web")]) for namespace in NAMESPACES for name in CHILDREN[:2]),
    *(
        root(name, host, since, virtualhost=_tls(tls, ""), routes=[to("web")], includes=[{"name": "d"}])
        for name, host, since, tls in (
            ("shop/a", "*.w.test", DAYS[1], "cert"),
            ("shop/b", "p.w.test", DAYS[3], "cert"),
            ("team/a", "q.w.test", DAYS[2], "cert"),
        )
    ),
    ingress("shop/a", "one.test", DAYS[1], "cert", {"/": "web", "/p": "api"}),
    ingress("team/b", "one.test", DAYS[1], "vault/cert", {"/": "api", "/q": "web"}),
    ingressroute("team/d", routes=[_legacy_route("/p", [("api", {})], "", {})]),
    ingressroute(
        "shop/r", "two.test", DAYS[1], routes=[_legacy_route("/p", [], "team/d", {})], virtualhost=_tls("cert", "")
    ),
    _slice("shop", "s1", "web", _ADDRESSES[1], "http", True),
    _slice("shop", "s2", "web", _ADDRESSES[0], "http", True),
    _extension("shop", "api", _CA),
    _secret("shop/keys", _CONTENTS[-1]),
    delegation("vault/grant", "cert", "*"),
    delegation("vault/other", "ca", "shop"),
    delegation("team/grant", "cert", "shop"),
)

# A host for each thing that it may ask of others.
EXTRA_HOSTS: tuple[Mapping, ...] = tuple(
    root(f"shop/x{number}", f"x{number}.w.test", virtualhost=_with(_tls("cert", ""), extra), routes=[to("web")])
    for number, extra in enumerate(_EXTRAS)
)
