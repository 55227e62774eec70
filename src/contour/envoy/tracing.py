"""Traces of requests, sent to an OpenTelemetry collector that is an ExtensionService (operations.md §7.7)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from contour.dag.build import Graph
from contour.dag.graph import ExtensionFacts
from contour.envoy import names, pb
from contour.envoy.filters.ext_authz import grpc_service
from contour.envoy.options import Options, Tracing
from contour.reactive import Read

# What tells the pods of Envoy apart; both are in the environment of its container.
_POD = (("podName", "HOSTNAME"), ("podNamespace", "CONTOUR_NAMESPACE"))


def of_connection_managers(read: Read, graph: Graph, options: Options) -> pb.HttpConnectionManager.Tracing | None:
    """The same for all of them; None if nothing is traced."""
    if options.tracing is None:
        return None
    return message(options.tracing, read(graph.extension_facts, options.tracing.extension))


@lru_cache(maxsize=4)
def message(tracing: Tracing, facts: ExtensionFacts) -> pb.HttpConnectionManager.Tracing:
    """`facts` are those of the collector's ExtensionService."""
    collector = names.extension(tracing.extension)
    config = pb.OpenTelemetryConfig(
        grpc_service=grpc_service(collector, facts.sni, facts.response_timeout), service_name=tracing.service_name
    )
    return pb.HttpConnectionManager.Tracing(
        overall_sampling=pb.Percent(value=tracing.overall_sampling),
        client_sampling=pb.Percent(value=tracing.client_sampling),
        random_sampling=pb.Percent(value=tracing.random_sampling),
        max_path_tag_length=pb.UInt32Value(value=tracing.max_path_tag_length),
        custom_tags=_tags(tracing),
        provider=pb.Tracing.Http(name="envoy.tracers.opentelemetry", typed_config=pb.pack(config)),
        spawn_upstream_span=pb.BoolValue(value=True),
    )


def _tags(tracing: Tracing) -> Iterator[pb.CustomTag]:
    for tag, variable in _POD if tracing.pod_detail else ():
        yield pb.CustomTag(tag=tag, environment=pb.CustomTag.Environment(name=variable))
    for one in tracing.custom_tags:
        if one.literal:
            yield pb.CustomTag(tag=one.name, literal=pb.CustomTag.Literal(value=one.literal))
        else:
            yield pb.CustomTag(tag=one.name, request_header=pb.CustomTag.Header(name=one.request_header))
