"""The Lua scripts in a real Envoy: the 421 check and the rewriting of cookies (httpproxy.md §4.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contour.dag.graph import CookieRewrite
from contour.envoy import config_source, pb, tls
from contour.envoy.filters import cookies, misdirected, router
from contour.envoy.hcm import connection_manager, network_filter
from contour.envoy.options import Options
from contour.testing import certs, clients, envoy

pytestmark = pytest.mark.traffic


def served(filter_: pb.HttpFilter, routes: list[pb.Route], socket: pb.TransportSocket | None = None) -> envoy.Envoy:
    """An Envoy that answers by itself, with this filter before its router."""
    return envoy.Envoy(configuration(filter_, routes, socket))


def configuration(
    filter_: pb.HttpFilter, routes: list[pb.Route], socket: pb.TransportSocket | None = None
) -> dict[str, Any]:
    host = pb.VirtualHost(name="all", domains=["*"], routes=routes)
    manager = connection_manager(
        Options(),
        stat_prefix="x",
        access_log_path="/dev/null",
        routes=pb.RouteConfiguration(virtual_hosts=[host]),
        filters=[filter_, router.http_filter()],
    )
    chain = pb.FilterChain(filters=[network_filter(manager)])
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)
    inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    listener: dict[str, Any] = {
        "name": "x",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [pb.to_dict(chain)],
        "listener_filters": [{"name": "tls_inspector", "typed_config": {"@type": inspector}}] if socket else [],
    }
    return {"static_resources": {"listeners": [listener]}}


def answer(body: str, *set_cookies: str, rules: pb.Any | None = None, prefix: str = "/") -> pb.Route:
    message = pb.Route(
        match=pb.RouteMatch(prefix=prefix),
        direct_response=pb.DirectResponseAction(status=200, body=pb.DataSource(inline_string=body)),
        response_headers_to_add=[
            pb.HeaderValueOption(header=pb.HeaderValue(key="set-cookie", value=value.replace("%", "%%")))
            for value in set_cookies
        ],
    )
    if rules is not None:
        message.typed_per_filter_config[cookies.NAME].CopyFrom(rules)
    return message


# --- 421 ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure() -> Iterator[tuple[str, int]]:
    pair = certs.Authority().sign("a.test", "b.test")
    context = tls.downstream("x", config_source.ADS, Options(), min_tls="1.2", max_tls="1.3")
    context.common_tls_context.ClearField("tls_certificate_sds_secret_configs")
    context.common_tls_context.tls_certificates.add(
        certificate_chain=pb.DataSource(inline_bytes=pair.certificate),
        private_key=pb.DataSource(inline_bytes=pair.private_key),
    )
    with served(misdirected.http_filter(), [answer("here")], tls.socket(context)) as running:
        yield running.address("x")


@pytest.mark.parametrize(
    ("sni", "host", "status"),
    [
        ("a.test", "a.test", 200),
        ("a.test", "A.Test", 200),
        ("a.test", "a.test:8443", 200),
        ("a.test", "b.test", 421),
        ("a.test", "a.test.evil", 421),
        ("b.test", "b.test", 200),
        ("a.test", "%q%s%n", 421),
    ],
)
def test_a_request_must_be_for_the_host_of_its_connection(
    secure: tuple[str, int], sni: str, host: str, status: int
) -> None:
    found = clients.get_tls(secure, sni, host=host)
    assert found.status == status
    if status == 421:
        assert found.body.startswith(b"misdirected request to")


def test_a_second_request_on_a_shared_connection(secure: tuple[str, int]) -> None:
    with clients.Http2(clients.connect(secure, sni="a.test", alpn="h2")) as client:
        assert [client.get(host).status for host in ("a.test", "b.test", "a.test")] == [200, 421, 200]


# --- cookies ------------------------------------------------------------------------------------------------------

RULES = cookies.rules(
    [
        CookieRewrite("all", path="/new", domain="x.test", secure=True, same_site="Lax"),
        CookieRewrite("open", secure=False),
        CookieRewrite("odd", path='"]]; %q \\ os.exit(1) --'),
        CookieRewrite("a.b", path="/dot"),
    ]
)


@pytest.fixture(scope="module")
def rewriting() -> Iterator[tuple[str, int]]:
    values = [
        "all=1; Path=/old; HttpOnly; Domain=old",
        "open=2;Secure;  Path=/kept",
        "other=3; Path=/kept; Secure",
        "odd=4",
        "axb=5; Path=/kept",
        "nothing",
        "all=first=second",
    ]
    routes = [
        answer("no rules", *values, prefix="/none"),
        answer("no cookies", rules=RULES, prefix="/empty"),
        answer("rules", *values, rules=RULES),
    ]
    with served(cookies.http_filter(), routes) as running:
        yield running.address("x")


def set_cookies(address: tuple[str, int], path: str) -> list[str]:
    found = clients.get(address, "a.test", path)
    assert found.status == 200
    return [value for name, value in found.headers if name == "set-cookie"]


def test_attributes_are_replaced_added_and_taken_away(rewriting: tuple[str, int]) -> None:
    assert set_cookies(rewriting, "/") == [
        "all=1; Path=/new; HttpOnly; Domain=x.test; SameSite=Lax; Secure",
        "open=2; Path=/kept",
        "other=3; Path=/kept; Secure",
        'odd=4; Path="]]; %q \\ os.exit(1) --',
        "axb=5; Path=/kept",
        "nothing",
        "all=first=second; Path=/new; Domain=x.test; SameSite=Lax; Secure",
    ]


def test_without_rules_or_without_cookies_nothing_happens(rewriting: tuple[str, int]) -> None:
    assert set_cookies(rewriting, "/none")[0] == "all=1; Path=/old; HttpOnly; Domain=old"
    assert set_cookies(rewriting, "/empty") == []
