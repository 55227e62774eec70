"""A client of one stream machine, so that tests read as a dialogue; and short spellings of resources."""

from __future__ import annotations

from contour.envoy import pb
from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, ROUTE, SCOPED_ROUTE, SECRET, Resource, version_of
from contour.xds.events import Accepted, Close, DeltaRequest, Published, Refused, Send, StateRequest, Tick
from contour.xds.messages import DeltaDiscoveryResponse, DiscoveryResponse
from contour.xds.snapshot import Snapshot
from contour.xds.stream import Stream, Timing

SHORT = {CLUSTER: "C", ENDPOINTS: "E", SECRET: "S", ROUTE: "R", SCOPED_ROUTE: "SR", LISTENER: "L"}
LONG = {short: long for long, short in SHORT.items()}


def res(name: str, body: bytes | str = b"") -> Resource:
    body = body.encode() if isinstance(body, str) else body
    return Resource(name, version_of(body), body)


def cluster(name: str, *, endpoints: str | None = None, note: str = "") -> Resource:
    message = pb.Cluster(name=name, alt_stat_name=note)
    if endpoints is not None:
        message.type = pb.Cluster.EDS
        message.eds_cluster_config.service_name = endpoints
    return res(name, pb.serialize(message))


def pods(name: str, note: str = "") -> Resource:
    """An assignment that has an endpoint."""
    message = pb.ClusterLoadAssignment(cluster_name=name)
    message.endpoints.add().lb_endpoints.add().endpoint.hostname = note
    return res(name, pb.serialize(message))


def none(name: str) -> Resource:
    """An assignment without endpoints."""
    return res(name, pb.serialize(pb.ClusterLoadAssignment(cluster_name=name)))


class World:
    """A snapshot and the streams that watch it."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.clients: list[Client] = []
        self.now = 100.0

    def publish(
        self,
        changes: dict[str, tuple[list[Resource], list[str]]],
        holds: dict[str, float] | None = None,
        backends: dict[str, bool] | None = None,
    ) -> None:
        touched = self.snapshot.publish(
            {LONG[t]: ({r.name: r for r in present}, set(removed)) for t, (present, removed) in changes.items()}, holds
        )
        for client in self.clients:
            client.feed(Published(touched, backends or {}))

    def client(self, **options) -> Client:
        client = Client(self, **options)
        self.clients.append(client)
        return client

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for client in self.clients:
            if client.stream.wake <= self.now:
                client.feed(Tick())


class Client:
    """Keeps what it is sent until `heard` is called: a list such as `["C+c1", "C-c2"]` of one entry a response."""

    def __init__(
        self,
        world: World,
        *,
        delta: bool = True,
        kind: str | None = None,
        envoy: bool = True,
        timing: Timing | None = None,
    ) -> None:
        self.world = world
        self.delta = delta
        self.stream = Stream(
            world.snapshot, delta=delta, default_type=LONG[kind] if kind else None, envoy=envoy, timing=timing
        )
        self.inbox: list[tuple[str, str, dict[str, str], list[str]]] = []  # type, nonce, name → version, removed
        self.verdicts: list[Accepted | Refused] = []
        self.closed: str | None = None
        self.versions: dict[str, str] = {}
        self.subscribed: dict[str, tuple[str, ...]] = {}

    def feed(self, event) -> None:
        for command in self.stream.feed(event, self.world.now):
            match command:
                case Send(type_url, nonce, data):
                    self.inbox.append(self._decode(SHORT[type_url], nonce, data))
                case Accepted() | Refused():
                    self.verdicts.append(command)
                case Close(message):
                    self.closed = message

    def _decode(self, short: str, nonce: str, data: bytes):
        if self.delta:
            message = DeltaDiscoveryResponse.FromString(data)
            assert (message.nonce, message.type_url) == (nonce, LONG[short])
            for item in message.resources:
                assert item.resource.type_url == LONG[short]
                if b"contour.again." not in item.resource.value:
                    assert item.version == version_of(item.resource.value)
            return short, nonce, {r.name: r.version for r in message.resources}, list(message.removed_resources)
        message = DiscoveryResponse.FromString(data)
        assert (message.nonce, message.type_url) == (nonce, LONG[short])
        self.versions[short] = message.version_info
        bodies = [r.value for r in message.resources]
        names = {body.rpartition(b"#")[2].decode(): version_of(body) for body in bodies}
        return short, nonce, names, []

    # What the client says

    def ask(self, short: str, *names: str, drop: tuple[str, ...] = (), has: dict[str, str] | None = None) -> None:
        if self.delta:
            self.feed(DeltaRequest(LONG[short], names, drop, has or {}))
        else:
            self.subscribed[short] = names
            nonce = self.stream.channels[LONG[short]].last_nonce if LONG[short] in self.stream.channels else ""
            self.feed(StateRequest(LONG[short], names, self.versions.get(short, ""), nonce))

    def ack(self, short: str, nonce: str | None = None, error: str | None = None) -> None:
        flight = self.stream.channels[LONG[short]].flight
        nonce = nonce or (flight.nonce if flight else "")
        if self.delta:
            self.feed(DeltaRequest(LONG[short], nonce=nonce, error=error))
        else:
            self.feed(
                StateRequest(LONG[short], self.subscribed.get(short, ()), self.versions.get(short, ""), nonce, error)
            )

    def nack(self, short: str, text: str = "no") -> None:
        self.ack(short, error=text)

    def heard(self) -> list[str]:
        """What came since the last call: `TYPE+set,names-removed,names` for each response."""
        lines = []
        for short, _, names, removed in self.inbox:
            lines.append(
                short + ("+" + ",".join(names) if names else "") + ("-" + ",".join(removed) if removed else "")
            )
        self.inbox.clear()
        return lines

    def settle(self, rounds: int = 100) -> list[str]:
        """Acknowledge everything until nothing more comes; returns all that was heard."""
        heard = []
        for _ in range(rounds):
            if not self.inbox:
                return heard
            shorts = [m[0] for m in self.inbox]
            heard += self.heard()
            for short in shorts:
                self.ack(short)
        raise AssertionError(f"no end: {heard[-5:]}")
