"""operations.md §1.4 and §3: what `contour bootstrap` writes, and that Envoy takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contour.cli import main
from contour.envoy.bootstrap import Settings, bootstrap, sds_files
from contour.testing import certs, envoy

_GRPC = {"envoy_grpc": {"cluster_name": "contour", "authority": "contour"}}


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["bootstrap", *arguments])
    return ended.value.code


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    authority = certs.Authority()
    pair = authority.sign("envoy", client=True)
    for name, content in (("ca", authority.certificate), ("cert", pair.certificate), ("key", pair.private_key)):
        (tmp_path / f"{name}.pem").write_bytes(content)
    return {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}


def tls_flags(files: dict[str, str]) -> list[str]:
    return ["--envoy-cafile", files["ca"], "--envoy-cert-file", files["cert"], "--envoy-key-file", files["key"]]


@pytest.mark.parametrize("shape", ["scoped", "classic"])
@pytest.mark.parametrize("resources", [False, True])
def test_envoy_takes_what_is_written(shape: str, resources: bool, files: dict[str, str], tmp_path: Path) -> None:
    flags = [*tls_flags(files), "--shape", shape, "--overload-max-heap", "1000000000"]
    flags += ["--overload-downstream-max-conn", "1000", "--admin-address", str(tmp_path / "a.sock")]
    flags += ["--resources-dir", str(tmp_path / "r")] if resources else []
    assert run(str(tmp_path / "envoy.json"), *flags) == 0
    config = json.loads((tmp_path / "envoy.json").read_text())
    config.setdefault("node", {}).update(id="n", cluster="c")
    assert envoy.validate(config) is None
    assert (tmp_path / "r/sds/xds-tls-certificate.json").exists() is resources


def test_classic_is_the_reference_s_own() -> None:
    config = bootstrap(Settings(shape="classic", xds_address="contour.test", dns_lookup_family="v4"))
    xds = {
        "api_config_source": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [_GRPC]},
        "resource_api_version": "V3",
    }
    assert config["dynamic_resources"] == {"lds_config": xds, "cds_config": xds}
    assert config["layered_runtime"]["layers"][0]["rtds_layer"] == {"name": "dynamic", "rtds_config": xds}
    ours = {"node", "cluster_manager", "deferred_stat_options", "stats_config", "stats_flush_on_admin"}
    assert not {*ours, "overload_manager"} & config.keys()
    contour, admin = config["static_resources"]["clusters"]
    assert (contour["type"], contour["dns_lookup_family"]) == ("STRICT_DNS", "V4_ONLY")
    assert contour["alt_stat_name"] == "projectcontour_contour_8001"
    assert contour["upstream_connection_options"] == {
        "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 5}
    }
    limits = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 60000000}
    limits |= {"max_retries": 50, "track_remaining": True}
    assert contour["circuit_breakers"]["thresholds"] == [{"priority": "HIGH", **limits}, limits]
    options = contour["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    assert options["explicit_http_config"] == {"http2_protocol_options": {}}
    assert admin["alt_stat_name"] == "projectcontour_envoy-admin_9001"
    assert config["admin"]["address"] == {"pipe": {"path": "/admin/admin.sock", "mode": 420}}


def test_scoped_is_one_delta_stream() -> None:
    config = bootstrap(Settings())
    ads = {"ads": {}, "resource_api_version": "V3"}
    back_off = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
    assert config["dynamic_resources"] == {
        "lds_config": ads,
        "cds_config": ads,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {**_GRPC["envoy_grpc"], "retry_policy": back_off}}],
            "set_node_on_first_message_only": True,
        },
    }
    assert config["node"] == {"metadata": {"contour": {"shape": "scoped"}}}
    assert config["deferred_stat_options"] == {"enable_deferred_creation_stats": True}
    assert config["cluster_manager"] == {"enable_deferred_cluster_creation": True}
    assert config["stats_config"]["stats_matcher"]["exclusion_list"]["patterns"] == [
        {"contains": ".lb_subsets_"},
        {"contains": ".lb_zone_"},
        {"safe_regex": {"regex": r"(cluster|sds)\..*\.update_duration"}},
    ]
    assert config["stats_flush_on_admin"] is True
    assert config["static_resources"]["clusters"][0]["type"] == "STATIC"


def test_addresses() -> None:
    def address(**settings: str) -> object:
        cluster = bootstrap(Settings(**settings))["static_resources"]["clusters"][0]
        return cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]

    assert address() == {"socket_address": {"address": "127.0.0.1", "port_value": 8001}}
    assert address(xds_address="::") == {"socket_address": {"address": "::", "port_value": 8001, "ipv4_compat": True}}
    assert address(xds_socket="/run/x.sock") == {"pipe": {"path": "/run/x.sock"}}


def test_tls_files(files: dict[str, str]) -> None:
    settings = Settings(ca_file=files["ca"], cert_file=files["cert"], key_file=files["key"])
    cluster = bootstrap(settings)["static_resources"]["clusters"][0]
    context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
    assert context["tls_params"] == {"tls_maximum_protocol_version": "TLSv1_3"}
    assert context["validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "contour"}}
    ]
    assert sds_files(settings) == {}


def test_sds_files(files: dict[str, str]) -> None:
    settings = Settings(ca_file="/c/ca", cert_file="/c/crt", key_file="/c/key", resources_dir="/r")
    certificate, validation = sds_files(settings).values()
    secret = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    assert certificate == {
        "resources": [
            {
                "@type": secret,
                "name": "contour_xds_tls_certificate",
                "tls_certificate": {
                    "certificate_chain": {"filename": "/c/crt"},
                    "private_key": {"filename": "/c/key"},
                },
            }
        ]
    }
    assert validation["resources"][0]["name"] == "contour_xds_tls_validation_context"
    cluster = bootstrap(settings)["static_resources"]["clusters"][0]
    context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
    assert len(context["tls_params"]["signature_algorithms"]) == 10
    assert context["validation_context_sds_secret_config"]["sds_config"] == {
        "path_config_source": {"path": "/r/sds/xds-validation-context.json"},
        "resource_api_version": "V3",
    }


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--xds-resource-version", "v2", "--admin-address", "localhost"], "resource version"),
        (["--admin-address", "localhost"], "admin address"),
        (["--admin-address", "::1", "--overload-downstream-max-conn", "-1"], "admin address"),
        (["--overload-downstream-max-conn", "-1", "--envoy-cafile", "x"], "negative"),
        (["--envoy-cafile", "x"], "all three"),
        (["--envoy-cafile", "/no/ca", "--envoy-cert-file", "/no/c", "--envoy-key-file", "/no/k"], "/no/ca is missing"),
        (["--overload-max-heap", "-1"], "overload-max-heap"),
        (["--shape", "other"], "shape"),
    ],
)
def test_bad_flags_are_fatal(flags: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-", *flags) == 1
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_an_empty_file_is_as_good_as_none(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files["key"]).write_bytes(b"")
    assert run("-", *tls_flags(files)) == 1
    assert "key.pem is missing or empty" in capsys.readouterr().err


def test_standard_output_and_environment(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTOUR_NAMESPACE", "edge")
    monkeypatch.setenv("ENVOY_CAFILE", files["ca"])
    monkeypatch.setenv("ENVOY_CERT_FILE", files["cert"])
    monkeypatch.setenv("ENVOY_KEY_FILE", files["key"])
    assert run("-") == 0
    cluster = json.loads(capsys.readouterr().out)["static_resources"]["clusters"][0]
    assert cluster["alt_stat_name"] == "edge_contour_8001"
    assert "transport_socket" in cluster


def test_unwritable_destination(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "no" / "envoy.json")) == 1
    assert "cannot write" in capsys.readouterr().err
