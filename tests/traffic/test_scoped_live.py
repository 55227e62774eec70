"""Edits while connections are held: nobody else's is closed, and none reaches what it may no longer (envoy.md §2)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator

import pytest
from tests.dag.world import AUTHORITY, Mapping, root, service, serving, to
from tests.envoy.site import endpoints
from tests.traffic.live import Live, until

from contour.api.meta import ObjectRef
from contour.testing import clients
from contour.testing.backends import Backend
from contour.testing.clients import Http1, Http2, connect

pytestmark = pytest.mark.traffic

OLD, NEW = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend("web") as running:
        yield running


def web(backend: Backend) -> list[Mapping]:
    return [service(), endpoints("web", backend.port)]


def tls(fqdn: str, secret: str, created: str = OLD, **settings: str) -> Mapping:
    name = fqdn.replace("*", "any")
    return root(name, fqdn, created, routes=[to("web", "/x")], virtualhost={"tls": {"secretName": secret, **settings}})


def test_an_empty_first_answer_makes_envoy_ready(backend: Backend) -> None:
    start = time.monotonic()
    with Live() as live:
        assert time.monotonic() - start < 5  # not Envoy's 15 s of waiting for what does not come
        live.apply(*web(backend), root("a", "a.test"))
        until(lambda: clients.get(live.http, "a.test").backend == "web")
        live.delete("HTTPProxy", "shop", "a")
        until(lambda: not _listens(live))  # as the reference: without hosts there is no listener


def test_a_first_answer_without_scopes_makes_envoy_ready(backend: Backend) -> None:
    """There is a plain host, hence a listener, but what it serves is withheld."""
    refused = root("a", "a.test", routes=[to("web", requestHeadersPolicy={"remove": ["Host"]})])
    start = time.monotonic()
    with Live(*web(backend), refused) as live:
        assert time.monotonic() - start < 5
        assert clients.get(live.http, "a.test").status == 404
        live.apply(root("a", "a.test"))
        until(lambda: clients.get(live.http, "a.test").backend == "web")


def test_a_health_check_that_fails_makes_no_other_host_wait(backend: Backend) -> None:
    check = {"path": "/healthy", "timeoutSeconds": 5, "intervalSeconds": 5}
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))  # nobody listens
        port = down.getsockname()[1]
        ill = [part for name in ("ill", "worse") for part in (service(name), endpoints(name, port))]
        bad = root("bad", "bad.test", routes=[to("ill", healthCheckPolicy=check)])
        start = time.monotonic()
        with Live(*web(backend), *ill, root("good", "good.test"), bad) as live:
            until(lambda: clients.get(live.http, "good.test").status == 200)
            assert time.monotonic() - start < 1
            worse = root("worse", "worse.test", routes=[to("worse", healthCheckPolicy=check)])
            live.apply(worse, root("new", "new.test"))
            until(lambda: clients.get(live.http, "new.test").status == 200, 1)
            assert clients.get(live.http, "worse.test").status == 404  # which does wait


@pytest.mark.parametrize("late", ["EndpointSlice", "Service"])
def test_a_backend_that_becomes_known_after_its_route(backend: Backend, late: str) -> None:
    with Live(*web(backend), root("a", "a.test")) as live, Http1(connect(live.http)) as held:
        until(lambda: held.get("a.test").status == 200)
        for turn in range(30):
            name = f"new{turn}"
            first, last = service(name), endpoints(name, backend.port)
            if late == "Service":
                first, last = last, first
            start = time.monotonic()
            live.apply(first, root("a", "a.test", routes=[to(name)]))
            statuses = {held.get("a.test").status for _ in range(10)}
            live.apply(last)
            if time.monotonic() - start < 0.08:  # else this machine was too busy for the time that they are given
                break
        while not any(live.envoy.stats(f"^cluster.shop_{name}_80.upstream_rq_total$").values()):
            statuses.add(held.get("a.test").status)
        assert statuses == {200}


def test_plain_hosts_come_change_and_go(backend: Backend) -> None:
    with Live(*web(backend), root("a", "a.test")) as live, Http1(connect(live.http)) as held:
        assert held.get("a.test").backend == "web"
        before = live.listener_updates()
        live.apply(root("b", "b.test"), root("w", "*.wild.test"))
        until(lambda: held.get("b.test").backend == "web")
        until(lambda: held.get("x.wild.test").backend == "web")
        live.apply(root("b", "b.test", routes=[to("web", "/only")]))
        until(lambda: held.get("b.test").status == 404)
        live.delete("HTTPProxy", "shop", "w")
        until(lambda: held.get("x.wild.test").status == 404)
        assert held.get("a.test").backend == "web"
        assert live.listener_updates() == before


def test_adding_a_host_while_fifty_connections_are_held(backend: Backend) -> None:
    wild = [serving("wild", "*.shop.test"), *(tls(f"h{i}.shop.test", "wild") for i in range(10))]
    with Live(*web(backend), *wild) as live:
        held = [Http1(connect(live.https, sni=f"h{i % 10}.shop.test")) for i in range(50)]
        assert all(one.get(f"h{i % 10}.shop.test", "/x").status == 200 for i, one in enumerate(held))
        before = live.listener_updates()
        live.apply(tls("new.shop.test", "wild", NEW))
        until(lambda: clients.get_tls(live.https, "new.shop.test", "/x").status == 200)
        assert live.listener_updates() == before
        assert not any(one.closed() for one in held)
        assert all(one.get(f"h{i % 10}.shop.test", "/x").header("connection") is None for i, one in enumerate(held))

        # A host with settings of its own is a new chain; those of the others stay.
        live.apply(tls("strict.shop.test", "wild", NEW, minimumProtocolVersion="1.3"))
        until(lambda: clients.get_tls(live.https, "strict.shop.test", "/x").status == 200)
        assert live.listener_updates() > before
        assert not any(one.closed() for one in held)
        answers = [one.get(f"h{i % 10}.shop.test", "/x") for i, one in enumerate(held)]
        assert {(one.status, one.header("connection")) for one in answers} == {(200, None)}
        for one in held:
            one.close()


def test_rotating_a_certificate(backend: Backend) -> None:
    with Live(*web(backend), serving("tls", "a.test"), tls("a.test", "tls")) as live:
        first = clients.certificate(live.https, "a.test")
        before = live.listener_updates()
        with Http1(connect(live.https, sni="a.test")) as held:
            assert held.get("a.test", "/x").status == 200
            live.apply(serving("tls", "a.test"))
            until(lambda: clients.certificate(live.https, "a.test") != first)
            assert held.get("a.test", "/x").status == 200
        assert live.listener_updates() == before


def test_stricter_settings_while_a_connection_is_held(backend: Backend) -> None:
    """TLS 1.3 stands for a client certificate: who came without it is sent away."""
    wild = [serving("wild", "*.shop.test"), tls("*.shop.test", "wild"), tls("a.shop.test", "wild", NEW)]
    with Live(*web(backend), *wild) as live:
        old = connect(live.https, sni="a.shop.test", max_version=ssl.TLSVersion.TLSv1_2)
        http2 = connect(live.https, sni="a.shop.test", max_version=ssl.TLSVersion.TLSv1_2, alpn="h2")
        with Http1(old) as held, Http2(http2) as held2, Http1(connect(live.https, sni="b.shop.test")) as other:
            assert held.get("a.shop.test", "/x").status == held2.get("a.shop.test", "/x").status == 200
            live.apply(tls("a.shop.test", "wild", NEW, minimumProtocolVersion="1.3"))
            until(lambda: _version_refused(live))
            assert held.get("a.shop.test", "/x").status == 421
            assert held2.get("a.shop.test", "/x").status == 421
            assert held.get("b.shop.test", "/x").status == 421
            assert clients.get_tls(live.https, "a.shop.test", "/x").status == 200
            assert other.get("b.shop.test", "/x").status == 200
            assert other.get("a.shop.test", "/x").status == 421
            live.apply(tls("a.shop.test", "wild", NEW))
            until(lambda: held.get("a.shop.test", "/x").status == 200)


def test_a_host_with_a_chain_of_its_own_is_not_reached_over_its_old_one(backend: Backend) -> None:
    with Live(*web(backend), serving("own", "a.test"), tls("a.test", "own")) as live:
        old = connect(live.https, sni="a.test", max_version=ssl.TLSVersion.TLSv1_2, alpn="h2")
        # Its chain is gone, and it soon with it; until then no scope is left under the old chain's key.
        with Http2(old) as held:
            assert held.get("a.test", "/x").status == 200
            live.apply(tls("a.test", "own", minimumProtocolVersion="1.3"))
            until(lambda: _version_refused(live, "a.test"))
            # The scope goes when Envoy has acknowledged the listener, a round trip after it is active.
            until(lambda: _sent_away(held, "a.test"), 2)


def test_another_tenant_s_wildcard_comes_and_goes(backend: Backend) -> None:
    objects = [serving("own", "a.shop.test"), tls("a.shop.test", "own"), serving("evil", "*.shop.test")]
    with Live(*web(backend), *objects) as live, Http1(connect(live.https, sni="a.shop.test")) as held:
        live.apply(tls("*.shop.test", "evil", NEW))
        until(lambda: clients.get_tls(live.https, "x.shop.test", "/x").status == 200)
        assert held.get("a.shop.test", "/x").status == 200
        with Http1(connect(live.https, sni="x.shop.test")) as foreign:
            assert foreign.get("a.shop.test", "/x").status == 421
        live.delete("HTTPProxy", "shop", "any.shop.test")
        until(lambda: _refused(live, "x.shop.test"))
        assert held.get("a.shop.test", "/x").status == 200


@pytest.mark.parametrize("key", ["rsa-1024", "mismatch"])
def test_a_bad_certificate_hurts_nobody_else(backend: Backend, key: str) -> None:
    from tests.envoy.test_groups import mismatched, pair

    bad = (
        mismatched("bad", "bad.test") if key == "mismatch" else pair("bad", AUTHORITY.sign("bad.test", key="rsa-1024"))
    )
    good = [serving("good", "good.test"), tls("good.test", "good")]
    with Live(*web(backend), *good, bad, tls("bad.test", "bad")) as live:
        assert clients.get_tls(live.https, "good.test", "/x").status == 200
        assert _refused(live, "bad.test")
        live.apply(serving("bad", "bad.test"))
        until(lambda: clients.get_tls(live.https, "bad.test", "/x").status == 200)
        before, served = live.listener_updates(), clients.certificate(live.https, "bad.test")
        live.apply(bad)
        until(lambda: _status(live, "bad.test") == "invalid")
        assert clients.certificate(live.https, "bad.test") == served  # the last good version stays
        assert live.listener_updates() == before


def test_a_host_that_is_withheld_goes_on_with_the_backend_that_it_had(backend: Backend) -> None:
    """The edit moves the host to another service, whose old cluster nothing else uses, and is withheld."""
    other = [service("other"), endpoints("other", backend.port)]
    with Live(*web(backend), root("a", "a.test")) as live:
        assert clients.get(live.http, "a.test", "/x").status == 200
        refused = {"remove": ["Host"]}
        live.apply(*other, root("a", "a.test", routes=[to("other", requestHeadersPolicy=refused)]))
        until(lambda: _status(live, "a") == "invalid")
        for _ in range(20):
            assert clients.get(live.http, "a.test", "/x").status == 200
        live.apply(root("a", "a.test", routes=[to("other")]))
        until(lambda: _status(live, "a") == "valid")
        until(lambda: "shop/web" not in live.envoy.admin("/clusters"))
        assert clients.get(live.http, "a.test", "/x").status == 200


def _status(live: Live, name: str) -> str:
    status = live.pipeline.statuses.get(ObjectRef("HTTPProxy", "shop", name))
    return str(status["currentStatus"]) if status else ""


def _sent_away(held: Http2, host: str) -> bool:
    try:
        return held.get(host, "/x").status in (404, 421)
    except ConnectionError:
        return True


def _listens(live: Live) -> bool:
    try:
        connect(live.http).close()
    except (OSError, KeyError):
        return False
    return True


def _refused(live: Live, sni: str) -> bool:
    try:
        connect(live.https, sni=sni).close()
    except (OSError, ssl.SSLError):
        return True
    return False


def _version_refused(live: Live, sni: str = "a.shop.test") -> bool:
    try:
        connect(live.https, sni=sni, max_version=ssl.TLSVersion.TLSv1_2).close()
    except ssl.SSLError:
        return True
    return False
