"""Listeners, connection managers, TLS contexts, Envoy's own pages: httpproxy.md §4.10, §4.11; operations.md §7."""

from __future__ import annotations

from typing import Any

import pytest

from contour.envoy import config_source, hcm, listener, pb, rules, runtime, secret, static, tls
from contour.envoy.filters.order import TABLE, Kind, http_filters
from contour.envoy.options import Options

FILTER = "envoy.filters.http."
CLASSIC = config_source.CLASSIC


def manager(options: Options = Options(), kind: Kind = "http", **settings: Any) -> pb.HttpConnectionManager:  # noqa: B008
    settings.setdefault("routes", pb.Rds(route_config_name="ingress_http", config_source=CLASSIC))
    message = hcm.connection_manager(
        options,
        stat_prefix="ingress_http",
        access_log_path="/dev/stdout",
        filters=http_filters(kind, options),
        **settings,
    )
    assert rules.violations(message) == []
    return message


# --- connection managers and their filters ------------------------------------------------------------------------


def test_a_connection_manager_at_its_defaults() -> None:
    found = pb.to_dict(manager())
    del found["http_filters"]
    assert found == {
        "stat_prefix": "ingress_http",
        "rds": {"route_config_name": "ingress_http", "config_source": pb.to_dict(CLASSIC)},
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": "/dev/stdout",
                },
            }
        ],
        "common_http_protocol_options": {"idle_timeout": "60s"},
        "http_protocol_options": {"accept_http_10": True, "allow_chunked_length": True},
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "preserve_external_request_id": True,
    }


@pytest.mark.parametrize(
    ("timeout", "wanted"), [(None, {}), (0, {"idle_timeout": "0s"}), (10**9, {"idle_timeout": "1s"})]
)
def test_connection_idle_timeout(timeout: int | None, wanted: dict[str, str]) -> None:
    found = pb.to_dict(manager(Options(connection_idle_timeout=timeout)))
    assert found["common_http_protocol_options"] == wanted


def test_routes_may_come_in_other_ways() -> None:
    assert manager(routes=pb.RouteConfiguration(name="x")).route_config.name == "x"
    keys = pb.ScopedRoutes.ScopeKeyBuilder(
        fragments=[
            pb.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder(
                header_value_extractor=pb.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor(
                    name="x", index=0
                )
            )
        ]
    )
    scopes = pb.ScopedRoutes(
        name="x",
        scope_key_builder=keys,
        rds_config_source=CLASSIC,
        scoped_rds=pb.ScopedRds(scoped_rds_config_source=CLASSIC),
    )
    assert manager(routes=scopes).scoped_routes == scopes


_BASE = ("compressor", "grpc_web", "grpc_stats", "cors", "local_ratelimit")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("http", [*_BASE, "lua", "rbac"]),
        ("https", ["lua", *_BASE, "lua", "rbac"]),
        ("scoped_http", [*_BASE, "lua", "rbac"]),
        ("scoped_https", [*_BASE, "rbac"]),
    ],
)
def test_filters_in_their_order(kind: Kind, wanted: list[str]) -> None:
    found = [one.name for one in http_filters(kind, Options())]
    assert found == [*(FILTER + name for name in wanted), "router"]


def test_every_place_has_its_reason() -> None:
    assert all(row.reason for row in TABLE)


def test_settings_of_the_filters() -> None:
    by_name = {one.name: pb.to_dict(one)["typed_config"] for one in http_filters("http", Options())}
    for config in by_name.values():
        config.pop("@type")
    compressor = by_name[FILTER + "compressor"]
    assert len(compressor["response_direction_config"]["common_config"]["content_type"]) == 25
    assert compressor["compressor_library"]["name"] == "gzip"
    assert by_name[FILTER + "grpc_stats"] == {"emit_filter_state": True, "enable_upstream_stats": True}
    assert by_name[FILTER + "local_ratelimit"] == {"stat_prefix": "http"}
    assert by_name[FILTER + "lua"].keys() == {"source_codes"}
    assert by_name[FILTER + "grpc_web"] == by_name[FILTER + "cors"] == by_name[FILTER + "rbac"] == {}
    assert by_name["router"] == {}


# --- listeners ----------------------------------------------------------------------------------------------------


def test_a_plain_listener() -> None:
    chain = pb.FilterChain(filters=[hcm.network_filter(manager())])
    message = listener.listener("ingress_http", "0.0.0.0", 8080, [chain], Options(), tls=False)
    assert rules.violations(message) == []
    found = pb.to_dict(message)
    assert found["address"] == {"socket_address": {"address": "0.0.0.0", "port_value": 8080}}
    assert "listener_filters" not in found
    options = [(one.level, one.name, one.int_value) for one in message.socket_options]
    assert options == [(1, 9, 1), (6, 4, 45), (6, 5, 5), (6, 6, 9)]
    assert [one.description for one in message.socket_options] == [
        "Enable TCP keep-alive",
        "TCP keep-alive initial idle time",
        "TCP keep-alive time between probes",
        "TCP keep-alive probe count",
    ]


def test_both_families_on_one_address() -> None:
    message = listener.listener("x", "::", 80, [], Options(), tls=False)
    assert message.address.socket_address.ipv4_compat


@pytest.mark.parametrize(
    ("proxy", "tls", "wanted"),
    [
        (False, False, []),
        (False, True, ["tls_inspector"]),
        (True, False, ["proxy_protocol"]),
        (True, True, ["proxy_protocol", "tls_inspector"]),
    ],
)
def test_listener_filters(proxy: bool, tls: bool, wanted: list[str]) -> None:
    message = listener.listener("x", "::", 80, [], Options(use_proxy_protocol=proxy), tls=tls)
    assert [one.name for one in message.listener_filters] == [f"envoy.filters.listener.{name}" for name in wanted]


def test_a_listener_from_chains_that_are_bytes() -> None:
    chains = [pb.FilterChain(name=name) for name in ("a", "b")]
    message = listener.listener("x", "0.0.0.0", 80, chains, Options(), tls=True)
    encoded = listener.encoded_listener("x", "0.0.0.0", 80, [pb.serialize(c) for c in chains], Options(), tls=True)
    assert pb.Listener.FromString(encoded) == message


# --- TLS ----------------------------------------------------------------------------------------------------------


def context(options: Options, min_tls: str, max_tls: str) -> dict[str, Any]:
    message = tls.downstream("shop/tls/1", CLASSIC, options, min_tls=min_tls, max_tls=max_tls)
    assert rules.violations(tls.socket(message)) == []
    found: dict[str, Any] = pb.to_dict(message)["common_tls_context"]
    return found


def test_a_certificate_by_name_and_both_protocols() -> None:
    found = context(Options(), "1.2", "1.3")
    assert found["alpn_protocols"] == ["h2", "http/1.1"]
    assert found["tls_certificate_sds_secret_configs"] == [
        {"name": "shop/tls/1", "sds_config": pb.to_dict(CLASSIC)},
    ]
    assert found["tls_params"]["cipher_suites"] == list(Options().cipher_suites)


@pytest.mark.parametrize(
    ("settings", "host", "wanted"),
    [
        (("1.2", "1.3"), ("1.2", "1.3"), ("TLSv1_2", "TLSv1_3")),
        (("1.2", "1.3"), ("1.3", "1.3"), ("TLSv1_3", "TLSv1_3")),
        (("1.3", "1.3"), ("1.2", "1.3"), ("TLSv1_3", "TLSv1_3")),
        (("1.2", "1.2"), ("1.2", "1.3"), ("TLSv1_2", "TLSv1_2")),
        (("1.2", "1.3"), ("1.2", "1.2"), ("TLSv1_2", "TLSv1_2")),
    ],
)
def test_a_host_may_only_narrow_the_versions(
    settings: tuple[str, str], host: tuple[str, str], wanted: tuple[str, str]
) -> None:
    parameters = context(Options(min_tls=settings[0], max_tls=settings[1]), *host)["tls_params"]
    assert (parameters["tls_minimum_protocol_version"], parameters["tls_maximum_protocol_version"]) == wanted


def test_a_secret_for_sds() -> None:
    message = secret.tls_certificate("shop/tls/1", b"CERT", b"KEY")
    assert rules.violations(message) == []
    assert message.tls_certificate.certificate_chain.inline_bytes == b"CERT"
    assert message.tls_certificate.private_key.inline_bytes == b"KEY"


# --- Envoy's own pages --------------------------------------------------------------------------------------------


def pages(message: pb.Listener) -> list[str]:
    """Paths that a static listener serves, each for GET alone and to the admin cluster."""
    (packed,) = (one for chain in message.filter_chains for one in chain.filters)
    manager = pb.unpack(packed.typed_config)
    assert isinstance(manager, pb.HttpConnectionManager)
    (host,) = manager.route_config.virtual_hosts
    for one in host.routes:
        assert one.route.cluster == "envoy-admin"
        (method,) = one.match.headers
        assert (method.name, method.string_match.exact) == (":method", "GET")
    return [one.match.path for one in host.routes]


def test_statistics_and_readiness_on_one_port_administration_on_loopback() -> None:
    stats, admin = static.listeners(Options(stats_address="10.0.0.1", stats_port=1234), CLASSIC)
    assert (stats.name, admin.name) == ("stats-health", "envoy-admin")
    assert stats.address.socket_address.address == "10.0.0.1"
    assert stats.address.socket_address.port_value == 1234
    assert admin.address.socket_address.address == "127.0.0.1"
    assert pages(stats) == ["/ready", "/stats", "/stats/prometheus"]
    assert len(pages(admin)) == 11
    assert stats.ignore_global_conn_limit
    assert admin.ignore_global_conn_limit
    assert rules.violations(stats) == rules.violations(admin) == []


def test_no_administration_without_a_port() -> None:
    for port in (0, -1):
        assert [one.name for one in static.listeners(Options(admin_port=port), CLASSIC)] == ["stats-health"]


def test_the_runtime_layer() -> None:
    assert pb.to_dict(runtime.layer(Options(), ())) == {
        "name": "dynamic",
        "layer": {"re2.max_program_size.error_level": 1048576.0, "re2.max_program_size.warn_level": 1000.0},
    }
