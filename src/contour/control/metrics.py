"""The metrics of a server (operations.md §8.1, §8.2): read from what is counted elsewhere, when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contour.api.heptio import IngressRoute
from contour.api.meta import ObjectRef, Ref
from contour.control.durations import Durations
from contour.control.loop import Loop
from contour.control.serve_status import Statuses
from contour.kube.client import Client
from contour.kube.watch import Batch
from contour.reactive import Collection, Read
from contour.status import httpproxy, ingressroute
from contour.status.plan import Status

_EIGHT = (0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
_THREE = (0.5, 0.9, 0.99)
# Kinds whose statuses are written, so that their counters are there from the start.
_WRITTEN = ("HTTPProxy", "Ingress", "ExtensionService", "IngressRoute")


class Metrics(Collector):
    """`lease`: the name of the Lease, for `leader_election_master_status`."""

    def __init__(self, loop: Loop, statuses: Statuses, client: Client, lease: str) -> None:
        self._loop = loop
        self._client = client
        self._statuses = statuses
        self._lease = lease
        self._events: Counter[tuple[str, str]] = Counter()
        pipeline = loop.pipeline
        self._proxies: Collection[Ref, httpproxy.State] = pipeline.engine.collection(
            "states of proxies", (pipeline.store.proxies,), self._state
        )
        self._routes: Collection[Ref, tuple[IngressRoute, Status]] = pipeline.engine.collection(
            "states of ingressroutes", (pipeline.store.ingressroutes,), self._of_route
        )
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, batch: Batch) -> None:
        for op, number in (("add", batch.added), ("update", batch.updated), ("delete", batch.deleted)):
            if number:
                self._events[op, batch.kind.name] += number

    def exposition(self) -> bytes:
        """The text of `/metrics`; for a thread of its own, so that a long list does not hold up the others."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "contour_build_info", "Build information.", {("branch", "revision", "version"): {("", "", _version()): 1}}
        )
        yield from self._of_objects()
        yield from self._of_builds()
        yield from self._of_statuses()
        yield from self._of_xds()
        yield from self._of_requests()
        leads = self._statuses.writer.leads
        yield _gauge(
            "leader_election_master_status",
            "Whether this replica leads.",
            {("name",): {(self._lease,): int(leads)}},
        )
        if leads:
            yield from self._of_proxies()
            yield from self._of_ingressroutes()

    def _state(self, read: Read, ref: Ref) -> httpproxy.State | None:
        proxy = read(self._loop.pipeline.store.proxies, ref)
        status = read(self._loop.pipeline.statuses, ObjectRef("HTTPProxy", *ref))
        return httpproxy.state(proxy, status) if proxy is not None and status else None

    def _of_route(self, read: Read, ref: Ref) -> tuple[IngressRoute, Status] | None:
        route = read(self._loop.pipeline.store.ingressroutes, ref)
        status = read(self._loop.pipeline.statuses, ObjectRef(IngressRoute.kind, *ref))
        return (route, status) if route is not None and status else None

    def _of_proxies(self) -> Iterator[Metric]:
        states = [state for _, state in list(self._proxies.items())]
        yield _counted("contour_httpproxy", "HTTPProxies.", ("namespace",), ((s.namespace,) for s in states))
        yield _counted(
            "contour_httpproxy_root", "Root HTTPProxies.", ("namespace",), ((s.namespace,) for s in states if s.vhost)
        )
        for status in ("valid", "invalid"):
            yield _counted(
                f"contour_httpproxy_{status}",
                f"{status.capitalize()} HTTPProxies.",
                ("namespace", "vhost"),
                ((s.namespace, s.vhost) for s in states if s.status == status),
            )
        yield _counted(
            "contour_httpproxy_orphaned",
            "HTTPProxies that no root includes.",
            ("namespace",),
            ((s.namespace,) for s in states if s.status == "orphaned"),
        )

    def _of_ingressroutes(self) -> Iterator[Metric]:
        """operations.md §12.6: gauges, whatever their names end in."""
        counts = ingressroute.count([of for _, of in list(self._routes.items())])
        name, namespace, vhost = "contour_ingressroute", ("namespace",), ("namespace", "vhost")
        for suffix, text, labels, values in (
            ("_total", "IngressRoutes.", namespace, counts.total),
            ("_root_total", "Root IngressRoutes.", namespace, counts.roots),
            ("_orphaned_total", "IngressRoutes that no root delegates to.", namespace, counts.orphaned),
            ("_valid_total", "Valid IngressRoutes.", vhost, counts.valid),
            ("_invalid_total", "Invalid IngressRoutes.", vhost, counts.invalid),
        ):
            series = {key if isinstance(key, tuple) else (key,): value for key, value in values.items()}
            yield _gauge(name + suffix, text, {labels: series})

    def _of_objects(self) -> Iterator[Metric]:
        kinds = self._loop.pipeline.store.kinds
        held = {(kind,): len(table) for kind, table in kinds.items()}
        yield _gauge("contour_dag_cache_object", "Objects that are held.", {("kind",): held})
        yield _counter("contour_eventhandler_operation", "Events of the watches.", ("op", "kind"), dict(self._events))

    def _of_builds(self) -> Iterator[Metric]:
        builds = self._loop.builds
        yield _gauge("contour_dagrebuild_timestamp", "Time of the last build.", {(): {(): builds.last}})
        yield _counter("contour_dagrebuild", "Builds since the start.", (), {(): builds.built.count})
        yield _summary("contour_dagrebuild_seconds", "Time of a build.", (), {(): builds.built}, _EIGHT)
        yield _summary(
            "contour_cachehandler_onupdate_duration_seconds",
            "Time to publish a build to the Envoys.",
            (),
            {(): builds.published},
            _THREE,
        )

    def _of_statuses(self) -> Iterator[Metric]:
        name, kind = "contour_status_update", ("kind",)
        writes = self._statuses.writer.writes
        outcomes = dict(writes.outcomes)
        written = {key: outcomes.get((key, "written"), 0) for key in _WRITTEN}
        conflicts = {key: outcomes.get((key, "conflict"), 0) for key in _WRITTEN}
        failed = {
            key: sum(outcomes.get((key, outcome), 0) for outcome in ("gone", "refused", "forbidden", "failed"))
            for key in _WRITTEN
        }
        attempts = {key: writes.attempts[key] for key in _WRITTEN}
        noops = dict.fromkeys(_WRITTEN, 0)  # nothing is sent that changes nothing
        for suffix, text, values in (
            ("", "Status writes.", attempts),
            ("_success", "Status writes that went through.", written),
            ("_failed", "Status writes that failed.", failed),
            ("_conflict", "Status writes for an older version of the object.", conflicts),
            ("_noop", "Status writes that would have changed nothing.", noops),
        ):
            yield _counter(name + suffix, text, kind, {(key,): value for key, value in values.items()})
        yield _summary(
            f"{name}_duration_seconds",
            "Time of a status write.",
            ("kind", "error"),
            dict(self._statuses.durations),
            _EIGHT,
        )
        yield _gauge("contour_status_waiting", "Statuses to be written.", {(): {(): self._statuses.writer.waiting}})
        events = self._statuses.events
        yield _counter(
            "contour_events", "Kubernetes Events, posted and dropped.", ("outcome",),
            {("posted",): events.posted, ("dropped",): events.dropped},
        )  # fmt: skip
        yield _counter(
            "contour_envoy_refused_objects", "Objects of which an Envoy of this replica refused a part.", (),
            {(): self._statuses.refusals},
        )  # fmt: skip

    def _of_xds(self) -> Iterator[Metric]:
        counters = {shape: hub.counters for shape, hub in self._loop.hubs.items()}
        streams = {(shape,): found.streams for shape, found in counters.items()}
        yield _gauge("contour_xds_streams", "Streams that are open.", {("shape",): streams})
        for name, text in (
            ("messages", "Messages to Envoys."),
            ("resources", "Resources set or removed in messages."),
            ("bytes", "Bytes of messages."),
            ("nacks", "Messages that an Envoy refused."),
            ("refusals", "Resources that an Envoy refused."),
        ):
            values = {
                (shape, type_url.rpartition(".")[2]): value
                for shape, found in counters.items()
                for type_url, value in dict(getattr(found, name)).items()
            }
            yield _counter(f"contour_xds_{name}", text, ("shape", "type"), values)

    def _of_requests(self) -> Iterator[Metric]:
        host = urlsplit(self._client.server).netloc
        values = {(code, host, method): number for (method, code), number in dict(self._client.answers).items()}
        yield _counter("rest_client_requests", "Requests to the API server.", ("code", "host", "method"), values)


def _gauge(name: str, text: str, values: Mapping[tuple[str, ...], Mapping[Any, float]]) -> Metric:
    """`values`: names of the labels -> their values -> the value."""
    ((labels, series),) = values.items()
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in series.items():
        family.add_metric(of, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], series: Mapping[Any, float]) -> Metric:
    """Shown as `<name>_total`."""
    family = CounterMetricFamily(name, text, labels=labels)
    for of, value in series.items():
        family.add_metric(of, value)
    return family


def _counted(name: str, text: str, labels: tuple[str, ...], members: Iterable[tuple[str, ...]]) -> Metric:
    return _gauge(name, text, {labels: Counter(members)})


def _summary(
    name: str,
    text: str,
    labels: tuple[str, ...],
    series: Mapping[Any, Durations],
    quantiles: tuple[float, ...],
) -> Metric:
    metric = Metric(name, text, "summary")
    for values, durations in series.items():
        of = dict(zip(labels, values, strict=True))
        for quantile, value in zip(quantiles, durations.quantiles(quantiles), strict=True):
            metric.add_sample(name, {**of, "quantile": f"{quantile:g}"}, value)
        metric.add_sample(f"{name}_sum", of, durations.sum)
        metric.add_sample(f"{name}_count", of, durations.count)
    return metric


def _version() -> str:
    return version("contour-ingress")
