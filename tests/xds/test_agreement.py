"""Random publications, subscriptions, refusals and pauses: both protocol variants end in the same client, which is right.

The clients here follow the protocol as a client reads it: they know nothing of the machines.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SCOPED_ROUTE,
    SECRET,
    Resource,
    TypeUrl,
)
from contour.xds import wire
from contour.xds.events import Close, DeltaRequest, Published, Send, StateRequest, Tick
from contour.xds.messages import DeltaDiscoveryResponse, DiscoveryResponse
from contour.xds.snapshot import Snapshot
from contour.xds.stream import Stream

NAMES = ("a", "b", "c", "d")
TYPES = (CLUSTER, ENDPOINTS, SECRET, SCOPED_ROUTE, ROUTE, LISTENER)
WHOLE = (CLUSTER, SCOPED_ROUTE, LISTENER)  # what state of the world sends whole
BAD = 7  # the content that clients refuse


def make(kind: TypeUrl, name: str, content: int, uses: str) -> Resource:
    """A message of which fields 90 and 91 are name and content; a cluster also says which endpoints it waits for."""
    body = wire.text(90, name) + wire.text(91, str(content)) + wire.text(92, uses)
    if kind == CLUSTER:
        body += bytes((2 << 3, 3)) + wire.field(3, wire.text(2, uses))
    return Resource(name, f"{content}{uses}", body)


def read(body: bytes) -> tuple[str, int, str]:
    """Name, content, and what else makes the version."""
    found = {number: value for number, value in wire.fields(body) if isinstance(value, bytes)}
    return found[90].decode(), int(found[91]), found[91].decode() + found.get(92, b"").decode()


def bad(resource: Resource) -> bool:
    return resource.version.startswith(str(BAD))


class Client:
    """State: name → version, per type. Refuses whole responses that hold bad content, as Envoy's scopes do."""

    def __init__(self, snapshot: Snapshot, *, delta: bool) -> None:
        self.delta = delta
        self.state: dict[TypeUrl, dict[str, str]] = {kind: {} for kind in TYPES}
        self.wanted: dict[TypeUrl, set[str] | None] = {}  # None: everything
        self.inbox: list[Send] = []
        self.nonces: dict[TypeUrl, str] = {}
        self.versions: dict[TypeUrl, str] = {}
        self.accepted: set[TypeUrl] = set()  # on this stream
        self.snapshot = snapshot
        self.connect()

    def connect(self) -> None:
        """A new stream: names everything again, and says what it has if the variant lets it."""
        self.stream = Stream(self.snapshot, delta=self.delta)
        self.inbox.clear()
        self.nonces.clear()
        self.accepted.clear()
        for kind, names in self.wanted.items():
            if self.delta:
                self.feed(DeltaRequest(kind, tuple(names or ()), (), dict(self.state[kind])))
            else:
                self.feed(StateRequest(kind, tuple(names or ()), self.versions.get(kind, "")))

    def feed(self, event) -> None:
        for command in self.stream.feed(event, self.now):
            assert not isinstance(command, Close)
            if isinstance(command, Send):
                self.inbox.append(command)

    now = 0.0

    def subscribe(self, kind: TypeUrl, names: set[str]) -> None:
        """A wildcard for what Envoy asks for as a whole, else these names."""
        new = None if kind in WHOLE else names
        old = self.wanted.get(kind, set())
        first = kind not in self.wanted
        self.wanted[kind] = new
        if new is None:
            if first:
                self.feed(DeltaRequest(kind) if self.delta else StateRequest(kind))
            return
        for name in (old or set()) - new:
            self.state[kind].pop(name, None)
        if self.delta:
            if first or new != old:
                self.feed(DeltaRequest(kind, tuple(sorted(new - (old or set()))), tuple(sorted((old or set()) - new))))
        else:
            self.feed(StateRequest(kind, tuple(sorted(new)), self.versions.get(kind, ""), self.nonces.get(kind, "")))

    def answer(self) -> None:
        """Process the oldest response."""
        if not self.inbox:
            return
        send = self.inbox.pop(0)
        kind, state = send.type_url, self.state[send.type_url]
        if self.delta:
            message = DeltaDiscoveryResponse.FromString(send.data)
            items = {r.name: (r.version, read(r.resource.value)[1]) for r in message.resources}
            assert len(items) == len(message.resources)
            assert not items.keys() & set(message.removed_resources)
        else:
            message = DiscoveryResponse.FromString(send.data)
            items = {name: (version, content) for name, content, version in (read(r.value) for r in message.resources)}
            assert len(items) == len(message.resources)
        error = "no" if any(content == BAD for _, content in items.values()) else None
        if error is None:
            names = self.wanted[kind]
            taken = {n: v for n, (v, _) in items.items() if names is None or n in names}
            if self.delta:
                state.update(taken)
                for name in message.removed_resources:
                    state.pop(name, None)
            else:
                if kind in WHOLE:
                    state.clear()
                state.update(taken)
                self.versions[kind] = message.version_info
            self.accepted.add(kind)
        self.nonces[kind] = message.nonce
        if self.delta:
            self.feed(DeltaRequest(kind, nonce=message.nonce, error=error))
        else:
            names = tuple(sorted(self.wanted[kind] or ()))
            self.feed(StateRequest(kind, names, self.versions.get(kind, ""), message.nonce, error))


class Agreement(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot()
        self.clients = [Client(self.snapshot, delta=True), Client(self.snapshot, delta=False)]
        self.told: dict[TypeUrl, dict[str, Resource]] = {kind: {} for kind in TYPES}

    @rule(
        changes=st.lists(
            st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES), st.integers(0, BAD), st.sampled_from(NAMES)),
            max_size=6,
        ),
        removals=st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES)), max_size=4),
        backends=st.dictionaries(st.sampled_from(NAMES), st.booleans(), max_size=2),
    )
    def publish(self, changes, removals, backends):
        present: dict[TypeUrl, dict[str, Resource]] = {kind: {} for kind in TYPES}
        removed: dict[TypeUrl, set[str]] = {kind: set() for kind in TYPES}
        for kind, name, content, uses in changes:
            present[kind][name] = make(kind, name, content, uses)
        for kind, name in removals:
            if name not in present[kind]:
                removed[kind].add(name)
        for kind in TYPES:
            self.told[kind].update(present[kind])
            for name in removed[kind]:
                self.told[kind].pop(name, None)
        touched = self.snapshot.publish({kind: (present[kind], removed[kind]) for kind in TYPES})
        for client in self.clients:
            client.feed(Published(touched, backends))

    @rule(kind=st.sampled_from(TYPES), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def subscribe(self, kind, names):
        for client in self.clients:
            client.subscribe(kind, names)

    @rule(which=st.integers(0, 1), times=st.integers(1, 4))
    def answer(self, which, times):
        for _ in range(times):
            self.clients[which].answer()

    @rule(which=st.integers(0, 1))
    def reconnect(self, which):
        self.clients[which].connect()

    @rule(seconds=st.sampled_from((0.5, 6.0)))
    def wait(self, seconds):
        Client.now += seconds
        for client in self.clients:
            if client.stream.wake <= Client.now:
                client.feed(Tick())

    def teardown(self):
        if not self.snapshot.ready:
            return
        for _ in range(300):
            for client in self.clients:
                while client.inbox:
                    client.answer()
            if all(client.stream.wake > 1e300 for client in self.clients):
                break
            Client.now += 6.0
            for client in self.clients:
                client.feed(Tick())
        any_refused = any(bad(one) for kind in (SCOPED_ROUTE, ROUTE, LISTENER) for one in self.told[kind].values())
        for client in self.clients:
            assert not client.inbox
            for kind, names in client.wanted.items():
                table = self.told[kind]
                state = client.state[kind]
                # The whole without what was refused could take away what the client still runs from an earlier stream:
                # it is not sent until something can be.
                held = not client.delta and kind not in client.accepted and any(map(bad, table.values()))
                for name in NAMES:
                    resource = table.get(name)
                    asked = names is None or name in names
                    if not asked:
                        assert name not in state
                    elif resource is not None and not bad(resource):
                        assert state.get(name) == resource.version, (client.delta, kind, name)
                    elif resource is None and kind in (CLUSTER, ENDPOINTS, SECRET) and any_refused:
                        pass  # the last good version of what was refused may use it: it stays
                    elif resource is None and (client.delta or kind in WHOLE) and not held:
                        assert name not in state, (client.delta, kind, name)
                    elif resource is not None:
                        assert not state.get(name, "").startswith(str(BAD))


Agreement.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAgreement = Agreement.TestCase
