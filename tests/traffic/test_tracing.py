"""Traces (operations.md §7.7): a real Envoy sends spans to a collector, for plain requests and over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World, until

from contour.testing import clients
from contour.testing.collector import Collector

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("tracing")]

# Spans are sent at once, not when there are some of them.
CONFIGURATION = """
tracing:
  extensionService: shop/collector
  serviceName: edge
  includePodDetail: false
  maxPathTagLength: 12
  customTags:
  - {tagName: site, literal: test}
  - {tagName: tenant, requestHeaderName: X-Tenant}
runtime-settings: {tracing.opentelemetry.min_flush_spans: "1"}
"""
PARENT = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[World]:
    with traced(tmp_path_factory.mktemp("w"), collector, CONFIGURATION) as world:
        world.envoy(shape="classic")
        yield world


@contextmanager
def traced(directory: Path, collector: Collector, configuration: str) -> Iterator[World]:
    with configured(directory, configuration) as world:
        extension(world, collector)
        yield world


def extension(world: World, collector: Collector) -> None:
    world.service("shop/otel", backends=[collector])  # type: ignore[list-item]  # its port is all that counts
    world.apply(
        json.dumps(
            {
                "apiVersion": "projectcontour.io/v1alpha1",
                "kind": "ExtensionService",
                "metadata": {"name": "collector", "namespace": "shop"},
                "spec": {"protocol": "h2c", "services": [{"name": "otel", "port": 80}]},
            }
        )
    )


@pytest.mark.parametrize("shape", ["scoped", "classic"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_spans_of_a_request(world: World, collector: Collector, shape: str, secure: bool) -> None:
    trace = ("ab" if secure else "cd")[shape == "classic"] * 32
    headers = [("traceparent", f"00-{trace}-{PARENT}-01"), ("x-tenant", "blue")]
    envoy = world.envoys[shape == "classic"]
    if secure:
        answer = clients.get_tls(world.opened(envoy, "site.test"), "site.test", "/a/rather/long/path", headers)
    else:
        answer = clients.get(world.address("ingress_http", envoy), "site.test", "/a/rather/long/path", headers)
    assert answer.backend == "shop/web"
    received = collector.find(lambda span: span.trace == trace and span.parent == PARENT)
    sent = collector.find(lambda span: span.trace == trace and span.parent == received.span)
    assert received.service == "edge"
    assert received.tags["site"] == "test"
    assert received.tags["tenant"] == "blue"
    assert received.tags["http.status_code"] == "200"
    assert received.tags["http.url"].endswith("site.test/a/rather/lo")  # the path is cut
    assert not received.tags.keys() & {"podName", "podNamespace"}
    # The upstream belongs to the span of the call to it.
    assert answer.seen.header("traceparent") == f"00-{trace}-{sent.span}-01"
    assert "x-contour-scope" not in json.dumps([span.tags for span in (received, sent)])


def test_which_pod_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "envoy-7")
    monkeypatch.setenv("CONTOUR_NAMESPACE", "edge")
    configuration = """
tracing: {extensionService: shop/collector}
runtime-settings: {tracing.opentelemetry.min_flush_spans: "1"}
"""
    with Collector() as collector, traced(tmp_path, collector, configuration) as world:
        assert world.get("site.test", "/").status == 200
        span = collector.find(lambda span: not span.parent)
    assert span.service == "contour"
    assert (span.tags["podName"], span.tags["podNamespace"]) == ("envoy-7", "edge")


def test_a_sample_of_requests(tmp_path: Path) -> None:
    """One in a million: of twenty, none."""
    configuration = "tracing: {extensionService: shop/collector, overallSampling: '0.0001'}"
    with Collector() as collector, traced(tmp_path, collector, configuration) as world:
        with world.session() as client:
            for _ in range(20):
                answer = client.get("site.test")
                assert answer.seen.header("traceparent").endswith("-00")  # type: ignore[union-attr]
        counters = "http.ingress_http.tracing.(random_sampling|not_traceable)"
        until(lambda: sum(world.envoys[0].stats(counters).values()) == 20)
        assert world.envoys[0].stats(counters)["http.ingress_http.tracing.not_traceable"] == 20


def test_a_collector_that_is_not_there(tmp_path: Path) -> None:
    """Nobody waits for it, and Envoy takes the listeners."""
    with configured(tmp_path, "tracing: {extensionService: shop/nobody}") as world:
        assert world.get("site.test").backend == world.get_tls("site.test").backend == "shop/web"
        assert world.reports == []
