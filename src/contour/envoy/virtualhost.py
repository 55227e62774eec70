"""Virtual hosts and the RouteConfigurations that hold them (httpproxy.md §4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contour.dag import graph
from contour.envoy import names, pb
from contour.envoy.filters import cors, local_ratelimit, ratelimit, rbac
from contour.envoy.pieces import field
from contour.envoy.route import route

_REQUEST_START = pb.HeaderValueOption(
    header=pb.HeaderValue(key="x-request-start", value="t=%START_TIME(%s.%3f)%"),
    append_action=pb.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
)
_VIRTUAL_HOSTS = pb.RouteConfiguration.VIRTUAL_HOSTS_FIELD_NUMBER


def virtual_host(
    name: str,
    routes: Sequence[graph.Route],
    policies: graph.HostPolicies = graph.NO_HOST_POLICIES,
    *,
    secure: bool,
    origins: bool = True,
    cluster_name: names.ClusterName = names.cluster,
) -> pb.VirtualHost:
    """Of the host `name`. The port of a request is ignored by its RouteConfiguration, so that one domain is enough."""
    message = pb.VirtualHost(
        name=names.virtual_host(name),
        domains=[name],
        routes=[route(one, host=name, secure=secure, origin=origins, cluster_name=cluster_name) for one in routes],
    )
    if policies.cors is not None:
        message.typed_per_filter_config[cors.NAME].CopyFrom(cors.policy(policies.cors))
    if policies.address_filter is not None:
        message.typed_per_filter_config[rbac.NAME].CopyFrom(rbac.rules(policies.address_filter))
    if policies.rate_limits is not None:
        message.rate_limits.extend(ratelimit.descriptors(policies.rate_limits.descriptors))
        if (local := policies.rate_limits.local) is not None:
            message.typed_per_filter_config[local_ratelimit.NAME].CopyFrom(local_ratelimit.bucket(local, name))
    return message


def route_configuration(name: str, virtual_hosts: Iterable[pb.VirtualHost] = ()) -> pb.RouteConfiguration:
    return pb.RouteConfiguration(
        name=name,
        virtual_hosts=virtual_hosts,
        request_headers_to_add=[_REQUEST_START],
        ignore_port_in_host_matching=True,
    )


def encoded_route_configuration(name: str, virtual_hosts: Iterable[bytes]) -> bytes:
    """The same from virtual hosts that are serialised already: one join, whatever their number."""
    head = pb.serialize(route_configuration(name))
    return b"".join([head, *(field(_VIRTUAL_HOSTS, body) for body in virtual_hosts)])
