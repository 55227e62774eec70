"""httpproxy.md §4.1 and §4.3, with their test vectors."""

from __future__ import annotations

import hashlib

import pytest

from contour.api.meta import Ref
from contour.dag import graph
from contour.envoy import names

SECOND = 1_000_000_000
CART = graph.ServicePort("shop", "cart", 8080, "http")


def test_a_cluster_without_settings() -> None:
    assert names.cluster(graph.Cluster(CART)) == "shop/cart/8080/da39a3ee5e"


def test_a_cluster_with_many_settings() -> None:
    cluster = graph.Cluster(
        CART,
        lb_policy="WeightedLeastRequest",
        protocol="tls",
        sni="cart.internal",
        health_check=graph.HealthCheck(
            path="/ready", timeout=2 * SECOND, interval=5 * SECOND, unhealthy_threshold=3, healthy_threshold=3
        ),
        idle_timeout=90 * SECOND,
    )
    assert names.cluster(cluster) == "shop/cart/8080/812d0b9119"


def test_long_parts_are_cut_from_the_end_until_the_name_is_short_enough() -> None:
    port = graph.ServicePort("team-payments-production-eu-west", "settlement-reconciliation-worker-service", 8443)
    assert names.cluster(graph.Cluster(port, lb_policy="Cookie")) == "team-pay-c88cb2/settleme-c88cb2/8443/e4f81994fe"


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({"lb_policy": "Cookie"}, "e4f81994fe"),
        ({"lb_policy": "RequestHash"}, "1a2ffc1fef"),
        ({"lb_policy": "WeightedLeastRequest"}, "8bf87fefba"),
        ({"lb_policy": "Random"}, "58d888c08a"),
        ({"lb_policy": "RoundRobin"}, "f3b72af6a9"),
        ({"protocol": "tls"}, "4929fca9d4"),
        ({"protocol": "h2"}, "bf1c365741"),
        ({"protocol": "h2c"}, "f4f94965ec"),
    ],
)
def test_digest_of_one_setting(settings: dict[str, str], digest: str) -> None:
    assert names.cluster_digest(graph.Cluster(CART, **settings)) == digest


@pytest.mark.parametrize(
    ("cluster", "text"),
    [
        (graph.Cluster(CART, idle_timeout=0), "0s"),
        (graph.Cluster(CART, health_check=graph.HealthCheck(path="/x", interval=-SECOND)), "/x"),
        (
            graph.Cluster(CART, validation=graph.UpstreamValidation(Ref("a", "ca"), b"PEM", ("one", "two"))),
            "caone",
        ),
        (graph.Cluster(CART, slow_start=graph.SlowStart(30 * SECOND, 1.5, 10)), "30s1.50000010"),
    ],
)
def test_what_goes_into_the_digest(cluster: graph.Cluster, text: str) -> None:
    assert names.cluster_digest(cluster) == hashlib.sha1(text.encode()).hexdigest()[:10]


@pytest.mark.parametrize(
    "cluster",
    [
        graph.Cluster(CART, health_check=graph.HealthCheck(tcp=True, timeout=SECOND)),
        graph.Cluster(CART, circuit_breakers=graph.CircuitBreakers(max_connections=1)),
        graph.Cluster(CART, dns_lookup_family="v4"),
        graph.Cluster(CART, http=False),
    ],
)
def test_what_does_not(cluster: graph.Cluster) -> None:
    assert names.cluster_digest(cluster) == "da39a3ee5e"


def test_a_host_name_of_70_characters() -> None:
    host = "very-long-subdomain-name-number-one.region-a.apps.internal.example.com"
    assert names.virtual_host(host) == "b081351fa2e7143d252d0e0984498dc618e197566da6c4000aecbb345de1"
    assert names.https_route_configuration(host) == f"https/{host}"


def test_the_limit_is_strict() -> None:
    assert names.hashname(60, "a" * 59) == "a" * 59
    assert len(names.hashname(60, "a" * 60)) == 60
    assert names.hashname(60, "a" * 60) == hashlib.sha256(b"a" * 60).hexdigest()[:60]


def test_a_share_smaller_than_the_suffix() -> None:
    name = names.hashname(12, "aaaaaaaaaa", "bbbbbbbbbb")
    digest = hashlib.sha256(b"aaaaaaaaaa/bbbbbbbbbb").hexdigest()
    assert name == digest[:12], "two shares of 6 and the slash are not less than 12"


def test_no_settings_of_a_key_set_s_server_can_be_written_as_others() -> None:
    def name(*subject_names: str) -> str:
        trust = graph.UpstreamValidation(Ref("vault", "ca"), b"", subject_names)
        return names.scoped_upstream(graph.DnsCluster("https", "idp.test", 443, trust))

    assert name("a|b") != name("a", "b") != name("a,b")
    assert len(name("a").rpartition("/")[2]) == 32


def test_a_secret_is_named_by_its_certificate() -> None:
    assert names.secret(Ref("shop", "tls-cert"), b"PEMDATA") == "shop/tls-cert/b20e4fe0d0"


def test_an_assignment_is_named_by_the_port_if_that_has_a_name() -> None:
    assert names.assignment(CART) == "shop/cart/http"
    assert names.assignment(graph.ServicePort("shop", "cart", 80)) == "shop/cart"
    assert names.alt_stat_name(CART) == "shop_cart_8080"
