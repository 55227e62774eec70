"""The `classic` shape: which resources there are, how they follow changes, and that a real Envoy serves them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from contour.api.decode import decode
from contour.api.meta import Ref
from contour.dag.build import Graph
from contour.dag.options import Options as GraphOptions
from contour.envoy import classic, pb, rules
from contour.envoy.options import Options
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME, SECRET, Resource, version_of
from contour.envoy.upstreams import Shape
from contour.reactive import Engine
from contour.store import Store
from contour.testing import certs, envoy

AUTHORITY = certs.Authority()
PAIR = AUTHORITY.sign("*.test")
STATIC = {"stats-health", "envoy-admin"}


class World:
    """A store and the shape that is made of it."""

    def __init__(self, *objects: dict[str, Any], options: Options = Options()) -> None:  # noqa: B008
        self.engine = Engine()
        self.store = Store(self.engine)
        graph = Graph(self.engine, self.store, GraphOptions())
        self.shape: Shape = classic.attach(self.engine, graph, options)
        self.change(*objects)

    def change(self, *objects: dict[str, Any]) -> dict[str, tuple[set[str], set[str]]]:
        """Apply objects; by short type name, what was set and what was removed."""
        for one in objects:
            self.store.apply(decode(one))
        return self._commit()

    def remove(self, kind: str, name: str) -> dict[str, tuple[set[str], set[str]]]:
        self.store.delete(kind, Ref("shop", name))
        return self._commit()

    def _commit(self) -> dict[str, tuple[set[str], set[str]]]:
        changes = self.engine.commit()
        found = {url.rpartition(".")[2]: changes[collection] for url, collection in self.shape.items()}
        return {name: (set(one.set), one.removed) for name, one in found.items() if one}

    def names(self, url: Any) -> set[str]:
        return set(self.shape[url])

    def message(self, url: Any, name: str) -> dict[str, Any]:
        found = self.shape[url].get(name)
        assert isinstance(found, Resource)
        assert (found.name, found.version) == (name, version_of(found.body))
        cls = pb.message_class(url)
        assert cls is not None
        message = cls.FromString(found.body)
        assert rules.violations(message) == []
        return pb.to_dict(message)


def service(name: str) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    metadata = {"namespace": "shop", "name": name}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}


def endpoint_slice(name: str, *addresses: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": f"{name}-x", "labels": labels},
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def proxy(name: str, service: str, *, tls: bool = False, prefix: str = "/") -> dict[str, Any]:
    host: dict[str, Any] = {"fqdn": f"{name}.test"}
    if tls:
        host["tls"] = {"secretName": "tls"}
    route = {"conditions": [{"prefix": prefix}], "services": [{"name": service, "port": 80}]}
    return {
        "apiVersion": "projectcontour.io/v1",
        "kind": "HTTPProxy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"virtualhost": host, "routes": [route]},
    }


def tls_secret(pair: certs.Pair = PAIR) -> dict[str, Any]:
    data = {"tls.crt": pair.certificate, "tls.key": pair.private_key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "shop", "name": "tls"},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def test_nothing_is_an_empty_route_configuration_and_envoys_own_pages() -> None:
    world = World()
    assert world.names(ROUTE) == {"ingress_http"}
    assert "virtual_hosts" not in world.message(ROUTE, "ingress_http")
    assert world.names(LISTENER) == STATIC
    assert world.names(RUNTIME) == {"dynamic"}
    assert world.names(CLUSTER) == world.names(ENDPOINTS) == world.names(SECRET) == set()


def test_a_plain_host() -> None:
    world = World(service("web"), endpoint_slice("web", "10.0.0.1"), proxy("a", "web"))
    assert world.names(LISTENER) == STATIC | {"ingress_http"}
    assert world.names(CLUSTER) == {"shop/web/80/da39a3ee5e"}
    assert world.names(ENDPOINTS) == {"shop/web/http"}
    (host,) = world.message(ROUTE, "ingress_http")["virtual_hosts"]
    assert host["name"] == "a.test"
    assert host["routes"][0]["route"]["cluster"] == "shop/web/80/da39a3ee5e"


def test_a_tls_host() -> None:
    world = World(service("web"), tls_secret(), proxy("b", "web", tls=True), proxy("a", "web", tls=True))
    assert world.names(ROUTE) == {"ingress_http", "https/a.test", "https/b.test"}
    plain = world.message(ROUTE, "ingress_http")["virtual_hosts"]
    assert [host["name"] for host in plain] == ["a.test", "b.test"]
    assert all(route["redirect"]["https_redirect"] for host in plain for route in host["routes"])
    chains = world.message(LISTENER, "ingress_https")["filter_chains"]
    assert [chain["filter_chain_match"]["server_names"] for chain in chains] == [["a.test"], ["b.test"]]
    managers = [chain["filters"][0]["typed_config"] for chain in chains]
    assert [one["rds"]["route_config_name"] for one in managers] == ["https/a.test", "https/b.test"]
    assert {one["stat_prefix"] for one in managers} == {"ingress_https"}
    (name,) = world.names(SECRET)
    contexts = [chain["transport_socket"]["typed_config"]["common_tls_context"] for chain in chains]
    for context in contexts:
        assert [one["name"] for one in context["tls_certificate_sds_secret_configs"]] == [name]


def test_the_chain_of_any_host_is_the_last_and_has_no_server_name() -> None:
    host = proxy("any", "web", tls=True)
    host["spec"]["virtualhost"]["fqdn"] = "*"
    world = World(service("web"), tls_secret(), host, proxy("a", "web", tls=True))
    chains = world.message(LISTENER, "ingress_https")["filter_chains"]
    assert [one["filter_chain_match"] for one in chains] == [
        {"server_names": ["a.test"]},
        {"transport_protocol": "tls"},
    ]


def test_an_edit_changes_what_it_touches() -> None:
    world = World(
        service("web"), service("api"), tls_secret(), proxy("a", "web", tls=True), proxy("b", "api", tls=True)
    )
    assert world.change(endpoint_slice("web", "10.0.0.1")) == {"ClusterLoadAssignment": ({"shop/web/http"}, set())}
    assert world.change(endpoint_slice("web", "10.0.0.1")) == {}
    assert world.change(proxy("b", "api", tls=True, prefix="/x")) == {
        "RouteConfiguration": ({"ingress_http", "https/b.test"}, set())
    }
    assert world.remove("HTTPProxy", "b") == {
        "Cluster": (set(), {"shop/api/80/da39a3ee5e"}),
        "ClusterLoadAssignment": (set(), {"shop/api/http"}),
        "Listener": ({"ingress_https"}, set()),
        "RouteConfiguration": ({"ingress_http"}, {"https/b.test"}),
    }
    assert world.remove("HTTPProxy", "a")["Listener"] == (set(), {"ingress_http", "ingress_https"})
    assert world.names(SECRET) == set()


def test_a_new_certificate_is_a_new_name_and_a_new_listener() -> None:
    world = World(service("web"), tls_secret(), proxy("a", "web", tls=True))
    (before,) = world.names(SECRET)
    changed = world.change(tls_secret(AUTHORITY.sign("*.test")))
    (after,) = world.names(SECRET)
    assert changed == {"Secret": ({after}, {before}), "Listener": ({"ingress_https"}, set())}


def test_services_share_their_endpoints_whatever_their_clusters_say() -> None:
    checked = proxy("b", "web")
    checked["spec"]["routes"][0]["healthCheckPolicy"] = {"path": "/ready"}
    world = World(service("web"), proxy("a", "web"), checked)
    assert len(world.names(CLUSTER)) == 2
    assert world.names(ENDPOINTS) == {"shop/web/http"}


def test_a_service_without_slices_has_the_endpoints_of_the_older_kind() -> None:
    older = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"namespace": "shop", "name": "web"},
        "subsets": [{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"name": "http", "port": 1, "protocol": "TCP"}]}],
    }
    world = World(service("web"), proxy("a", "web"), older)
    assert "10.0.0.9" in str(world.message(ENDPOINTS, "shop/web/http"))
    world.change(endpoint_slice("web", "10.0.0.1"))
    assert "10.0.0.9" not in str(world.message(ENDPOINTS, "shop/web/http"))


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_events_does_not_matter(order: int) -> None:
    objects = [
        service("web"),
        endpoint_slice("web", "10.0.0.2", "10.0.0.1"),
        tls_secret(),
        *(proxy(name, "web", tls=name > "c") for name in "abcdef"),
    ]
    one = World(*objects)
    other = World()
    for each in objects[::order]:
        other.change(each)
    for url, collection in one.shape.items():
        assert dict(collection.items()) == dict(other.shape[url].items())


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_key_sets_with_one_cluster_name_the_first_host_decides(order: int) -> None:
    """httpproxy.md §4.1: neither the family nor the port is part of the name."""

    def with_keys(name: str, family: str) -> dict[str, Any]:
        one = proxy(name, "web", tls=True)
        keys = {"uri": "https://idp.test/keys", "dnsLookupFamily": family}
        one["spec"]["virtualhost"]["jwtProviders"] = [{"name": "p", "remoteJWKS": keys}]
        return one

    world = World(service("web"), tls_secret())
    world.change(*[with_keys("a", "v6"), with_keys("b", "v4")][::order])
    assert world.message(CLUSTER, "dnsname/https/idp.test")["dns_lookup_family"] == "V6_ONLY"
    world.remove("HTTPProxy", "a")
    assert world.message(CLUSTER, "dnsname/https/idp.test")["dns_lookup_family"] == "V4_ONLY"


def test_envoy_takes_it() -> None:
    world = World(service("web"), endpoint_slice("web", "10.0.0.1"), tls_secret(), proxy("a", "web", tls=True))
    resources = {
        "listeners": [world.message(LISTENER, name) for name in sorted(world.names(LISTENER))],
        "clusters": [world.message(CLUSTER, name) for name in world.names(CLUSTER)],
    }
    # Names that the rest of the bootstrap would bring.
    for name in ("contour", "envoy-admin"):
        resources["clusters"].append({"name": name, "type": "STATIC", "connect_timeout": "1s"})
    # A bootstrap may not subscribe over a cluster without HTTP/2.
    resources["clusters"][-2]["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    assert envoy.validate({"static_resources": resources, "node": {"id": "a", "cluster": "b"}}) is None
