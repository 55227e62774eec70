"""The `scoped` shape as resources: what each holds, what is withheld, what an edit changes. Traffic: tests/traffic."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from tests.dag.world import AUTHORITY, Mapping, ingress, obj, proxy, root, secret, service, serving, to
from tests.envoy.site import Site, endpoints

from contour.dag import pem
from contour.dag.graph import Cluster, ServicePort
from contour.envoy import names, pb
from contour.envoy.options import Options
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, RUNTIME, SCOPED_ROUTE, SECRET, Resource
from contour.testing import envoy, static

ADS = pb.ConfigSource(resource_api_version=pb.ApiVersion.V3, ads=pb.AggregatedConfigSource())
NO_HOST = {"remove": ["Host"]}  # the reference renders it, Envoy refuses it


def tls(fqdn: str, secret: str, **fields: object) -> Mapping:
    return root(fqdn.replace("*", "any"), fqdn, virtualhost={"tls": {"secretName": secret}}, **fields)


def manager(site: Site, name: str, chain: int = 0) -> pb.HttpConnectionManager:
    listener = site.message(LISTENER, name, pb.Listener)
    return pb.HttpConnectionManager.FromString(listener.filter_chains[chain].filters[0].typed_config.value)


def mutations(site: Site, name: str) -> list[tuple[str, str]]:
    (extension,) = manager(site, name).early_header_mutation_extensions
    made = pb.HeaderMutation.FromString(extension.typed_config.value).mutations
    return [(one.remove, one.append.header.value) for one in made]


def full() -> list[Mapping]:
    return [
        service(),
        endpoints("web", 8080),
        serving("wild", "*.shop.test"),
        root("plain", "plain.test"),
        root("any", "*.plain.test"),
        ingress("rest", "*"),
        tls("a.shop.test", "wild"),
        tls("*.shop.test", "wild", routes=[to("web", enableWebsockets=True)]),
    ]


def test_envoy_takes_it() -> None:
    assert envoy.validate(static.static_config(Site(*full()).state())) is None


def test_names() -> None:
    site = Site(*full())
    group = site.chains()["*.shop.test"].name.partition("/")[0]
    assert site.names(SCOPED_ROUTE) == {
        "http/plain.test", "http/a.shop.test", "http/*", f"{group}/a.shop.test", f"{group}/*",
    }  # fmt: skip
    assert site.names(LISTENER) == {"ingress_http", "ingress_https", "stats-health"}
    assert site.names(CLUSTER) == {"shop/web/80/da39a3ee5e"}
    assert site.names(ENDPOINTS) == {"shop/web/http"}
    assert site.names(SECRET) == {"shop/wild"}
    assert site.names(RUNTIME) == {"dynamic"}


def test_an_exact_host() -> None:
    scope = Site(*full()).message(SCOPED_ROUTE, "http/plain.test", pb.ScopedRouteConfiguration)
    assert [one.string_key for one in scope.key.fragments] == ["http/plain.test"]
    configuration = scope.route_configuration
    assert configuration.name == "http/plain.test"
    assert configuration.ignore_port_in_host_matching
    assert list(configuration.request_headers_to_remove) == ["x-contour-scope"]
    assert [one.header.key for one in configuration.request_headers_to_add] == ["x-request-start"]
    (host,) = configuration.virtual_hosts
    assert (host.name, list(host.domains)) == ("plain.test", ["plain.test"])
    assert pb.to_dict(host.metadata) == {"filter_metadata": {"contour.scope": {"known": True}}}
    disabled = pb.FilterConfig.FromString(configuration.typed_per_filter_config["contour.scope"].value)
    assert disabled == pb.FilterConfig(disabled=True)


def test_a_tls_host_has_a_catch_all() -> None:
    site = Site(*full())
    group = site.chains()["*.shop.test"].name.partition("/")[0]
    host, rest = site.scope(f"{group}/a.shop.test").virtual_hosts
    assert list(host.domains) == ["a.shop.test"]
    assert (list(rest.domains), rest.routes[0].direct_response.status) == (["*"], 421)


def test_wildcard_hosts_share_a_scope() -> None:
    site = Site(*full())
    domains = {one.domains[0]: one for one in site.scope("http/*").virtual_hosts}
    assert domains.keys() == {"*", "*.plain.test", "*.shop.test"}
    assert not any("contour.scope" in one.metadata.filter_metadata for one in domains.values())
    (route,) = domains["*.plain.test"].routes
    assert route.match.headers[0].string_match.safe_regex.regex.startswith("(?i:^[a-z0-9]")


def test_a_websocket_s_permission_is_a_mark() -> None:
    site = Site(service(), root("a", "a.test", routes=[to("web", "/ws", enableWebsockets=True), to("web", "/x")]))
    marks = {
        route.match.prefix: "contour.scope" in route.metadata.filter_metadata
        for route in site.scope("http/a.test").virtual_hosts[0].routes
    }
    assert marks == {"/ws": True, "/x": False}


def test_the_plain_listener_has_one_chain_with_the_second_look_first() -> None:
    site = Site(service(), root("a", "a.test"))
    made = manager(site, "ingress_http")
    assert made.http_filters[0].name == "contour.scope"
    assert made.http_filters[-1].name == "router"
    assert made.scoped_routes.scoped_rds.scoped_rds_config_source == ADS
    assert mutations(site, "ingress_http") == [("x-contour-scope", ""), ("", "http/%REQ(:AUTHORITY)%")]


def test_a_tls_chain_s_group_is_in_its_key() -> None:
    site = Site(*full())
    (chain,) = site.chains().values()
    group = chain.name.partition("/")[0]
    assert mutations(site, "ingress_https") == [("x-contour-scope", ""), ("", f"{group}/%REQUESTED_SERVER_NAME%")]
    context = pb.DownstreamTlsContext.FromString(chain.transport_socket.typed_config.value).common_tls_context
    assert list(context.tls_certificate_sds_secret_configs) == [pb.SdsSecretConfig(name="shop/wild", sds_config=ADS)]
    assert manager(site, "ingress_https").scoped_routes == manager(site, "ingress_http").scoped_routes


def test_clusters_get_their_endpoints_over_the_same_stream() -> None:
    cluster = Site(*full()).message(CLUSTER, "shop/web/80/da39a3ee5e", pb.Cluster)
    assert cluster.eds_cluster_config.eds_config == ADS


def test_there_is_a_listener_only_where_there_are_hosts() -> None:
    site = Site(service())
    assert site.names(LISTENER) == {"stats-health"}
    site.apply(root("a", "a.test"))
    assert site.changed(LISTENER) == ({"ingress_http"}, set())
    site.delete("HTTPProxy", "a")
    assert site.changed(LISTENER) == (set(), {"ingress_http"})
    assert site.names(SCOPED_ROUTE) == set()


def test_host_names_in_upper_case_are_served_too() -> None:
    """Nobody validated them (`--skip-admission`): keys are in lower case all the same."""
    site = Site(service(), root("a", "A.Test"), root("w", "*.Wild.Test"))
    assert site.names(SCOPED_ROUTE) == {"http/a.test", "http/*"}
    assert list(site.scope("http/a.test").virtual_hosts[0].domains) == ["a.test"]


# --- what is withheld -----------------------------------------------------------------------------------------------


def test_a_host_that_envoy_would_refuse_is_withheld_alone() -> None:
    site = Site(
        service(),
        root("good", "good.test"),
        root("bad", "bad.test", routes=[], includes=[{"name": "child"}]),
        proxy("child", routes=[to("web", "/a"), to("web", "/b", requestHeadersPolicy=NO_HOST)]),
    )
    assert site.names(SCOPED_ROUTE) == {"http/good.test"}
    withheld = site.withheld(SCOPED_ROUTE)["http/bad.test"]
    assert "request_headers_to_remove: 'Host' may not be removed" in withheld.reason
    assert [one.name for one in withheld.objects] == ["child", "bad"]  # nothing of the root's host is served


def test_a_wildcard_host_is_withheld_from_the_scope_that_it_shares() -> None:
    routes = [to("web", requestHeadersPolicy=NO_HOST)]
    site = Site(service(), root("good", "*.good.test"), root("bad", "*.bad.test", routes=routes))
    assert [one.domains[0] for one in site.scope("http/*").virtual_hosts] == ["*.good.test"]
    withheld = site.withheld(SCOPED_ROUTE)
    assert withheld.keys() == {"http/*/*.bad.test"}
    assert [one.name for one in withheld["http/*/*.bad.test"].objects] == ["bad"]
    site.apply(root("bad", "*.bad.test"))
    assert len(site.scope("http/*").virtual_hosts) == 2
    assert not site.withheld(SCOPED_ROUTE)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ({"requestHeadersPolicy": NO_HOST}, "'Host' may not be removed"),
        ({"responseHeadersPolicy": NO_HOST}, "'Host' may not be removed"),
        ({"conditions": [{"queryParameter": {"name": "", "present": True}}]}, "query_parameters[0].name"),
    ],
)
def test_routes_that_envoy_refuses(route: Mapping, text: str) -> None:
    """Each of them Envoy does refuse: otherwise there was no reason to withhold it."""
    site = Site(service(), root("a", "a.test", routes=[to("web", **route)]))
    assert text in site.withheld(SCOPED_ROUTE)["http/a.test"].reason
    state = site.state()
    virtual_host = {"name": "a", "domains": ["*"], "routes": [_refused(route)]}
    scope = {"name": "a", "key": {"fragments": [{"string_key": "a"}]}}
    state["scoped_routes"] = [{**scope, "route_configuration": {"name": "a", "virtual_hosts": [virtual_host]}}]
    assert envoy.validate(static.static_config(state)) is not None


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (
            {"services": [{"name": "web", "port": 80, "weight": 2**32}, {"name": "web", "port": 80}]},
            "a.test, route with prefix /: Value out of range",
        ),
        (
            {"services": [{"name": "web", "port": 80, "weight": 2**32 - 1}, {"name": "web", "port": 80, "weight": 1}]},
            "weights add up to more than",
        ),
        ({"services": None, "directResponsePolicy": {"statusCode": 200, "body": "x" * 4097}}, "has 4097 bytes"),
        ({"timeoutPolicy": {"response": "-1s"}}, "timeout: must not be negative"),
        ({"retryPolicy": {"count": 1, "perTryTimeout": "-1s"}}, "per_try_timeout: must not be negative"),
    ],
)
def test_numbers_that_envoy_or_its_messages_do_not_take(route: Mapping, text: str) -> None:
    site = Site(service(), root("a", "a.test", routes=[to("web", **route)]), root("b", "b.test"))
    withheld = site.withheld(SCOPED_ROUTE)["http/a.test"]
    assert text in withheld.reason
    assert [one.name for one in withheld.objects] == ["a"]
    assert site.names(SCOPED_ROUTE) == {"http/b.test"}


def _refused(route: Mapping) -> Mapping:
    """What the reference makes of it."""
    made: Mapping = {"match": {"prefix": "/"}, "route": {"cluster": "c"}}
    if "requestHeadersPolicy" in route:
        made["request_headers_to_remove"] = ["Host"]
    elif "responseHeadersPolicy" in route:
        made["response_headers_to_remove"] = ["Host"]
    else:
        made["match"]["query_parameters"] = [{"name": "", "present_match": True}]
    return made


@pytest.mark.parametrize("seconds", [-1, 2**34, 2**63 - 1])
def test_a_health_check_s_interval_has_limits(seconds: int) -> None:
    check = {"path": "/", "intervalSeconds": seconds}
    site = Site(service(), root("a", "a.test", routes=[to("web", healthCheckPolicy=check)]))
    (withheld,) = site.withheld(CLUSTER).values()
    assert withheld.reason.startswith("health_checks[0].interval: ")


@pytest.mark.parametrize("statuses", [{"start": 300, "end": 201}, {"start": 300, "end": 300}])
def test_a_cluster_that_envoy_would_refuse_is_withheld(statuses: Mapping) -> None:
    check = {"path": "/", "expectedStatuses": [statuses]}
    site = Site(service(), root("a", "a.test", routes=[to("web", healthCheckPolicy=check)]), root("b", "b.test"))
    (withheld,) = site.withheld(CLUSTER).values()
    assert "expected_statuses[0]" in withheld.reason
    assert [one.name for one in withheld.objects] == ["a"]
    assert site.names(CLUSTER) == {"shop/web/80/da39a3ee5e"}
    assert site.names(SCOPED_ROUTE) == {"http/a.test", "http/b.test"}


def test_a_ca_that_envoy_cannot_read_withholds_its_cluster() -> None:
    garbage = b"-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n"
    backend = {"name": "web", "port": 80, "protocol": "tls", "validation": {"caSecret": "ca", "subjectName": "web"}}
    site = Site(
        service(),
        secret("ca", "Opaque", **{"ca.crt": garbage}),
        root("a", "a.test", routes=[{"services": [backend]}]),
    )
    (withheld,) = site.withheld(CLUSTER).values()
    assert withheld.reason == "Secret shop/ca: a CA certificate cannot be read"
    site.apply(secret("ca", "Opaque", **{"ca.crt": AUTHORITY.certificate}))
    assert not site.withheld(CLUSTER)
    assert envoy.validate(static.static_config(site.state())) is None


def altered(text: bytes, old: bytes, new: bytes) -> bytes:
    """PEM with other bytes in the first place where they are found in its block."""
    (block,) = pem.blocks(text)
    assert isinstance(block, pem.Block)
    assert old in block.der
    kind, body = block.type.encode(), base64.encodebytes(block.der.replace(old, new, 1))
    return b"-----BEGIN " + kind + b"-----\n" + body + b"-----END " + kind + b"-----\n"


# Of two tenants. Cut at 60 bytes, with 24 bits of a hash, the clusters of both are called the same: another number for
# the second name is found in a second.
ONE, TWO = "customer-one-production-environment", "customer-two-production-environment"
WEB, TAKER = "checkout-service-of-the-web-shop", "checkout-0000001363235"
USES: dict[str, Callable[[str], Mapping]] = {
    "one service": lambda name: {"routes": [to(name)]},
    "several": lambda name: {"routes": [{"services": [{"name": name, "port": 80}, {"name": "web", "port": 80}]}]},
    "with headers": lambda name: {
        "routes": [
            {"services": [{"name": name, "port": 80, "requestHeadersPolicy": {"set": [{"name": "a", "value": "b"}]}}]}
        ]
    },
    "a mirror": lambda name: {
        "routes": [{"services": [{"name": "web", "port": 80}, {"name": name, "port": 80, "mirror": True}]}]
    },
    "redirects that are followed": lambda name: {"routes": [to(name, internalRedirectPolicy={})]},
    "connections": lambda name: {
        "tcpproxy": {"services": [{"name": name, "port": 80}]}, "virtualhost": {"tls": {"passthrough": True}},
    },
    "several connections": lambda name: {
        "tcpproxy": {"services": [{"name": name, "port": 80}, {"name": "web", "port": 80}]},
        "virtualhost": {"tls": {"passthrough": True}},
    },
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_no_service_takes_the_name_of_another_tenant_s_cluster(use: str) -> None:
    ports = [ServicePort(ONE, WEB, 80, "http"), ServicePort(TWO, TAKER, 80, "http")]
    assert len({names.cluster(Cluster(port)) for port in ports}) == 1
    site = Site(
        *(service(f"{namespace}/{name}") for namespace, name in ((ONE, WEB), (TWO, TAKER), (ONE, "web"), (TWO, "web")))
    )
    for namespace, name in ((ONE, WEB), (TWO, TAKER)):
        site.apply(root(f"{namespace}/site", f"{namespace}.test", **USES[use](name)))
    for namespace in (ONE, TWO):
        used = [name for name in site.names(CLUSTER) if name.encode() in _configuration(site, f"{namespace}.test")]
        assert used
        services = {site.message(CLUSTER, name, pb.Cluster).eds_cluster_config.service_name for name in used}
        assert {service_.partition("/")[0] for service_ in services} == {namespace}
    assert envoy.validate(static.static_config(site.state())) is None


def _configuration(site: Site, host: str) -> bytes:
    """All that a host has: its scope, or the chain that proxies its connections."""
    chain = site.chains().get(host)
    return pb.serialize(chain) if chain is not None else pb.serialize(site.scope(f"http/{host}"))


# Versions that there are not: of a certificate 2 (X.509 knows 1 and 3), of a list 4 (RFC 5280 knows 2).
ODD_CA = altered(AUTHORITY.certificate, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01")
ODD_CRL = altered(AUTHORITY.revoked(), b"\x02\x01\x01", b"\x02\x01\x03")


def test_a_ca_of_an_unknown_version_stops_nobody_else() -> None:
    backend = {"name": "web", "port": 80, "protocol": "tls", "validation": {"caSecret": "ca", "subjectName": "web"}}
    site = Site(
        service(),
        secret("ca", "Opaque", **{"ca.crt": ODD_CA}),
        root("a", "a.test", routes=[{"services": [backend]}]),
        root("b", "b.test"),
    )
    assert [one.reason for one in site.withheld(CLUSTER).values()] == [
        "Secret shop/ca: a CA certificate cannot be read"
    ]
    assert site.names(SCOPED_ROUTE) == {"http/a.test", "http/b.test"}


@pytest.mark.parametrize(
    ("authority", "revoked", "reason"),
    [
        (ODD_CA, AUTHORITY.revoked(), "Secret shop/ca: a CA certificate cannot be read"),
        (AUTHORITY.certificate, ODD_CRL, "Secret shop/crl: a list of revoked certificates cannot be read"),
    ],
    ids=["authority", "list"],
)
def test_trust_of_an_unknown_version_stops_nobody_else(authority: bytes, revoked: bytes, reason: str) -> None:
    clients = {"caSecret": "ca", "crlSecret": "crl"}
    site = Site(
        service(),
        serving("tls", "a.test"),
        secret("ca", "Opaque", **{"ca.crt": authority}),
        secret("crl", "Opaque", **{"crl.pem": revoked}),
        root("a", "a.test", virtualhost={"tls": {"secretName": "tls", "clientValidation": clients}}),
        root("b", "b.test"),
    )
    assert [one.reason for one in site.withheld(SECRET).values()] == [reason]
    assert "http/b.test" in site.names(SCOPED_ROUTE)


def test_endpoints_that_are_names_are_left_out() -> None:
    slices = obj(
        "EndpointSlice", "discovery.k8s.io/v1", "names",
        metadata={"labels": {"kubernetes.io/service-name": "web"}},
        addressType="FQDN",
        ports=[{"name": "http", "port": 80, "protocol": "TCP"}],
        endpoints=[{"addresses": ["pod.test"]}, {"addresses": ["10.0.0.1"]}],
    )  # fmt: skip
    site = Site(service(), slices, root("a", "a.test"))
    (locality,) = site.message(ENDPOINTS, "shop/web/http", pb.ClusterLoadAssignment).endpoints
    assert [one.endpoint.address.socket_address.address for one in locality.lb_endpoints] == ["10.0.0.1"]


# --- what an edit changes -------------------------------------------------------------------------------------------


def test_each_edit_changes_its_own_resource_alone() -> None:
    site = Site(*full())

    def after(*objects: Mapping) -> dict[str, set[str]]:
        site.apply(*objects)
        changed = {type_url.rpartition(".")[2]: site.changed(type_url) for type_url in site.shape}
        return {name: set_ | removed for name, (set_, removed) in changed.items() if set_ | removed}

    assert after(root("plain", "plain.test", routes=[to("web", "/x")])) == {
        "ScopedRouteConfiguration": {"http/plain.test"}
    }
    assert after(endpoints("web", 8081)) == {"ClusterLoadAssignment": {"shop/web/http"}}
    assert after(serving("wild", "*.shop.test")) == {"Secret": {"shop/wild"}}
    assert after(root("any", "*.plain.test", routes=[to("web", "/x")])) == {"ScopedRouteConfiguration": {"http/*"}}
    assert after(root("plain", "plain.test", routes=[to("web", "/x")], metadata={"annotations": {"a": "b"}})) == {}
    assert after(serving("unrelated")) == {}


def test_equal_objects_make_equal_bytes_in_any_order() -> None:
    objects = full()
    one, other = Site(*objects), Site(*reversed(objects))
    for type_url, collection in one.shape.items():
        assert dict(collection.items()) == dict(other.shape[type_url].items())
        assert all(isinstance(value, Resource) for value in collection.values.values())


def test_options_shape_the_listeners() -> None:
    options = Options(http_port=80, https_address="::", https_port=443, use_proxy_protocol=True, admin_port=0)
    site = Site(*full(), options=options)
    plain, secure = (site.message(LISTENER, name, pb.Listener) for name in ("ingress_http", "ingress_https"))
    assert plain.address.socket_address.port_value == 80
    assert secure.address.socket_address.ipv4_compat
    filters = [one.name for one in secure.listener_filters]
    assert filters == ["envoy.filters.listener.proxy_protocol", "envoy.filters.listener.tls_inspector"]
