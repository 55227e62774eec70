"""What each setting changes in listeners, connection managers, logs, Envoy's own pages and the runtime layer."""

from __future__ import annotations

from typing import Any

import pytest

from contour.envoy import accesslog, config_source, hcm, listener, metrics, pb, rules, runtime, static, tls
from contour.envoy.filters.order import http_filters
from contour.envoy.options import AccessLog, MetricsTLS, Options

SOURCE = config_source.ADS


def manager(**settings: Any) -> dict[str, Any]:
    """The connection manager's fields that differ from those at the defaults."""
    options = Options(**settings)
    found, defaults = (
        pb.to_dict(
            hcm.connection_manager(
                one,
                stat_prefix="x",
                access_log_path="/dev/stdout",
                routes=pb.RouteConfiguration(name="x"),
                filters=http_filters("http", one),
            )
        )
        for one in (options, Options())
    )
    return {
        key: found.get(key) for key in sorted(found.keys() | defaults.keys()) if found.get(key) != defaults.get(key)
    }


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"http_versions": frozenset({"1.1"})}, {"codec_type": "HTTP1"}),
        ({"http_versions": frozenset({"2"})}, {"codec_type": "HTTP2"}),
        ({"xff_trusted_hops": 2}, {"xff_num_trusted_hops": 2}),
        ({"strip_trailing_host_dot": True}, {"strip_trailing_host_dot": True}),
        ({"merge_slashes": False}, {"merge_slashes": None}),
        ({"allow_chunked_length": False}, {"http_protocol_options": {"accept_http_10": True}}),
        ({"server_header": "append_if_absent"}, {"server_header_transformation": "APPEND_IF_ABSENT"}),
        ({"server_header": "pass_through"}, {"server_header_transformation": "PASS_THROUGH"}),
        ({"http2_max_concurrent_streams": 30}, {"http2_protocol_options": {"max_concurrent_streams": 30}}),
        (
            {"max_requests_per_connection": 7},
            {"common_http_protocol_options": {"idle_timeout": "60s", "max_requests_per_connection": 7}},
        ),
        ({"request_timeout": 0}, {"request_timeout": "0s"}),
        ({"request_timeout": 1_500_000_000}, {"request_timeout": "1.500s"}),
        ({"stream_idle_timeout": 10**9}, {"stream_idle_timeout": "1s"}),
        ({"delayed_close_timeout": 10**9}, {"delayed_close_timeout": "1s"}),
        ({"drain_timeout": 10**9}, {"drain_timeout": "1s"}),
        (
            {"max_connection_duration": 10**9},
            {"common_http_protocol_options": {"idle_timeout": "60s", "max_connection_duration": "1s"}},
        ),
        ({"max_connection_duration": 0}, {}),
        ({"access_log": AccessLog(level="disabled")}, {"access_log": None}),
    ],
)
def test_of_a_connection_manager(settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert manager(**settings) == wanted


@pytest.mark.parametrize("algorithm", ["gzip", "brotli", "zstd"])
def test_compression(algorithm: Any) -> None:
    (first, *_) = http_filters("scoped_https", Options(compression=algorithm))
    found = pb.to_dict(first)["typed_config"]["compressor_library"]
    assert found["name"] == algorithm
    assert found["typed_config"]["@type"].rpartition(".")[2] == algorithm.capitalize()
    assert rules.violations(first) == []


def test_no_compression() -> None:
    names = [one.name for one in http_filters("http", Options(compression="disabled"))]
    assert "envoy.filters.http.compressor" not in names
    assert names[0] == "envoy.filters.http.grpc_web"


# --- listeners ----------------------------------------------------------------------------------------------------


def test_limits_of_a_listener() -> None:
    options = Options(exact_balance=True, buffer_limit=777, max_accepts_per_socket_event=4, tos=32, traffic_class=64)
    message = listener.listener("x", "::", 80, [], options, tls=False)
    assert rules.violations(message) == []
    found = pb.to_dict(message)
    assert found["connection_balance_config"] == {"exact_balance": {}}
    assert found["per_connection_buffer_limit_bytes"] == 777
    assert found["max_connections_to_accept_per_socket_event"] == 4
    assert [(one.level, one.name, one.int_value) for one in message.socket_options[4:]] == [(0, 1, 32), (41, 67, 64)]
    plain = pb.to_dict(listener.listener("x", "::", 80, [], Options(), tls=False))
    assert plain.keys() == {"name", "address", "socket_options"}
    assert len(plain["socket_options"]) == 4


@pytest.mark.parametrize(
    ("address", "any_family", "wanted"),
    [("0.0.0.0", False, [(0, 1)]), ("0.0.0.0", True, [(0, 1), (41, 67)]), ("::", False, [(0, 1), (41, 67)])],
)
def test_a_socket_of_ipv4_has_no_traffic_class(address: str, any_family: bool, wanted: list[Any]) -> None:
    options = Options(tos=32, traffic_class=64)
    message = listener.listener("x", address, 80, [], options, tls=False, any_family=any_family)
    assert [(one.level, one.name) for one in message.socket_options[4:]] == wanted


def test_fingerprints() -> None:
    message = listener.listener("x", "::", 443, [], Options(ja4=True), tls=True)
    (inspector,) = pb.to_dict(message)["listener_filters"]
    assert inspector["typed_config"].keys() == {"@type", "enable_ja4_fingerprinting"}


@pytest.mark.parametrize(
    ("versions", "wanted"), [({"1.1", "2"}, ["h2", "http/1.1"]), ({"1.1"}, ["http/1.1"]), ({"2"}, ["h2"])]
)
def test_protocols_that_are_offered(versions: Any, wanted: list[str]) -> None:
    options = Options(http_versions=frozenset(versions), ecdh_curves=("P-384",))
    socket = tls.downstream("x", SOURCE, options, min_tls="1.2", max_tls="1.3")
    found = pb.to_dict(socket)["common_tls_context"]
    assert found["alpn_protocols"] == wanted
    assert found["tls_params"]["ecdh_curves"] == ["P-384"]


# --- access logs --------------------------------------------------------------------------------------------------


def log(**settings: Any) -> dict[str, Any]:
    (message,) = accesslog.file_logs("/dev/stdout", AccessLog(**settings))
    assert rules.violations(message) == []
    found: dict[str, Any] = pb.to_dict(message)
    return found


def formatters(found: dict[str, Any]) -> list[str]:
    return [one["name"].rpartition(".")[2] for one in found["typed_config"]["log_format"].get("formatters", ())]


def test_the_line_of_envoy() -> None:
    assert log() == {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout",
        },
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%PROTOCOL%\n", []),
        ("%REQ_WITHOUT_QUERY(:PATH)%\n", ["req_without_query"]),
        ("%METADATA(ROUTE:x)% %REQ_WITHOUT_QUERY(:PATH)%\n", ["req_without_query", "metadata"]),
    ],
)
def test_a_line_of_text(text: str, wanted: list[str]) -> None:
    found = log(text=text)
    assert found["typed_config"]["log_format"]["text_format_source"] == {"inline_string": text}
    assert formatters(found) == wanted


def test_a_line_of_json() -> None:
    found = log(fields=(("kind", "%METADATA(ROUTE:x)%"), ("lit", "abc")), text="not used")
    assert found["typed_config"]["log_format"]["json_format"] == {"kind": "%METADATA(ROUTE:x)%", "lit": "abc"}
    assert found["typed_config"]["log_format"]["omit_empty_values"]
    assert formatters(found) == ["metadata"]


@pytest.mark.parametrize(("level", "floor"), [("error", 300), ("critical", 500)])
def test_answers_that_are_worth_a_line(level: str, floor: int) -> None:
    status, flags = log(level=level)["filter"]["or_filter"]["filters"]
    assert status["status_code_filter"]["comparison"] == {
        "op": "GE",
        "value": {"default_value": floor, "runtime_key": "contour.accesslog.filter.status_code"},
    }
    assert flags == {"response_flag_filter": {}}


# --- Envoy's own pages, the runtime layer -------------------------------------------------------------------------


def names(**settings: Any) -> list[str]:
    found = static.listeners(Options(**settings), SOURCE)
    for one in found:
        assert rules.violations(one) == []
    return [one.name for one in found]


def test_where_readiness_is_told() -> None:
    assert names(admin_port=0) == ["stats-health"]
    assert names(admin_port=0, health=("0.0.0.0", 8003)) == ["stats", "health"]
    assert names(enforced_health=("0.0.0.0", 8004)) == ["stats-health", "health-om-enforced", "envoy-admin"]


def test_connections_to_the_enforced_page_count() -> None:
    found = static.listeners(Options(enforced_health=("0.0.0.0", 8004)), SOURCE)
    assert [one.ignore_global_conn_limit for one in found] == [True, False, True]


def test_statistics_over_tls() -> None:
    files = MetricsTLS("/certs/tls.crt", "/certs/tls.key", "/certs/ca.crt")
    stats, health, _ = static.listeners(Options(stats_tls=files, health=("0.0.0.0", 8003)), SOURCE)
    context = pb.to_dict(stats.filter_chains[0].transport_socket)["typed_config"]
    assert context["require_client_certificate"]
    assert context["common_tls_context"]["tls_params"] == {
        "tls_minimum_protocol_version": "TLSv1_3",
        "tls_maximum_protocol_version": "TLSv1_3",
    }
    assert not health.filter_chains[0].HasField("transport_socket")
    assert metrics.secrets(files).keys() == {"metrics-tls-certificate", "metrics-ca-certificate"}
    assert metrics.secrets(MetricsTLS("/a", "/b")).keys() == {"metrics-tls-certificate"}
    assert metrics.secrets(None) == {}


def test_what_the_runtime_layer_holds() -> None:
    options = Options(
        max_requests_per_io_cycle=10,
        max_connections_per_listener=9,
        runtime_settings=(
            ("http.max_requests_per_io_cycle", "1"),
            ("re2.max_program_size.error_level", "5"),
            ("x", "y"),
        ),
    )
    assert pb.to_dict(runtime.layer(options, ["ingress_http"]))["layer"] == {
        "envoy.resource_limits.listener.ingress_http.connection_limit": 9.0,
        "http.max_requests_per_io_cycle": 10.0,  # of the settings: no runtime key changes it
        "re2.max_program_size.error_level": "5",  # as in the reference
        "re2.max_program_size.warn_level": 1000.0,
        "x": "y",
    }
