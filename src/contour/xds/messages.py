"""The discovery service's own messages, and the methods of the services that carry them (operations.md §4.1)."""
# ruff: noqa: TID251

from __future__ import annotations

from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)

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

__all__ = [
    "AGGREGATED",
    "SERVICES",
    "DeltaDiscoveryRequest",
    "DeltaDiscoveryResponse",
    "DiscoveryRequest",
    "DiscoveryResponse",
]

AGGREGATED = "/envoy.service.discovery.v3.AggregatedDiscoveryService/{}AggregatedResources"

# Type: method name with `Stream`, `Delta` or `Fetch` for {}. `Fetch` has the plural without prefix in all of them.
SERVICES: dict[TypeUrl, str] = {
    LISTENER: "/envoy.service.listener.v3.ListenerDiscoveryService/{}Listeners",
    ROUTE: "/envoy.service.route.v3.RouteDiscoveryService/{}Routes",
    SCOPED_ROUTE: "/envoy.service.route.v3.ScopedRoutesDiscoveryService/{}ScopedRoutes",
    CLUSTER: "/envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters",
    ENDPOINTS: "/envoy.service.endpoint.v3.EndpointDiscoveryService/{}Endpoints",
    SECRET: "/envoy.service.secret.v3.SecretDiscoveryService/{}Secrets",
    RUNTIME: "/envoy.service.runtime.v3.RuntimeDiscoveryService/{}Runtime",
}
