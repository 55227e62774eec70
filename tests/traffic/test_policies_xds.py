"""The way of a change to Envoy: no lost request, what Envoy refuses, restarts, several Envoys (architecture.md §4)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Self

import pytest
from tests.traffic.world import World, until

from contour.api.meta import ObjectRef
from contour.envoy import pb
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPED_ROUTE, resource
from contour.testing.clients import Address, Http1, connect

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("policies-xds")]

RATE = 500


class Load:
    """Requests at a steady rate on one connection while the `with` lasts; what was answered is in `answers`."""

    def __init__(self, address: Address, host: str) -> None:
        self.answers: Counter[str | int | None] = Counter()
        self._address, self._host = address, host
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        with Http1(connect(self._address)) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get(self._host)
                except OSError as error:
                    self.answers[type(error).__name__] += 1
                    return
                self.answers[answer.backend or answer.status] += 1
                due += 1 / RATE
                time.sleep(max(0.0, due - time.monotonic()))


def to(service: str) -> str:
    return f"virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{{name: {service}, port: 80}}]}}]"


def test_switching_a_backend_loses_no_request(world: World) -> None:
    backends = [world.backend("one"), world.backend("two")]
    world.service("shop/s0", backends=backends[:1])
    world.proxy("shop/site", to("s0"))
    with Load(world.http, "site.test") as load:
        for i in range(1, 101):
            # A new Service each time, with a new cluster in Envoy; the old one goes with everything of it.
            world.service(f"shop/s{i}", backends=[backends[i % 2]])
            world.proxy("shop/site", to(f"s{i}"))
            world.delete("Service", f"shop/s{i - 1}")
            world.delete("EndpointSlice", f"shop/s{i - 1}-0")
        until(lambda: sum(load.answers.values()) > RATE / 2)
    assert load.answers.keys() == {"one", "two"}
    dropped = world.envoys[0].stats("cluster_manager.(active|warming)_clusters")
    assert dropped == {"cluster_manager.active_clusters": 3, "cluster_manager.warming_clusters": 0}  # xDS, admin, one


def test_switching_to_a_changed_cluster_loses_no_request(world: World) -> None:
    """The same Service under another load balancing policy is another cluster with the same endpoints."""
    world.service("shop/web")
    world.proxy("shop/site", to("web"))
    with Load(world.http, "site.test") as load:
        for i in range(40):
            route = f"{{services: [{{name: web, port: 80}}], loadBalancerPolicy: {{strategy: {('Random', 'Cookie')[i % 2]}}}}}"
            world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\nroutes: [{route}]")
        until(lambda: sum(load.answers.values()) > 20)
    assert load.answers.keys() == {"shop/web"}


def test_switching_to_a_cluster_that_has_to_be_healthy_first_loses_no_request(world: World) -> None:
    world.service("shop/old")
    new = world.service("shop/new")
    world.proxy("shop/site", to("old"))
    with Load(world.http, "site.test") as load:
        check = "healthCheckPolicy: {path: /slow/150, timeoutSeconds: 1}"
        world.proxy("shop/site", to("new").replace("}]}]", f"}}], {check}}}]"))
        until(lambda: load.answers["shop/new"])
    assert load.answers.keys() == {"shop/old", "shop/new"}
    assert new.seen[0].path == "/slow/150"


# --- what Envoy refuses -------------------------------------------------------------------------------------------

REFUSED = [
    # Each part is a valid condition, the whole is no expression.
    "includes: [{name: child, conditions: [{prefix: '/a('}]}]",
    # Go's parser of header values takes any number of digits.
    (
        "routes: [{services: [{name: web, port: 80}],"
        " requestHeadersPolicy: {set: [{name: x-a, value: '%REQ(a):99999999999999999999%'}]}}]"
    ),
    # A Go duration that is more nanoseconds than Envoy counts.
    "routes: [{services: [{name: web, port: 80}], timeoutPolicy: {response: 2562047h47m16s}}]",
    # A cluster rather than a scope. It is a new one, that has no last good version.
    "routes: [{services: [{name: web, port: 80}], timeoutPolicy: {idleConnection: 2562047h47m16s}}]",
]


@pytest.mark.parametrize(("spec", "status"), list(zip(REFUSED, (200, 200, 200, 503), strict=True)))
def test_what_envoy_refuses_is_the_matter_of_its_object(world: World, spec: str, status: int) -> None:
    world.service("shop/web")
    world.service("shop/good")
    child = "routes: [{services: [{name: web, port: 80}], conditions: [{regex: '/x'}]}]"
    world.proxy("shop/child", child, valid=False)
    world.proxy("shop/site", to("web"))
    assert world.get("site.test").backend == "shop/web"
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\n{spec}", valid=False)
    kinds = {error[:2] for error in world.errors("shop/site")}
    assert kinds == {("EnvoyError", "Rejected")}
    assert world.status("shop/site")["currentStatus"] == "invalid"
    assert world.get("site.test").status == status  # by the last good version, or by a cluster that is not there
    # Everything else goes on: a host that is edited, one that is added, one that goes.
    for i in range(3):
        world.proxy(f"shop/good{i}", to("good").replace("site.test", f"good{i}.test"))
        assert world.get(f"good{i}.test").backend == "shop/good"
    world.proxy("shop/good0", "{virtualhost: {fqdn: good0.test}, routes: [{directResponsePolicy: {statusCode: 204}}]}")
    world.delete("HTTPProxy", "shop/good1")
    assert [world.get(f"good{i}.test").status for i in range(3)] == [204, 404, 200]
    # It is not sent again, neither for an edit of others nor for one of itself that changes nothing.
    before = world.hub().counters.nacks.copy()
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\n{spec}", valid=False)
    assert world.hub().counters.nacks == before
    world.proxy("shop/site", to("web"))
    assert world.errors("shop/site") == []
    assert world.status("shop/site")["currentStatus"] == "valid"
    assert world.get("site.test").backend == "shop/web"


def test_a_mended_cluster_is_taken_although_its_scope_is_the_same(world: World) -> None:
    """Expected statuses are not part of a cluster's name: what was refused comes back under the same name."""
    world.service("shop/web")
    check = "healthCheckPolicy: {{path: /healthy, timeoutSeconds: 1, expectedStatuses: [{{start: 200, end: {}}}]}}"
    site = "virtualhost: {{fqdn: site.test}}\nroutes: [{{services: [{{name: web, port: 80}}], {}}}]"
    world.proxy("shop/site", site.format(check.format(200)), valid=False)
    assert world.get("site.test").status == 503
    assert {error[:2] for error in world.errors("shop/site")} == {("EnvoyError", "Rejected")}
    world.proxy("shop/site", site.format(check.format(201)))
    assert world.get("site.test").backend == "shop/web"


def test_envoys_text_is_in_the_status(world: World) -> None:
    """Past all checks of ours: a resource that only Envoy can find fault with."""
    world.service("shop/web")
    world.proxy("shop/site", to("web"))
    good = world.hub().snapshot.tables[SCOPED_ROUTE]["http/site.test"]
    message = pb.ScopedRouteConfiguration.FromString(good.body)
    message.route_configuration.virtual_hosts[0].routes[0].match.safe_regex.regex = "("

    def publish(what: pb.ScopedRouteConfiguration) -> None:
        one = resource("http/site.test", what)
        world.ask(lambda: world.hub().publish({SCOPED_ROUTE: ({one.name: one}, set())}))

    publish(message)
    until(lambda: world.errors("shop/site"))
    ((type_, reason, text),) = world.errors("shop/site")
    assert (type_, reason) == ("EnvoyError", "Rejected")
    assert "missing )" in text
    assert world.get("site.test").backend == "shop/web"
    world.proxy("shop/other", to("web").replace("site.test", "other.test"))
    assert world.get("other.test").backend == "shop/web"
    world.service("shop/mended")
    world.proxy("shop/site", to("mended"))
    assert world.errors("shop/site") == []
    assert world.get("site.test").backend == "shop/mended"


def test_a_key_that_does_not_match_and_a_weak_one(world: World) -> None:
    """Contour takes both; Envoy would refuse the secret."""
    world.certificate("shop/good", "good.test")
    tls = "{{virtualhost: {{fqdn: {0}.test, tls: {{secretName: {0}}}}}, routes: [{{directResponsePolicy: {{statusCode: 200}}}}]}}"
    world.proxy("shop/good", tls.format("good"))
    pair, other = world.authority.sign("bad.test"), world.authority.sign("bad.test")
    weak = world.authority.sign("bad.test", key="rsa-1024")
    for certificate, key in ((pair.certificate, other.private_key), (weak.certificate, weak.private_key)):
        world.secret("shop/bad", "kubernetes.io/tls", {"tls.crt": certificate, "tls.key": key})
        world.proxy("shop/bad", tls.format("bad"), valid=False)
        assert {error[:2] for error in world.errors("shop/bad")} == {("EnvoyError", "Rejected")}
        assert world.get_tls("good.test").status == 200
        with pytest.raises(OSError):
            world.get_tls("bad.test")
    world.certificate("shop/bad", "bad.test")
    assert world.errors("shop/bad") == []
    assert world.get_tls("bad.test").status == 200


# --- nothing for nothing ------------------------------------------------------------------------------------------


def test_what_changes_nothing_sends_nothing(world: World) -> None:
    world.service("shop/web")
    world.proxy("shop/site", to("web"))
    before = world.hub().counters.messages.copy()
    world.proxy("shop/site", to("web"))
    world.service("shop/unused")
    world.service("shop/web", annotations={"touched": "1"}, backends=[])
    assert sum((world.hub().counters.messages - before).values()) == 1  # the new backend of web, in its endpoints
    assert (world.hub().counters.messages - before).keys() == {ENDPOINTS}


def test_a_host_behind_a_certificate_in_use_is_no_listener_update(world: World) -> None:
    world.certificate("shop/wild", "*.wild.test")
    tls = "{{virtualhost: {{fqdn: {}.wild.test, tls: {{secretName: wild}}}}, routes: [{{directResponsePolicy: {{statusCode: 200}}}}]}}"
    world.proxy("shop/first", tls.format("first"))
    before = world.hub().counters.resources[LISTENER]
    with Http1(connect(world.https, sni="first.wild.test")) as held:
        for i in range(10):
            world.proxy(f"shop/h{i}", tls.format(f"h{i}"))
            assert world.get_tls(f"h{i}.wild.test").status == 200
        assert held.get("first.wild.test").status == 200
    assert world.hub().counters.resources[LISTENER] == before


# --- several, and again -------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two Envoys at one hub."""
    world = World(tmp_path_factory.mktemp("w"))
    try:
        world.envoy()
        world.envoy()
        yield world
    finally:
        world.close()


def ask(world: World, number: int, host: str) -> str | int:
    with Http1(connect(world.address("ingress_http", world.envoys[number]))) as client:
        answer = client.get(host)
    return answer.backend or answer.status


def test_two_envoys_are_told_the_same(pair: World) -> None:
    world = pair
    world.service("shop/web")
    for i in range(5):
        world.proxy("shop/site", to("web").replace("site.test", f"site{i}.test"))
        assert [ask(world, n, f"site{i}.test") for n in (0, 1)] == ["shop/web"] * 2
        assert [ask(world, n, f"site{i - 1}.test") for n in (0, 1)] == [404, 404]
    assert world.ask(lambda: sorted(s.node.id for s in world.hub().sessions)) == ["envoy-0", "envoy-1"]
    # One goes; what the other one is told does not wait for it.
    world.envoys[0].stop()
    world.proxy("shop/site", to("web").replace("site.test", "late.test"))
    assert ask(world, 1, "late.test") == "shop/web"
    until(lambda: world.hub().counters.streams == 1)


def test_two_envoys_refuse_the_same(pair: World) -> None:
    world = pair
    world.service("shop/web")
    world.proxy("shop/site", to("web"))
    world.proxy("shop/site", f"virtualhost: {{fqdn: site.test}}\n{REFUSED[1]}", valid=False)
    world.proxy("shop/good", to("web").replace("site.test", "good.test"))
    for number in (0, 1):
        assert [ask(world, number, host) for host in ("site.test", "good.test")] == ["shop/web"] * 2
    world.proxy("shop/site", to("web"))
    assert [ask(world, number, "site.test") for number in (0, 1)] == ["shop/web"] * 2


def test_a_program_that_comes_back_sends_nothing_that_envoy_has(pair: World) -> None:
    world = pair
    world.service("shop/web")
    world.certificate("shop/tls", "secure.test")
    world.proxy("shop/site", to("web"))
    world.proxy(
        "shop/secure",
        "{virtualhost: {fqdn: secure.test, tls: {secretName: tls}}, routes: [{services: [{name: web, port: 80}]}]}",
    )
    with Load(world.address("ingress_http"), "site.test") as load:
        old = world.hub()
        world.restart()
        assert world.hub() is not old
        until(lambda: world.hub().counters.streams == 2)
        # Each type's first request has come when the last one has: they are sent in one go.
        until(lambda: world.ask(lambda: [len(s.stream.channels) for s in world.hub().sessions]) == [6, 6])
        assert load.answers.keys() == {"shop/web"}
    assert {url: count for url, count in world.hub().counters.resources.items() if count} == {}
    world.proxy("shop/site", to("web").replace("site.test", "moved.test"))
    assert [ask(world, n, "moved.test") for n in (0, 1)] == ["shop/web"] * 2
    assert world.hub().counters.resources[CLUSTER] == 0


def test_an_edit_while_the_program_was_away(pair: World) -> None:
    world = pair
    world.service("shop/web")
    world.service("shop/new")
    world.proxy("shop/site", to("web"))
    world.restart(ObjectRef("HTTPProxy", "shop", "site"))
    until(lambda: world.hub().counters.streams == 2)
    until(lambda: [ask(world, n, "site.test") for n in (0, 1)] == [404, 404])
    world.proxy("shop/site", to("new"))
    until(lambda: [ask(world, n, "site.test") for n in (0, 1)] == ["shop/new"] * 2)
