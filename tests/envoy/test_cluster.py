"""httpproxy.md §4.4 and §4.5."""

from __future__ import annotations

from typing import Any

import pytest

from contour.api.meta import Ref
from contour.dag import graph
from contour.envoy import config_source, pb, rules
from contour.envoy.cluster import cluster
from contour.envoy.options import DEFAULT_CIPHER_SUITES, Options

SECOND = 1_000_000_000
WEB = graph.ServicePort("shop", "web", 80, "http")
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def fields(c: graph.Cluster, source: pb.ConfigSource = config_source.CLASSIC) -> dict[str, Any]:
    message = cluster(c, Options(), source)
    assert rules.violations(message) == []
    return pb.to_dict(message)


def test_a_cluster_without_settings() -> None:
    grpc = {"envoy_grpc": {"cluster_name": "contour", "authority": "contour"}}
    assert fields(graph.Cluster(WEB)) == {
        "name": "shop/web/80/da39a3ee5e",
        "alt_stat_name": "shop_web_80",
        "type": "EDS",
        "connect_timeout": "2s",
        "common_lb_config": {"healthy_panic_threshold": {}},
        "eds_cluster_config": {
            "service_name": "shop/web/http",
            "eds_config": {
                "resource_api_version": "V3",
                "api_config_source": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [grpc],
                },
            },
        },
    }


def test_endpoints_over_the_stream_that_is_there() -> None:
    source = fields(graph.Cluster(WEB), config_source.ADS)["eds_cluster_config"]["eds_config"]
    assert source == {"ads": {}, "resource_api_version": "V3"}


def test_limits_of_connections_to_upstreams() -> None:
    options = Options(upstream_max_requests_per_connection=3, upstream_buffer_limit=4096)
    found = pb.to_dict(cluster(graph.Cluster(WEB), options, config_source.CLASSIC))
    assert found["per_connection_buffer_limit_bytes"] == 4096
    assert found["typed_extension_protocol_options"][HTTP_OPTIONS]["common_http_protocol_options"] == {
        "max_requests_per_connection": 3
    }
    connections = pb.to_dict(cluster(graph.Cluster(WEB, http=False), options, config_source.CLASSIC))
    assert not connections.keys() & {"per_connection_buffer_limit_bytes", "typed_extension_protocol_options"}


def test_connect_timeout() -> None:
    message = cluster(graph.Cluster(WEB), Options(connect_timeout=250_000_000), config_source.CLASSIC)
    assert message.connect_timeout.ToMilliseconds() == 250


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("RoundRobin", None),
        ("WeightedLeastRequest", "LEAST_REQUEST"),
        ("Random", "RANDOM"),
        ("Cookie", "RING_HASH"),
        ("RequestHash", "RING_HASH"),
    ],
)
def test_load_balancing(policy: str, wanted: str | None) -> None:
    assert fields(graph.Cluster(WEB, lb_policy=policy)).get("lb_policy") == wanted


def test_http_health_check_with_defaults() -> None:
    found = fields(graph.Cluster(WEB, protocol="h2c", health_check=graph.HealthCheck(path="/ready")))
    assert found["ignore_health_on_host_removal"] is True
    assert found["health_checks"] == [
        {
            "timeout": "2s",
            "interval": "10s",
            "unhealthy_threshold": 3,
            "healthy_threshold": 2,
            "http_health_check": {
                "path": "/ready",
                "host": "contour-envoy-healthcheck",
                "codec_client_type": "HTTP2",
            },
        }
    ]


def test_http_health_check_with_everything() -> None:
    check = graph.HealthCheck(
        path="/x",
        host="h",
        timeout=SECOND,
        interval=3 * SECOND,
        unhealthy_threshold=5,
        healthy_threshold=6,
        expected_statuses=((200, 300), (404, 405)),
    )
    (found,) = fields(graph.Cluster(WEB, health_check=check))["health_checks"]
    assert (found["timeout"], found["interval"]) == ("1s", "3s")
    assert (found["unhealthy_threshold"], found["healthy_threshold"]) == (5, 6)
    assert found["http_health_check"] == {
        "path": "/x",
        "host": "h",
        "expected_statuses": [{"start": "200", "end": "300"}, {"start": "404", "end": "405"}],
    }


def test_tcp_health_check() -> None:
    (found,) = fields(graph.Cluster(WEB, health_check=graph.HealthCheck(tcp=True)))["health_checks"]
    assert found["tcp_health_check"] == {}
    assert "http_health_check" not in found


def test_any_limit_brings_both_lists_of_circuit_breakers() -> None:
    limits = graph.CircuitBreakers(max_requests=7, per_host_max_connections=0)
    assert fields(graph.Cluster(WEB, circuit_breakers=limits))["circuit_breakers"] == {
        "thresholds": [{"max_requests": 7, "track_remaining": True}],
        "per_host_thresholds": [{"track_remaining": True}],
    }
    limits = graph.CircuitBreakers(1, 2, 3, 4, 5)
    assert fields(graph.Cluster(WEB, circuit_breakers=limits))["circuit_breakers"] == {
        "thresholds": [
            {
                "max_connections": 1,
                "max_pending_requests": 2,
                "max_requests": 3,
                "max_retries": 4,
                "track_remaining": True,
            }
        ],
        "per_host_thresholds": [{"max_connections": 5, "track_remaining": True}],
    }


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, None),
        ({"protocol": "tls"}, None),
        ({"protocol": "h2c"}, {"explicit_http_config": {"http2_protocol_options": {}}}),
        ({"protocol": "h2"}, {"explicit_http_config": {"http2_protocol_options": {}}}),
        (
            {"idle_timeout": 0},
            {
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": "0s"},
            },
        ),
        (
            {"protocol": "h2c", "idle_timeout": 90 * SECOND},
            {
                "explicit_http_config": {"http2_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": "90s"},
            },
        ),
    ],
)
def test_http_options_of_the_upstream(settings: dict[str, Any], wanted: dict[str, Any] | None) -> None:
    found = fields(graph.Cluster(WEB, **settings)).get("typed_extension_protocol_options", {}).get(HTTP_OPTIONS)
    if found is not None:
        found.pop("@type")
    assert found == wanted


def upstream_tls(**settings: Any) -> dict[str, Any]:
    socket = fields(graph.Cluster(WEB, **settings))["transport_socket"]
    assert socket["name"] == "envoy.transport_sockets.tls"
    context: dict[str, Any] = socket["typed_config"]
    return context


def test_tls_without_validation() -> None:
    context = upstream_tls(protocol="tls", sni="web.internal")
    assert context["sni"] == "web.internal"
    assert context["common_tls_context"] == {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
            "cipher_suites": list(DEFAULT_CIPHER_SUITES),
        }
    }


def test_h2_is_negotiated_and_its_certificate_checked_by_every_name() -> None:
    validation = graph.UpstreamValidation(Ref("shop", "ca"), b"PEM", ("a.test", "b.test"))
    common = upstream_tls(protocol="h2", validation=validation)["common_tls_context"]
    assert common["alpn_protocols"] == ["h2"]
    assert common["validation_context"] == {
        "trusted_ca": {"inline_bytes": "UEVN"},
        "match_typed_subject_alt_names": [
            {"san_type": "DNS", "matcher": {"exact": "a.test"}},
            {"san_type": "DNS", "matcher": {"exact": "b.test"}},
        ],
    }


def test_slow_start() -> None:
    start = graph.SlowStart(30 * SECOND, 1.5, 10)
    wanted = {
        "slow_start_config": {
            "slow_start_window": "30s",
            "aggression": {"default_value": 1.5, "runtime_key": "contour.slowstart.aggression"},
            "min_weight_percent": {"value": 10.0},
        }
    }
    assert fields(graph.Cluster(WEB, slow_start=start))["round_robin_lb_config"] == wanted
    least = graph.Cluster(WEB, lb_policy="WeightedLeastRequest", slow_start=start)
    assert fields(least)["least_request_lb_config"] == wanted


@pytest.mark.parametrize(
    ("family", "kind", "wanted"),
    [
        ("auto", "STRICT_DNS", None),
        ("v4", "STRICT_DNS", "V4_ONLY"),
        ("v6", "STRICT_DNS", "V6_ONLY"),
        ("all", "LOGICAL_DNS", "ALL"),
    ],
)
def test_external_name(family: str, kind: str, wanted: str | None) -> None:
    port = graph.ServicePort("shop", "web", 80, "http", external_name="api.example.org")
    check = graph.HealthCheck(path="/", port=8081)
    found = fields(graph.Cluster(port, dns_lookup_family=family, health_check=check))
    assert found["type"] == kind
    assert found.get("dns_lookup_family") == wanted
    assert "eds_cluster_config" not in found
    endpoint = {
        "address": {"socket_address": {"address": "api.example.org", "port_value": 80}},
        "health_check_config": {"port_value": 8081},
    }
    assert found["load_assignment"] == {
        "cluster_name": "shop/web/http",
        "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
    }
