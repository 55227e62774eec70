"""Settings of connections (operations.md §2.4.4, §7.2, §7.3): PROXY protocol, limits, sockets, TLS parameters."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World, until

from contour.testing.backends import server_context
from contour.testing.clients import Address, Http1, connect, get, get_tls

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-connections")]

WAYS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
LOOPBACK = ["127.0.0.1", "[::1]"]
V1 = b"PROXY TCP4 203.0.113.7 203.0.113.8 1234 443\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + socket.inet_aton("203.0.113.7")
    + socket.inet_aton("203.0.113.8")
    + struct.pack("!HH", 1234, 443)
)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with configured(tmp_path_factory.mktemp("w"), use_proxy_protocol=True) as world:
        yield world


def after(address: Address, preface: bytes, secure: bool) -> Http1:
    """A connection that begins with these bytes."""
    plain = socket.create_connection(address, 10)
    plain.sendall(preface)
    if not secure:
        return Http1(plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Http1(context.wrap_socket(plain, server_hostname="site.test"))


@WAYS
@pytest.mark.parametrize("preface", [V1, V2], ids=["v1", "v2"])
def test_the_client_is_who_proxy_protocol_says(proxied: World, secure: bool, preface: bytes) -> None:
    with after(proxied.https if secure else proxied.http, preface, secure) as client:
        assert client.get("site.test").seen.header("x-forwarded-for") == "203.0.113.7"


@WAYS
def test_nobody_is_served_without_it(proxied: World, secure: bool) -> None:
    with (
        pytest.raises((ConnectionError, ssl.SSLError)),
        after(proxied.https if secure else proxied.http, b"", secure) as client,
    ):
        client.get("site.test")


@WAYS
def test_without_the_flag_its_header_is_no_request(tmp_path: Path, secure: bool) -> None:
    with configured(tmp_path) as world:
        if not secure:
            with after(world.http, V1, secure) as client:
                assert client.get("site.test").status == 400
            return
        with socket.create_connection(world.https, 10) as plain, suppress(ConnectionResetError):
            plain.sendall(V1)
            assert plain.recv(1) == b""  # not a handshake: closed


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    text = """
listener:
  max-connections-per-listener: 2
  max-connections-to-accept-per-socket-event: 1
  max-requests-per-io-cycle: 1
  connection-balancer: exact
  per-connection-buffer-limit-bytes: 1024
  socket-options: {tos: 32, traffic-class: 64}
"""
    with configured(tmp_path_factory.mktemp("w"), text) as world:
        yield world


@WAYS
def test_connections_of_a_listener(limited: World, secure: bool) -> None:
    """The third is closed, on each of the two; when one ends there is room again."""

    def session() -> Http1:
        return Http1(connect(limited.https, sni="site.test") if secure else connect(limited.http))

    with ExitStack() as held:
        first = session()
        for client in (first, held.enter_context(session())):
            assert client.get("site.test").status == 200
        with pytest.raises((ConnectionError, ssl.SSLError)), session() as third:
            third.get("site.test")

        def served() -> bool:
            try:
                with session() as another:
                    return another.get("site.test").status == 200
            except (ConnectionError, ssl.SSLError):
                return False

        first.close()
        until(served)


def test_where_limits_are(limited: World) -> None:
    runtime = limited.envoys[0].admin("/runtime")
    for name in ("ingress_http", "ingress_https"):
        assert f"envoy.resource_limits.listener.{name}.connection_limit" in runtime
    assert "http.max_requests_per_io_cycle" in runtime


def test_a_header_that_is_larger_than_the_buffer(limited: World) -> None:
    """The limit is of what waits: a body passes in pieces, headers have a limit of their own."""
    with Http1(connect(limited.http)) as client:
        assert client.request("POST", "site.test", body=b"x" * 100_000).seen.body == "x" * 100_000
    dump = limited.envoys[0].admin("/config_dump?resource=dynamic_listeners")
    assert dump.count('"per_connection_buffer_limit_bytes": 1024') == 2
    assert dump.count('"exact_balance": {}') == 2


def test_the_type_of_service(limited: World) -> None:
    """As the kernel says it of the listening sockets."""
    found = subprocess.run(["ss", "-ltnH", "--tos"], capture_output=True, text=True, check=False)
    if "tos:" not in found.stdout:
        pytest.skip("this kernel does not tell the type of service of sockets")
    for address, port in (limited.http, limited.https):
        (line,) = (line for line in found.stdout.splitlines() if f" {address}:{port} " in line)
        assert "tos:0x20" in line


def test_listeners_of_ipv6(tmp_path: Path) -> None:
    """`::` takes IPv4, too; of a socket of IPv6 the traffic class can be set."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    text = "listener: {socket-options: {traffic-class: 64}}"
    flags = {"envoy_service_http_address": "::1", "envoy_service_https_address": "::"}
    with configured(tmp_path, text, **flags) as world:
        assert get(world.http, "site.test").backend == "shop/web"
        for address in ("::1", "127.0.0.1"):
            assert get_tls((address, world.https[1]), "site.test").backend == "shop/web"
        found = subprocess.run(["ss", "-ltnH", "--tos"], capture_output=True, text=True, check=False).stdout
        (line,) = (line for line in found.splitlines() if f" [::1]:{world.http[1]} " in line)
        assert "tclass" not in found or "tclass:0x40" in line


# --- TLS ----------------------------------------------------------------------------------------------------------


def context(**settings: object) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    for name, value in settings.items():
        setattr(found, name, value)
    return found


def cipher(world: World, ciphers: str = "", curve: str = "", maximum: str = "TLSv1_2") -> tuple[str, str]:
    """Suite and version that a client gets who offers these alone."""
    client = context(maximum_version=ssl.TLSVersion[maximum])
    if ciphers:
        client.set_ciphers(ciphers)
    if curve:
        client.set_ecdh_curve(curve)
    with connect(world.https, sni="site.test", context=client) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        found = connection.cipher()
        assert found is not None
        return found[0], connection.version() or ""


def test_suites_and_curves(tmp_path: Path) -> None:
    text = """
tls:
  cipher-suites: [ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384]
  ecdh-curves: [P-384]
"""
    with configured(tmp_path / "usual") as usual, configured(tmp_path / "changed", text) as changed:
        wanted = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
        assert "AES128" in cipher(usual, wanted)[0]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            cipher(changed, wanted)
        assert "AES256" in cipher(changed)[0]
        assert cipher(usual, curve="prime256v1", maximum="TLSv1_3")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            cipher(changed, curve="prime256v1", maximum="TLSv1_3")
        assert cipher(changed, curve="secp384r1", maximum="TLSv1_3")


def test_versions_of_tls(tmp_path: Path) -> None:
    for name, text in (
        ("new", "tls: {minimum-protocol-version: '1.3'}"),
        ("old", "tls: {maximum-protocol-version: '1.2'}"),
    ):
        with configured(tmp_path / name, text) as world:
            if name == "new":
                with pytest.raises((ConnectionError, ssl.SSLError)):
                    cipher(world)
                assert cipher(world, maximum="TLSv1_3")[1] == "TLSv1.3"
            else:
                assert cipher(world, maximum="TLSv1_3")[1] == "TLSv1.2"


# --- upstreams ----------------------------------------------------------------------------------------------------


def test_requests_of_one_connection_to_an_upstream(tmp_path: Path) -> None:
    with configured(
        tmp_path, "cluster: {max-requests-per-connection: 2, per-connection-buffer-limit-bytes: 4096}"
    ) as world:
        with world.session() as client:
            for _ in range(6):
                assert client.get("site.test").status == 200
        assert world.envoys[0].stats("cluster.shop_web_80.upstream_cx_total") == {
            "cluster.shop_web_80.upstream_cx_total": 3
        }
        with world.session() as client:
            assert client.request("POST", "site.test", body=b"x" * 100_000).seen.body == "x" * 100_000
        assert '"per_connection_buffer_limit_bytes": 4096' in world.envoys[0].admin("/config_dump")


def test_limits_for_services_that_name_none(tmp_path: Path) -> None:
    """A Service's own annotation wins."""
    text = "cluster: {circuit-breakers: {max-pending-requests: 1, max-requests: 1}}"
    with configured(tmp_path, text) as world, world.session() as slow, world.session() as other:
        slow.socket.sendall(b"GET /slow/3000 HTTP/1.1\r\nHost: site.test\r\n\r\n")
        stats = "cluster.shop_web_80.upstream_rq_active"
        until(lambda: world.envoys[0].stats(stats).get(stats) == 1)
        assert other.get("site.test").status == 503
        world.service(
            "shop/web", annotations={"projectcontour.io/max-requests": "7"}, backends=[world.backends["shop/web"]]
        )
        until(lambda: other.get("site.test").status == 200)


@pytest.mark.parametrize(("family", "wanted"), [("v4", ["127.0.0.1"]), ("v6", ["[::1]"]), ("all", LOOPBACK)])
def test_how_names_are_looked_up(tmp_path: Path, family: str, wanted: list[str]) -> None:
    """Of the server of a key set; nobody need be asked for the address of this machine."""
    with configured(tmp_path, f"cluster: {{dns-lookup-family: {family}}}") as world:
        world.proxy(
            "shop/site",
            """
            virtualhost:
              fqdn: site.test
              tls: {secretName: tls}
              jwtProviders: [{name: p, remoteJWKS: {uri: "http://localhost:1/keys"}}]
            routes: [{services: [{name: web, port: 80}]}]
            """,
        )

        def found() -> set[str]:
            lines = world.envoys[0].admin("/clusters").splitlines()
            hosts = (
                line.split("::")
                for line in lines
                if line.startswith("dnsname/http/localhost") and "::cx_active::" in line
            )
            return {"::".join(parts[1:-2]).rpartition(":")[0] for parts in hosts}

        until(found)
        assert len(found()) == 1
        assert found() <= set(wanted)
        assert ('"type": "LOGICAL_DNS"' in world.envoys[0].admin("/config_dump")) == (family == "all")


def test_tls_to_upstreams(tmp_path: Path) -> None:
    text = "cluster: {upstream-tls: {minimum-protocol-version: '1.3'}}"
    with configured(tmp_path, text) as world:
        pair = world.authority.sign("up.test")
        for version, status in ((ssl.TLSVersion.TLSv1_3, 200), (ssl.TLSVersion.TLSv1_2, 503)):
            tls = server_context(pair.certificate, pair.private_key, str(tmp_path))
            tls.maximum_version = version
            world.service("shop/web", backends=[world.backend(version.name, tls=tls)], protocol="tls")
            assert get(world.http, "site.test").status == status
