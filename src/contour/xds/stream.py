"""One client's stream: requests and publications in, responses out, in an order that breaks no traffic.

On an aggregated stream (design/architecture.md §4.3):

    clusters  >  their endpoints  >  secrets, runtime  >  routes and scopes  >  listeners  >  removals, in reverse

Clusters, endpoints and secrets go at once: more of them harms nobody. Routes, scopes and listeners wait until the new
clusters that they mention are ready (`barrier`). A removal waits until everything that could use what is removed has
been sent and acknowledged. Each type has one response in flight (`channel`); everything else is recomputed from the
client's state after each event, so there is no script that a NACK, a reconnect or a newer change could derail.

The streams of single types (one for each resource, as Contour's own bootstrap asks for them) cannot be ordered among
each other: there removed clusters and endpoints stay for some seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import inf

import msgspec

from contour.envoy.resource import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    SCOPED_ROUTE,
    SECRET,
    TypeUrl,
)
from contour.xds import refusal
from contour.xds.barrier import ALL, Barrier, host_of
from contour.xds.channel import Answer, Channel, Flight, Mark, MayRemove, MaySet
from contour.xds.events import (
    Accepted,
    Close,
    Command,
    DeltaRequest,
    Event,
    Nacked,
    Published,
    Refused,
    Send,
    StateRequest,
    Tick,
)
from contour.xds.snapshot import TYPES, Snapshot

_GATED = (SCOPED_ROUTE, ROUTE, LISTENER)
# Sending order. Scopes and routes before listeners: a new filter chain finds its routes.
_ORDER = (CLUSTER, ENDPOINTS, SECRET, RUNTIME, SCOPED_ROUTE, ROUTE, LISTENER)
# Users before what they use.
_REMOVAL_ORDER = (LISTENER, ROUTE, SCOPED_ROUTE, CLUSTER, SECRET, ENDPOINTS)
# What has to be settled before something of a type is removed. A chain goes before the scopes that it uses, else its
# last requests would be answered 404.
_USERS: Mapping[TypeUrl, tuple[TypeUrl, ...]] = {
    LISTENER: (),
    ROUTE: (LISTENER,),
    SCOPED_ROUTE: (LISTENER,),
    RUNTIME: (),
    SECRET: (LISTENER, CLUSTER),
    CLUSTER: (LISTENER, ROUTE, SCOPED_ROUTE),
    ENDPOINTS: (LISTENER, ROUTE, SCOPED_ROUTE, CLUSTER),
}


class Timing(msgspec.Struct, frozen=True, gc=False):
    """Limits in seconds."""

    warm: float = 5.0  # for a new cluster's endpoints to be acknowledged
    lag: float = 0.1  # that a Service or its endpoints may become known later than what uses them
    linger: float = 5.0  # that removed clusters stay where streams cannot be ordered
    answer: float = 30.0  # for a delta response to be acknowledged at all, before the next one is sent
    retry: float = 10.0  # until what was refused for a passing reason, such as a taken port, is sent again


class Stream:
    """`ordered`: an aggregated stream. `default_type`: the type of a single-type service.

    `envoy` is false for a client that is not an Envoy, such as `contour cli --nack`: its verdicts concern it alone.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        delta: bool,
        default_type: TypeUrl | None = None,
        envoy: bool = True,
        timing: Timing | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.channels: dict[TypeUrl, Channel] = {}
        self.wake = inf  # when a Tick is due
        self._delta = delta
        self._default_type = default_type
        self._ordered = default_type is None
        self._envoy = envoy
        self._timing = timing or Timing()
        self._barrier = Barrier(self._timing.warm)
        self._reconnected = False  # the client had another stream before this one
        self._retries: dict[tuple[TypeUrl, str], float] = {}
        self._kept: set[str] = (
            set()
        )  # removed clusters that are still used, because what would replace their user was refused
        self._sequence = 0
        self._nonce = 0

    def feed(self, event: Event, now: float) -> list[Command]:
        commands: list[Command] = []
        match event:
            case DeltaRequest() | StateRequest():
                commands += self._request(event, now)
            case Published(names, backends):
                self._published(names, now)
                self._missed(backends, now)
            case Tick():
                self._barrier.expire(now)
                for channel in self.channels.values():
                    if self._given_up(channel) <= now:
                        self._arrived(channel, channel.abandon(), now)
                for type_url, name in [key for key, due in self._retries.items() if due <= now]:
                    del self._retries[type_url, name]
                    self.channels[type_url].retry(name)
                    self._published({type_url: (name,)}, now)
        self._send(commands, now)
        self._set_wake(now)
        return commands

    # Requests

    def _request(self, event: DeltaRequest | StateRequest, now: float) -> Iterable[Command]:
        # The type in the request wins over the one that the RPC implies (operations.md §4.4).
        type_url = TypeUrl(event.type_url or self._default_type or "")
        if type_url not in TYPES:
            return [Close(f"unknown type URL {type_url!r}" if type_url else "a type URL is required on this stream")]
        first = type_url not in self.channels
        if first:
            self.channels[type_url] = Channel(type_url, self.snapshot, delta=self._delta)
        channel = self.channels[type_url]
        commands: list[Command] = []
        if isinstance(event, StateRequest) and event.nonce != channel.last_nonce and not first:
            return commands  # stale: the client has not seen our last response yet ("Resource updates")
        if channel.flight and event.nonce == channel.flight.nonce:
            commands += self._answered(channel, event.error, now)
        elif event.error is not None:
            self._published({type_url: channel.late_refusal(event.nonce)}, now)
        # A delta request with a stale nonce may still change the subscription ("Incremental xDS").
        mark = self._mark(now)
        if isinstance(event, StateRequest):
            channel.subscribe_state(event.names, mark, first=first)
            self._reconnected = self._reconnected or (first and bool(event.version))
        elif first or event.subscribe or event.unsubscribe:
            channel.subscribe_delta(event.subscribe, event.unsubscribe, event.initial_versions if first else None, mark)
            self._reconnected = self._reconnected or bool(event.initial_versions)
            if first and self._reconnected:
                channel.distrust()
        self._gate({type_url: [n for n, m in channel.due.items() if m.sequence == mark.sequence]}, mark)
        return commands

    def _answered(self, channel: Channel, error: str | None, now: float) -> Iterable[Command]:
        type_url = channel.type_url
        answer = channel.acknowledge() if error is None else channel.refuse(error)
        if error is not None:
            yield Nacked(type_url, error, len(answer.flight.present) + len(answer.flight.removed))
        self._arrived(channel, answer.flight, now)
        if self._envoy:
            for item in self.snapshot.accept(type_url, answer.accepted):
                yield Accepted(type_url, item.name, item.version)
        yield from self._refused(channel, answer, error or "", now)

    def _refused(self, channel: Channel, answer: Answer, text: str, now: float) -> Iterable[Command]:
        for item in answer.refused:
            if channel.type_url == CLUSTER:
                self._barrier.drop(item.name)
            passing = refusal.passing(text)
            if passing:
                self._retries[channel.type_url, item.name] = now + self._timing.retry
            if self._envoy:
                everywhere = not passing and self.snapshot.refuse(channel.type_url, item, text)
                yield Refused(channel.type_url, item.name, item.version, text, everywhere)
            self._published({channel.type_url: (item.name,)}, now)  # the last good version, if this client lacks it

    def _arrived(self, channel: Channel, flight: Flight, now: float) -> None:
        if channel.type_url == CLUSTER:
            self._barrier.clusters_acknowledged(flight.present, now)
        elif channel.type_url == ENDPOINTS:
            self._barrier.endpoints_acknowledged((*flight.present, *flight.removed), flight.nonce, now)

    # Publications

    def _published(self, names: Mapping[TypeUrl, Collection[str]], now: float) -> None:
        mark = self._mark(now)
        for type_url, touched in names.items():
            if type_url in self.channels:
                self.channels[type_url].touch(touched, mark)
        self._gate(names, mark)

    def _missed(self, backends: Mapping[str, bool], now: float) -> None:
        if not self._ordered:
            return
        for host, known in backends.items():
            if known:
                self._barrier.found(host)
            elif self._serves():
                self._barrier.lack(host, now + self._timing.lag)

    def _gate(self, names: Mapping[TypeUrl, Collection[str]], mark: Mark) -> None:
        if not self._ordered:
            return
        clusters = self.channels.get(CLUSTER)
        if clusters is not None:
            for name in names.get(CLUSTER, ()):
                self._expect(clusters, name, mark.since)
        if not self._barrier.warming:
            return
        bodies: dict[str | None, list[bytes]] = {}
        for type_url in _GATED:
            if type_url in self.channels and type_url in names:
                channel = self.channels[type_url]
                for name in names[type_url]:
                    entry = self.snapshot.fetched(type_url, name) if name in channel.due else None
                    if entry is not None:
                        # A first load is one response, so it waits as one.
                        bodies.setdefault(ALL if channel.loading else host_of(name), []).append(entry.body)
        self._barrier.close(mark.sequence, bodies)

    def _expect(self, clusters: Channel, name: str, now: float) -> None:
        """A cluster was published: if it is new to the client, what uses it has to wait."""
        if clusters.has(name):
            return
        if name in clusters.due:
            # Where nothing is served that could break, nothing waits for a health check, which may never pass, or for
            # endpoints, which may never come.
            serves = self._serves()
            hold = self.snapshot.health_holds.get(name, 0.0) if serves else 0.0
            self._barrier.expect(name, hold, self._timing.lag if serves else 0.0, now)
        elif not clusters.being_sent(name):
            self._barrier.drop(name)

    def _serves(self) -> bool:
        """The client has had its first load, here or on an earlier stream, and that was not empty."""
        channels = self._present(*_GATED)
        loaded = not any(channel.loading for channel in channels)
        return self._reconnected or (loaded and any(channel.known or channel.flight for channel in channels))

    def _mark(self, now: float) -> Mark:
        self._sequence += 1
        return Mark(self._sequence, now, self._sequence)

    # Responses

    def _send(self, commands: list[Command], now: float) -> None:
        if not self.snapshot.ready:
            return  # an Envoy that reconnects during a start must never see a partial configuration
        for type_url in _ORDER:
            if type_url in self.channels:
                self._send_next(self.channels[type_url], commands, now)
        # Something that is not needed after all may have been the last thing that a removal waited for.
        for type_url in _REMOVAL_ORDER:
            if type_url in self.channels and self.channels[type_url].due_removal:
                self._send_next(self.channels[type_url], commands, now)

    def _send_next(self, channel: Channel, commands: list[Command], now: float) -> None:
        type_url = channel.type_url
        flight = channel.next(now, self._next_nonce, self._may_set(type_url), self._may_remove(type_url, now))
        if flight is None:
            return
        commands.append(Send(type_url, flight.nonce, flight.data, len(flight.present) + len(flight.removed)))
        if type_url == CLUSTER:
            self._clusters_sent(flight, now)
        elif type_url == ENDPOINTS:
            bodies = {name: entry.body for name, entry in flight.present.items()}
            self._barrier.endpoints_sent(bodies | dict.fromkeys(flight.removed, b""), flight.nonce)

    def _clusters_sent(self, flight: Flight, now: float) -> None:
        """After a cluster is changed Envoy waits for its endpoints again, without asking for them (envoy.md §3)."""
        self._barrier.clusters_sent({name: entry.endpoints for name, entry in flight.present.items()}, now)
        for name in flight.removed:
            self._barrier.drop(name)
        endpoints = self.channels.get(ENDPOINTS)
        if endpoints is not None and self._ordered:
            mark = self._mark(now)
            for cluster in flight.present.values():
                if cluster.endpoints is not None:
                    endpoints.resend(cluster.endpoints, mark)

    def _given_up(self, channel: Channel) -> float:
        """When the next response is sent although the last is not answered; never in the state-of-the-world variant,
        where each response answers a request.
        """
        return channel.flight.sent + self._timing.answer if channel.flight and self._delta else inf

    def _next_nonce(self) -> str:
        self._nonce += 1
        return str(self._nonce)

    def _may_set(self, type_url: TypeUrl) -> MaySet:
        if not self._ordered or type_url not in _GATED:
            return lambda _name, _mark: True
        users = self._present(ROUTE, SCOPED_ROUTE) if type_url == LISTENER else ()
        return lambda name, mark: (
            self._barrier.open(mark.sequence, host_of(name)) and all(channel.sent(mark.sequence) for channel in users)
        )

    def _may_remove(self, type_url: TypeUrl, now: float) -> MayRemove:
        if not self._ordered:
            linger = self._timing.linger if type_url in (CLUSTER, ENDPOINTS) else 0.0
            return lambda _name, mark: mark.since + linger <= now
        users = self._present(*_USERS[type_url])
        gated = type_url in _GATED

        def may_remove(name: str, mark: Mark) -> bool:
            if gated and not self._barrier.open(mark.sequence):
                return False
            if type_url == CLUSTER:
                if self._used(name):
                    self._kept.add(name)
                    return False
                if name in self._kept:
                    # Whatever replaces its user was published later than the removal: wait for that too.
                    self._kept.discard(name)
                    mark = self.channels[CLUSTER].due_removal[name] = self._mark(now)
            return all(channel.settled(mark.sequence) for channel in users)

        return may_remove

    def _used(self, cluster: str) -> bool:
        """Something whose newer version was refused may still use the cluster; what an earlier stream brought has no
        bytes here, so it may use any.
        """
        search = cluster.encode()
        kept = (entry for channel in self._present(*_GATED) for entry in channel.kept())
        return any(not entry.body or search in entry.body for entry in kept)

    def _present(self, *types: TypeUrl) -> list[Channel]:
        return [self.channels[t] for t in types if t in self.channels]

    def _set_wake(self, now: float) -> None:
        wake = min(self._barrier.deadline, *self._retries.values(), inf)
        for channel in self.channels.values():
            if channel.flight:
                wake = min(wake, self._given_up(channel))
            elif not self._ordered and channel.due_removal:
                first = min(mark.since for mark in channel.due_removal.values())
                wake = min(wake, max(first + self._timing.linger, now))
        self.wake = wake
