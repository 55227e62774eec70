from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contour.envoy import pb
from contour.envoy.resource import CLUSTER, SECRET
from contour.xds import wire
from contour.xds.messages import DeltaDiscoveryResponse, DiscoveryResponse

TEXT = st.text(max_size=300)
BODY = st.binary(max_size=400)


@given(TEXT, TEXT, st.lists(st.tuples(st.text(min_size=1), TEXT, BODY), max_size=4), st.lists(st.text(min_size=1)))
def test_delta_response_is_what_protobuf_reads(version, nonce, resources, removed):
    items = [part for n, v, b in resources for part in (wire.delta_prefix(SECRET, n, v, len(b)), b)]
    message = DeltaDiscoveryResponse.FromString(wire.delta_response(SECRET, version, nonce, items, removed))
    assert (message.system_version_info, message.nonce, message.type_url) == (version, nonce, SECRET)
    assert [(r.name, r.version, r.resource.value) for r in message.resources] == resources
    assert all(r.resource.type_url == SECRET for r in message.resources)
    assert list(message.removed_resources) == removed


@given(TEXT, TEXT, st.lists(BODY, max_size=4))
def test_state_response_is_what_protobuf_reads(version, nonce, bodies):
    items = [part for b in bodies for part in (wire.state_prefix(CLUSTER, len(b)), b)]
    message = DiscoveryResponse.FromString(wire.state_response(CLUSTER, version, nonce, items))
    assert (message.version_info, message.nonce, message.type_url) == (version, nonce, CLUSTER)
    assert [(r.type_url, r.value) for r in message.resources] == [(CLUSTER, b) for b in bodies]


def test_endpoints_of_a_cluster():
    def of(message):
        return wire.endpoints_of(message.name, pb.serialize(message))

    eds = pb.Cluster(name="a/b/80/da39a3ee5e", type=pb.Cluster.EDS, connect_timeout=pb.duration(5))
    assert of(eds) == "a/b/80/da39a3ee5e"
    eds.eds_cluster_config.eds_config.ads.SetInParent()
    eds.eds_cluster_config.service_name = "a/b"
    eds.circuit_breakers.thresholds.add().max_connections.value = 1 << 31
    eds.common_lb_config.healthy_panic_threshold.value = 12.5
    assert of(eds) == "a/b"
    assert of(pb.Cluster(name="c", type=pb.Cluster.STRICT_DNS)) is None
    assert of(pb.Cluster(name="c")) is None
