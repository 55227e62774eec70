"""Envoy's own pages (operations.md §7.10): statistics, readiness, administration; and the runtime layer."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World

from contour.testing.certs import Authority
from contour.testing.clients import Address, Http1, connect, get
from contour.testing.ports import free_port

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-pages")]


def statuses(address: Address, *paths: str) -> list[int]:
    return [get(address, "any", path).status for path in paths]


def test_statistics_and_readiness_in_one_place(tmp_path: Path) -> None:
    with configured(tmp_path) as world:
        pages = world.address("stats-health")
        assert statuses(pages, "/ready", "/stats", "/stats/prometheus") == [200] * 3
        assert statuses(pages, "/quitquitquit", "/config_dump", "/") == [404] * 3
        with Http1(connect(pages)) as client:
            assert client.request("POST", "any", "/ready").status == 404
        assert b"envoy_server_live" in get(pages, "any", "/stats/prometheus").body


def test_statistics_elsewhere_and_readiness_that_counts(tmp_path: Path) -> None:
    """The flags say where readiness is told, the file where statistics are."""
    stats, enforced, ready = free_port(), free_port(), free_port()
    text = f"""
metrics: {{envoy: {{address: 127.0.0.1, port: {stats}}}}}
omEnforcedHealthListener: {{address: 127.0.0.1, port: {enforced}}}
"""
    with configured(tmp_path, text, stats_address="127.0.0.1", stats_port=ready) as world:
        here = "127.0.0.1"
        assert statuses((here, stats), "/stats", "/stats/prometheus", "/ready") == [200, 200, 404]
        assert statuses((here, ready), "/ready", "/stats") == [200, 404]
        assert statuses((here, enforced), "/ready", "/stats") == [200, 404]
        assert world.address("health-om-enforced") == (here, enforced)


@pytest.mark.parametrize("with_ca", [False, True], ids=["anybody", "own-clients"])
def test_statistics_over_tls(tmp_path: Path, with_ca: bool) -> None:
    authority, others = Authority(), Authority()
    server = authority.sign("stats.test")
    client, stranger = (one.sign("prometheus", client=True) for one in (authority, others))
    for name, content in (
        ("tls.crt", server.certificate), ("tls.key", server.private_key), ("ca.crt", authority.certificate),
        ("client.pem", client.certificate + client.private_key),
        ("stranger.pem", stranger.certificate + stranger.private_key),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    port, ready = free_port(), free_port()
    text = f"""
metrics:
  envoy:
    address: 127.0.0.1
    port: {port}
    server-certificate-path: {tmp_path}/tls.crt
    server-key-path: {tmp_path}/tls.key
    {f"ca-certificate-path: {tmp_path}/ca.crt" if with_ca else ""}
"""
    with configured(tmp_path / "w", text, stats_address="127.0.0.1", stats_port=ready):

        def scrape(certificate: str) -> int:
            context = ssl.create_default_context(cadata=authority.certificate.decode())
            assert context.minimum_version <= ssl.TLSVersion.TLSv1_2
            if certificate:
                context.load_cert_chain(tmp_path / certificate)
            with Http1(connect(("127.0.0.1", port), sni="stats.test", context=context)) as connection:
                assert connection.socket.version() == "TLSv1.3"  # type: ignore[attr-defined]
                return connection.get("stats.test", "/stats/prometheus").status

        assert scrape("client.pem") == 200
        assert statuses(("127.0.0.1", ready), "/ready") == [200]
        for name in ("", "stranger.pem"):
            if with_ca:
                with pytest.raises((ConnectionError, ssl.SSLError)):
                    scrape(name)
            else:
                assert scrape(name) == 200


def test_administration(tmp_path: Path) -> None:
    """For reading alone, and from this machine alone."""
    port = free_port()
    with configured(tmp_path, f"network: {{admin-port: {port}}}") as world:
        assert world.address("envoy-admin") == ("127.0.0.1", port)
        pages = "/certs /clusters /listeners /config_dump /memory /ready /runtime /server_info /stats /stats/prometheus"
        assert set(statuses(("127.0.0.1", port), *pages.split(), "/stats/recentlookups")) == {200}
        assert statuses(("127.0.0.1", port), "/quitquitquit", "/", "/help") == [404] * 3
        with Http1(connect(("127.0.0.1", port))) as client:
            assert client.request("POST", "any", "/runtime").status == 404


def runtime(world: World) -> dict[str, str]:
    entries = json.loads(world.envoys[0].admin("/runtime"))["entries"]
    return {name: entry["final_value"] for name, entry in entries.items()}


def test_the_runtime_layer(tmp_path: Path) -> None:
    text = """
listener: {max-requests-per-io-cycle: 10}
runtime-settings:
  overload.global_downstream_max_connections: "5000"
  http.max_requests_per_io_cycle: "3"
"""
    with configured(tmp_path, text) as world:
        found = runtime(world)
        assert found["overload.global_downstream_max_connections"] == "5000"
        assert found["http.max_requests_per_io_cycle"] == "10"  # what the settings have a key for, they say
        assert float(found["re2.max_program_size.error_level"]) == pytest.approx(1048576, rel=1e-4)
