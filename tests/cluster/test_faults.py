"""What fails around `contour serve`, one thing after the other: no request of an untouched host does, and afterwards
the configuration is what a build from scratch gives (issue Cluster, "Bad input and faults").

Real API server, etcd, Envoy; what those would not do when asked, a gateway between API server and `serve` does. The
same for the mirror alone: test_watch.py; clocks that jump, as machines: tests/kube/test_lease.py.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import yaml
from aiohttp import web
from tests.cluster.gateway import Rule, abort, is_watch
from tests.cluster.scene import INSTALLATION, LEASE, Scene, scene
from tests.cluster.scratch import scratch, taken, tellable
from tests.cluster.site import ask, current, namespace, obj, proxy, wait_for, wait_until
from tests.cluster.xds_client import client

from contour.kube.kinds import KINDS
from contour.testing.cluster import ApiError, Cluster
from contour.testing.cluster.api import Object
from contour.testing.cluster.server import CRDS
from contour.testing.serving import Serving

pytestmark = [pytest.mark.traffic, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with Cluster() as own:
        yield own


@pytest.fixture(scope="module")
def site(own_cluster: Cluster) -> Iterator[Scene]:
    with scene(own_cluster) as made:
        yield made


@pytest.fixture
def untouched(site: Scene) -> Iterator[Scene]:
    """Under load from before the fault until everything is as it should be."""
    with site.unharmed():
        yield site
        site.gateway.rule = None


def test_nothing_fails(untouched: Scene) -> None:
    """What the other tests build on."""
    untouched.edit()


def _expiring(seen: set[str]) -> Rule:
    """The next watch of each kind is too far behind."""

    async def rule(request: web.Request) -> web.StreamResponse | None:
        if not is_watch(request) or request.path in seen:
            return None
        seen.add(request.path)
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired"}
        event = {"type": "ERROR", "object": {**status, "message": "too old resource version: 1 (2)"}}
        return web.Response(body=json.dumps(event).encode() + b"\n", content_type="application/json")

    return rule


def test_every_watch_is_too_far_behind(untouched: Scene) -> None:
    seen: set[str] = set()
    untouched.gateway.rule = _expiring(seen)
    untouched.gateway.cut()
    wait_until(lambda: len(seen) == len(KINDS), 20)
    untouched.edit()


def test_a_watch_that_goes_silent(untouched: Scene) -> None:
    """Its connection is left after two and a half minutes; by this replica after two seconds."""
    quick = untouched.launch(before="from contour.kube import reflector; reflector.SILENCE = 2.0")
    quick.wait_for(Serving.READY, 30)
    with untouched.gateway.held():
        untouched.edit()
        with client(quick.xds_port) as fresh:
            fresh.wait_for(scratch(untouched.api).held)
        assert ask(f"new{untouched.edits}.test").status == 404, "the other one hears nothing yet"
    assert quick.stop() == 0


def test_answers_that_come_slowly(untouched: Scene) -> None:
    async def rule(request: web.Request) -> web.StreamResponse | None:
        await asyncio.sleep(1)
        return None

    untouched.gateway.rule = rule
    untouched.gateway.cut()
    untouched.edit()
    untouched.settle()  # still slow


def test_a_server_that_is_busy_or_broken(untouched: Scene) -> None:
    answers = itertools.cycle([(429, {"Retry-After": "1"}), (500, {})])

    async def rule(_: web.Request) -> web.StreamResponse | None:
        status, headers = next(answers)
        return web.Response(status=status, headers=headers, text="not now")

    since = len(untouched.serving.lines)
    untouched.gateway.rule = rule
    untouched.gateway.cut()
    untouched.edit()
    untouched.serving.wait_for("cannot (list|watch) .*: 500: not now.* context=kubernetes", 20, since=since)
    seen = {name for name in untouched.serving.metrics() if name.startswith("rest_client_requests_total")}
    assert any('code="429"' in name for name in seen)


def test_a_token_that_has_expired(untouched: Scene) -> None:
    good = untouched.token.read_text()
    claims = jwt.decode(good, options={"verify_signature": False})
    claims |= {"iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    key = (untouched.cluster.directory / "accounts.key").read_text()
    expired = jwt.encode(claims, key, "ES256", headers={"kid": jwt.get_unverified_header(good)["kid"]})
    # A trouble with the Lease is told once: that of the fault before has to be over.
    lease = obj("Lease", "coordination.k8s.io/v1", "leader-elect", "projectcontour")
    renewed = untouched.api.get(lease)["spec"]["renewTime"]
    untouched.api.wait_for(lease, lambda one: one["spec"]["renewTime"] != renewed)
    since = len(untouched.serving.lines)
    _replace(untouched.token, expired)
    untouched.serving.wait_for("401 Unauthorized.* context=leader-election", 20, since=since)
    untouched.gateway.cut()
    untouched.serving.wait_for("not allowed to .*401 Unauthorized.* context=kubernetes", 20, since=since)
    untouched.edit()
    _replace(untouched.token, good)
    untouched.serving.wait_for("read again", 20, since=since)


def _replace(file: Path, text: str) -> None:
    """At once, as the kubelet does it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_a_crd_that_is_not_installed(untouched: Scene) -> None:
    """One that runs goes on with what it knows; one that starts says what is missing, or is told to do without."""
    crd = _crd("extensionservices")
    untouched.api.delete(crd)
    starts = untouched.launch()
    without = untouched.launch("--disable-feature=extensionservices")
    line = starts.wait_for("extensionservices of projectcontour.io/v1alpha1", 20)
    assert "level=error" in line
    assert "install the CRDs" in line
    without.wait_for(Serving.READY, 20)
    untouched.edit()
    with client(without.xds_port) as fresh:
        fresh.wait_for(scratch(untouched.api, disabled=("extensionservices",)).held)
    assert not any(Serving.READY.search(line) for line in starts.lines)
    untouched.api.apply(crd)
    starts.wait_for(Serving.READY, 20)
    for one in (starts, without):
        assert one.stop() == 0


def _crd(plural: str) -> Object:
    found = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in CRDS.glob("*.yaml"))
    (crd,) = (one for one in found if one["spec"]["names"]["plural"] == plural)
    return crd


def test_an_object_that_does_not_decode(untouched: Scene) -> None:
    """The last good version stays, others change, and it is read again when it is right."""
    untouched.api.apply(proxy("torn"))
    wait_for("torn.test", 200)
    crd = _crd("httpproxies")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    lax = [{**version, "schema": {"openAPIV3Schema": schema}} for version in crd["spec"]["versions"]]
    untouched.api.patch(crd, {"spec": {"versions": lax}})
    since = len(untouched.serving.lines)

    def torn() -> bool:
        try:
            untouched.api.patch(proxy("torn"), {"spec": {"routes": "none"}})
        except ApiError:
            return False
        return True

    wait_until(torn, 20)
    line = untouched.serving.wait_for("HTTPProxy shop/torn is left as it was", 20, since=since)
    assert "spec.routes" in line
    untouched.edit()
    wait_for(f"new{untouched.edits}.test", 200)
    wait_for("torn.test", 200)
    untouched.api.apply(proxy("torn", "moving"))
    untouched.api.patch(crd, {"spec": {"versions": crd["spec"]["versions"]}})


def test_a_status_that_somebody_else_changes_too(untouched: Scene) -> None:
    """Each of the first writes finds a newer version; the last one is of the newest."""
    others = untouched.cluster.api()
    times = iter(range(3))

    async def rule(request: web.Request) -> web.StreamResponse | None:
        if request.path.endswith("/contended/status") and (number := next(times, None)) is not None:
            change = {"metadata": {"annotations": {"touched": str(number)}}}
            await asyncio.to_thread(others.patch, proxy("contended"), change)
        return None

    kind = '{kind="HTTPProxy"}'
    before = untouched.serving.metrics()
    untouched.gateway.rule = rule
    untouched.api.apply(proxy("contended"))
    untouched.api.wait_for(proxy("contended"), current("valid"), timeout=20)
    after = untouched.serving.metrics()
    others.close()
    conflicts = f"contour_status_update_conflict_total{kind}"
    writes = f"contour_status_update_total{kind}"
    assert after[conflicts] - before.get(conflicts, 0) == 3
    assert after[writes] - before[writes] == 4


def test_a_status_that_may_not_be_written(untouched: Scene) -> None:
    """Said once, counted, and not tried again at once: not even for other objects of the namespace."""
    role = _role()
    untouched.api.patch(role, {"rules": [rule for rule in role["rules"] if rule["verbs"] != ["patch"]]})
    since = len(untouched.serving.lines)
    failed = 'contour_status_update_failed_total{kind="HTTPProxy"}'
    untouched.api.apply([namespace("barred"), *(_barred(number) for number in range(3))])
    untouched.serving.wait_for("statuses of HTTPProxy objects in namespace barred may not be written", 20, since=since)
    wait_until(lambda: untouched.serving.metrics()["contour_status_waiting"] == 3)
    before = untouched.serving.metrics()[failed]
    assert 1 <= before <= 3
    untouched.api.apply(_barred(3))
    wait_until(lambda: untouched.serving.metrics()["contour_status_waiting"] == 4)
    assert untouched.serving.metrics()[failed] == before
    assert len([line for line in untouched.serving.lines[since:] if "may not be written" in line]) == 1
    untouched.api.patch(role, {"rules": role["rules"]})
    for number in range(4):
        untouched.api.delete(_barred(number))
    untouched.edit()


def _role() -> Object:
    """What `serve` may do in all namespaces."""
    roles = yaml.safe_load_all((INSTALLATION / "02-role-contour.yaml").read_text(encoding="utf-8"))
    (found,) = (role for role in roles if role["kind"] == "ClusterRole")
    return found


def _barred(number: int) -> Object:
    spec = {"virtualhost": {"fqdn": f"barred{number}.test"}, "routes": [{"directResponsePolicy": {"statusCode": 200}}]}
    return obj("HTTPProxy", "projectcontour.io/v1", f"b{number}", "barred", spec=spec)


def test_the_leader_is_killed(untouched: Scene) -> None:
    """Another one in its place, on the same address: Envoy goes on with what it has, and is told the difference."""
    untouched.serving.kill()
    untouched.edit()
    assert taken(untouched.envoy)
    untouched.serving = untouched.launch(xds_port=untouched.serving.xds_port)
    untouched.serving.wait_for(Serving.READY, 30)


def test_an_envoy_is_killed(untouched: Scene) -> None:
    """The other one, whose clients these are, hears nothing of it; the killed one comes back to everything."""
    streams = 'contour_xds_streams{shape="scoped"}'
    for _ in range(2):
        with untouched.serving.envoy() as another:
            wait_until(lambda: taken(another) == taken(untouched.envoy), 20)
            assert untouched.serving.metrics()[streams] == 2
            another.process.kill()
            another.process.wait()
            wait_until(lambda: untouched.serving.metrics()[streams] == 1, 20)
        untouched.edit()


def test_a_process_that_is_frozen_for_longer_than_its_lease(untouched: Scene) -> None:
    """For it the clocks jump: it finds that it leads no more before it writes, and leads again."""
    leads = 'leader_election_master_status{name="leader-elect"}'
    wait_until(lambda: untouched.serving.metrics()[leads] == 1, 20)
    since = len(untouched.serving.lines)
    untouched.serving.process.send_signal(signal.SIGSTOP)
    untouched.edit()
    time.sleep(LEASE + 0.5)  # as long as others wait before they take the Lease
    untouched.serving.process.send_signal(signal.SIGCONT)
    untouched.serving.wait_for("this replica leads no more", 20, since=since)
    untouched.serving.wait_for("this replica leads ", 20, since=since)


def test_the_api_server_is_gone_for_a_while(untouched: Scene, request: pytest.FixtureRequest) -> None:
    """And when it is back, what was watched before is too long ago: 410, and everything is listed."""
    before = taken(untouched.envoy)
    since = len(untouched.serving.lines)
    untouched.cluster.apiserver.kill()
    untouched.serving.wait_for('level=error .*msg="http://.*context=kubernetes', since=since)
    ends = time.monotonic() + request.config.getoption("outage")
    with untouched.serving.envoy() as another:  # one that comes now gets everything
        wait_until(lambda: taken(another) == before, 20)
    time.sleep(max(0.0, ends - time.monotonic()))  # that it lasts is what is tested
    untouched.gateway.rule = _gone
    untouched.api.close()
    untouched.cluster.apiserver.start()
    for _ in range(2):
        untouched.edit()
    untouched.gateway.rule = None
    untouched.serving.wait_for('msg="read again" .*context=kubernetes', 30, since=since)


async def _gone(request: web.Request) -> web.StreamResponse:
    abort(request)
    return web.Response()


def test_the_api_server_is_killed_during_a_list(untouched: Scene) -> None:
    """Half a list takes nothing away."""
    before = taken(untouched.envoy)
    half = threading.Event()
    expiring = _expiring(set())

    async def rule(request: web.Request) -> web.StreamResponse | None:
        if is_watch(request):
            return await expiring(request)
        if "httpproxies" not in request.path or request.method != "GET":
            return None
        body = await untouched.gateway.fetch(request)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        half.set()
        await asyncio.Event().wait()  # until it is cut
        return response

    untouched.gateway.rule = rule
    untouched.gateway.cut()
    assert half.wait(20)
    untouched.cluster.apiserver.kill()
    untouched.gateway.rule = None
    untouched.gateway.cut()
    assert taken(untouched.envoy) == before
    untouched.api.close()
    untouched.cluster.apiserver.start()
    untouched.edit()


def test_etcd_is_killed(untouched: Scene) -> None:
    untouched.cluster.etcd.kill()
    with untouched.cluster.api(timeout=2) as hasty, pytest.raises((ApiError, OSError)):
        hasty.patch(proxy("changed"), {"metadata": {"annotations": {"lost": "yes"}}})
    with client(untouched.serving.xds_port) as fresh:
        wait_until(lambda: tellable(fresh.held) == taken(untouched.envoy), 20)
    untouched.cluster.etcd.start()
    untouched.cluster.apiserver.wait_ready()
    untouched.edit()
