"""Random reassignments of hosts to clusters: at no step does the client route to a cluster that cannot serve.

The client does what Envoy does: a new cluster serves when its endpoints have come after it, a changed one goes on
meanwhile, and responses are applied in the order in which they were sent, at any pace. Only time limits could break it.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contour.envoy.resource import CLUSTER, ENDPOINTS, SCOPED_ROUTE, Resource
from contour.xds import wire
from contour.xds.events import DeltaRequest, Published, Send
from contour.xds.messages import DeltaDiscoveryResponse
from contour.xds.snapshot import Snapshot
from contour.xds.stream import Stream

HOSTS = ("h0", "h1", "h2")
BACKENDS = ("k0", "k1", "k2", "k3")


class Envoy:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stream = Stream(snapshot, delta=True)
        self.second_hand: set[str] = set()  # hosts known only by the last good version of somebody else
        self.inbox: list[Send] = []
        self.outbox: list[DeltaRequest] = []
        self.clusters: dict[str, str] = {}  # name → endpoints; warming ones included
        self.serving: set[str] = set()
        self.routes: dict[str, str] = {}  # host → cluster
        self.subscribed: set[str] = set()
        self.feed(DeltaRequest(CLUSTER))
        self.feed(DeltaRequest(SCOPED_ROUTE))

    def feed(self, event) -> None:
        self.inbox += (c for c in self.stream.feed(event, 0.0) if isinstance(c, Send))

    def process(self) -> None:
        """Apply the oldest response; the answers are on their way."""
        if not self.inbox:
            return
        message = DeltaDiscoveryResponse.FromString(self.inbox.pop(0).data)
        bodies = {r.name: dict(wire.fields(r.resource.value)) for r in message.resources}
        error = None
        asks: list[DeltaRequest] = []
        if message.type_url == CLUSTER:
            asks = self._clusters(bodies, message.removed_resources)
        elif message.type_url == ENDPOINTS:
            arrived = {*bodies, *message.removed_resources}
            self.serving |= {c for c, e in self.clusters.items() if e in arrived}
        elif any(b"bad" in body.values() for body in bodies.values()):
            error = "no"
        else:
            for name, body in bodies.items():
                new = name not in self.routes
                self.second_hand.discard(name)
                if new and (SCOPED_ROUTE, name) in self.snapshot.refused:
                    self.second_hand.add(name)  # its cluster may be gone: 503 instead of 404
                self.routes[name] = body[90].decode()
            for name in message.removed_resources:
                self.routes.pop(name, None)
        self.outbox += [DeltaRequest(message.type_url, nonce=message.nonce, error=error), *asks]

    def _clusters(self, bodies, removed) -> list[DeltaRequest]:
        for name in removed:
            self.clusters.pop(name, None)
            self.serving.discard(name)
        for name, body in bodies.items():
            self.clusters[name] = dict(wire.fields(body[3]))[2].decode()
        wanted = set(self.clusters.values())
        new, gone = wanted - self.subscribed, self.subscribed - wanted
        self.subscribed = wanted
        return [DeltaRequest(ENDPOINTS, tuple(new), tuple(gone))] if new or gone else []

    def answer(self) -> None:
        if self.outbox:
            self.feed(self.outbox.pop(0))


def cluster(name: str, edition: int, endpoints: str) -> Resource:
    body = bytes((2 << 3, 3)) + wire.field(3, wire.text(2, endpoints)) + wire.text(91, str(edition))
    return Resource(name, f"{edition}{endpoints}", body)


class NeverBroken(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot()
        self.snapshot.publish({})
        self.envoys = [Envoy(self.snapshot), Envoy(self.snapshot)]
        self.routes: dict[str, tuple[str, bool]] = {}

    @rule(
        assignment=st.dictionaries(
            st.sampled_from(HOSTS),
            st.none() | st.tuples(st.sampled_from(BACKENDS), st.sampled_from((False,) * 4 + (True,))),
        ),
        editions=st.dictionaries(st.sampled_from(BACKENDS), st.integers(0, 2)),
    )
    def publish(self, assignment, editions):
        scopes: dict[str, Resource] = {}
        gone: set[str] = set()
        for host, value in assignment.items():
            if value is None:
                gone.add(host)
                self.routes.pop(host, None)
            else:
                self.routes[host] = value
                name, bad = value
                body = wire.text(90, name) + wire.text(91, "bad" if bad else "good")
                scopes[host] = Resource(host, f"{name}{bad}", body)
        used = {name for name, _ in self.routes.values()}
        # k0 and k1 share their endpoints, as two clusters of one Service do.
        clusters = {n: cluster(n, editions.get(n, 0), "e0" if n in ("k0", "k1") else f"e{n}") for n in used}
        endpoints = {
            e: Resource(e, "1", wire.field(2, b"")) for e in ("e0" if n in ("k0", "k1") else f"e{n}" for n in used)
        }
        touched = self.snapshot.publish(
            {
                CLUSTER: (clusters, set(self.snapshot.tables[CLUSTER]) - clusters.keys()),
                ENDPOINTS: (endpoints, set(self.snapshot.tables[ENDPOINTS]) - endpoints.keys()),
                SCOPED_ROUTE: (scopes, gone),
            }
        )
        for envoy in self.envoys:
            envoy.feed(Published(touched))

    @rule(which=st.integers(0, 1), times=st.integers(1, 3))
    def process(self, which, times):
        for _ in range(times):
            self.envoys[which].process()

    @rule(which=st.integers(0, 1), times=st.integers(1, 3))
    def answer(self, which, times):
        for _ in range(times):
            self.envoys[which].answer()

    @invariant()
    def every_route_leads_to_a_cluster_that_serves(self):
        for envoy in self.envoys:
            for host, name in envoy.routes.items():
                if host in envoy.second_hand:
                    continue
                assert name in envoy.serving, (host, name, envoy.clusters, envoy.serving)

    def teardown(self):
        for _ in range(200):
            for envoy in self.envoys:
                envoy.process()
                envoy.answer()
                self.every_route_leads_to_a_cluster_that_serves()
        for envoy in self.envoys:
            assert not envoy.inbox
            good = {host: name for host, (name, bad) in self.routes.items() if not bad}
            assert {h: n for h, n in envoy.routes.items() if h in good} == good
            assert envoy.routes.keys() <= self.routes.keys()
            assert envoy.clusters.keys() == {n for n, _ in self.routes.values()} | {
                n for h, n in envoy.routes.items() if n in envoy.clusters
            }


NeverBroken.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestNeverBroken = NeverBroken.TestCase
