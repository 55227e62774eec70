"""Bytes are the same in every process; JSON has the names of the .proto files."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from contour.envoy import pb
from contour.envoy.pieces import field

_PRINT = """
from contour.envoy import pb
from contour.envoy.filters import order
from contour.envoy.options import Options
from contour.dag.graph import CookieRewrite
from contour.envoy.filters import cookies
values = pb.struct({str(n): {"b": n, "a": "x", "c": True} for n in range(20)})
rewrites = [CookieRewrite(str(n), path="/", secure=True, same_site="Lax") for n in range(20)]
print(pb.serialize(pb.pack(values)).hex(), cookies.rules(rewrites).value.hex())
print([pb.serialize(f).hex() for f in order.http_filters("https", Options())])
"""


def test_two_processes_write_the_same_bytes() -> None:
    outputs = {subprocess.run([sys.executable, "-c", _PRINT], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(outputs) == 1


def test_keys_of_maps_are_sorted_in_json() -> None:
    values = pb.struct({str(n): {"b": n, "a": "x"} for n in range(20)})
    packed = pb.pack(pb.LuaPerRoute(name="x", filter_context=values))
    route = pb.Route(metadata=pb.Metadata(filter_metadata={str(n): values for n in range(20)}))
    route.typed_per_filter_config["lua"].CopyFrom(packed)
    found = pb.to_dict(route)
    names = sorted(map(str, range(20)))
    assert list(found["metadata"]["filter_metadata"]) == names
    assert list(found["metadata"]["filter_metadata"]["7"]) == names
    assert list(found["typed_per_filter_config"]["lua"]["filter_context"]) == names
    assert list(found["typed_per_filter_config"]["lua"]["filter_context"]["3"]) == ["a", "b"]


def test_packed_messages_come_back() -> None:
    message = pb.Rds(route_config_name="x")
    packed = pb.pack(message)
    assert packed.type_url == pb.type_url(pb.Rds)
    assert pb.unpack(packed) == message
    assert pb.unpack(pb.Any(type_url="type.googleapis.com/no.such.Type")) is None


def test_json_round_trip_with_foreign_types() -> None:
    authz = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
    values = {"http_filters": [{"name": "a", "typed_config": {"@type": authz, "clear_route_cache": True}}]}
    assert pb.to_dict(pb.from_dict(pb.HttpConnectionManager, values)) == values


@given(st.integers(-(10**18), 10**18))
def test_durations_keep_every_nanosecond(nanoseconds: int) -> None:
    message = pb.duration(nanoseconds)
    assert message.ToNanoseconds() == nanoseconds
    assert message.seconds * message.nanos >= 0, "both parts have the same sign"


def test_struct_knows_flags_from_numbers() -> None:
    assert pb.to_dict(pb.struct({"a": True, "b": 1, "c": "x", "d": {"e": 0.5}})) == {
        "a": True,
        "b": 1.0,
        "c": "x",
        "d": {"e": 0.5},
    }


@given(st.lists(st.text(max_size=200)))
def test_pieces_make_the_message_that_they_are_pieces_of(names: list[str]) -> None:
    hosts = [pb.VirtualHost(name=name) for name in names]
    number = pb.RouteConfiguration.VIRTUAL_HOSTS_FIELD_NUMBER
    body = b"".join(field(number, pb.serialize(host)) for host in hosts)
    assert pb.RouteConfiguration.FromString(body) == pb.RouteConfiguration(virtual_hosts=hosts)
