"""The rules of Envoy's API: all compile, broken ones are found with their path, and Envoy is of the same opinion."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor

from contour.dag import graph
from contour.envoy import config_source, pb, rules
from contour.envoy.cluster import cluster
from contour.envoy.options import Options
from contour.envoy.rulechecks import field_rules
from contour.testing import envoy


def descriptors() -> Iterator[Descriptor]:
    """Of every message type that is loaded."""

    def nested(descriptor: Descriptor) -> Iterator[Descriptor]:
        yield descriptor
        for one in descriptor.nested_types:
            yield from nested(one)

    pb.to_dict(pb.Any())  # loads the types of other controllers too
    files = {getattr(module, "DESCRIPTOR", None) for module in list(sys.modules.values())}
    for file in files:
        if isinstance(file, FileDescriptor):
            for descriptor in file.message_types_by_name.values():
                yield from nested(descriptor)


def test_every_rule_that_is_installed_is_known() -> None:
    count = 0
    for descriptor in descriptors():
        message = pb.message_class(descriptor.full_name)
        if message is not None and not descriptor.GetOptions().map_entry:
            rules.violations(message())
        count += sum(field_rules(field) is not None for field in descriptor.fields)
    assert count > 450


def found(message: pb.Message) -> list[tuple[str, str]]:
    return [(one.path, one.text) for one in rules.violations(message)]


@pytest.mark.parametrize(
    ("message", "path", "text"),
    [
        (pb.Listener(listener_filters=[pb.ListenerFilter()]), "listener_filters[0].name", "at least 1 characters"),
        (pb.SocketAddress(address="", port_value=1), "address", "at least 1"),
        (pb.SocketAddress(address="a", port_value=65536), "port_value", "less than or equal to 65535"),
        (pb.SocketAddress(address="a"), "port_specifier", "one of its fields is required"),
        (pb.Cluster(connect_timeout=pb.duration(0)), "connect_timeout", "greater than 0s"),
        (pb.HealthCheck(), "timeout", "value is required"),
        (pb.HeaderValue(key="a\nb"), "key", "does not match HTTP_HEADER_NAME"),
        (pb.HeaderValue(key="a", value="a\x00b"), "value", "does not match HTTP_HEADER_VALUE"),
        (pb.VirtualHost(name="a"), "domains", "at least 1 item(s)"),
        (pb.VirtualHost(name="a", domains=["x\n"]), "domains", "[0]: value does not match"),
        (pb.RouteAction.UpgradeConfig(upgrade_type="a\n"), "upgrade_type", "does not match"),
        (pb.SubjectAltNameMatcher(matcher=pb.StringMatcher(exact="a")), "san_type", "must not be 0"),
        (pb.Metadata(filter_metadata={"": pb.struct({})}), "filter_metadata", "[0]: value length"),
        (pb.DirectResponseAction(status=600), "status", "less than 600"),
        (pb.WeightedCluster(), "clusters", "at least 1 item(s)"),
        (pb.FractionalPercent(denominator=9), "denominator", "defined enum"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_rule(message: pb.Message, path: str, text: str) -> None:
    texts = dict(found(message))
    assert path in texts, texts
    assert text in texts[path]


def test_only_the_chosen_member_of_a_oneof_is_looked_at() -> None:
    assert found(pb.RouteMatch(prefix="/")) == []
    assert found(pb.RouteMatch(safe_regex=pb.RegexMatcher())) == [
        ("safe_regex.regex", "value length must be at least 1 characters")
    ]


def test_packed_messages_are_looked_into() -> None:
    inner = pb.pack(pb.HttpConnectionManager(http_filters=[pb.HttpFilter()]))
    message = pb.FilterChain(filters=[pb.Filter(name="x", typed_config=inner)])
    paths = [path for path, _ in found(message)]
    assert paths == [
        "filters[0].typed_config.stat_prefix",
        "filters[0].typed_config.route_specifier",
        "filters[0].typed_config.http_filters[0].name",
    ]


def test_maps_are_looked_into() -> None:
    route = pb.Route(match=pb.RouteMatch(prefix="/"), route=pb.RouteAction(cluster="a"))
    route.typed_per_filter_config["x"].CopyFrom(pb.pack(pb.LuaPerRoute(name="")))
    assert [path for path, _ in found(route)] == ["typed_per_filter_config[x].name"]


@pytest.mark.parametrize(
    "check",
    [
        graph.HealthCheck(path=""),
        graph.HealthCheck(path="/", host="a\nb"),
        graph.HealthCheck(path="/", timeout=-1),
        graph.HealthCheck(path="/"),
    ],
)
def test_envoy_agrees(check: graph.HealthCheck) -> None:
    port = graph.ServicePort("shop", "web", 80, external_name="example.org")
    message = cluster(graph.Cluster(port, health_check=check), Options(), config_source.CLASSIC)
    refused = envoy.validate({"static_resources": {"clusters": [pb.to_dict(message)]}})
    assert bool(found(message)) is (refused is not None), (found(message), refused)
