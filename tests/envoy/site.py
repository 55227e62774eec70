"""A small cluster with the resources of the `scoped` shape: the objects of `tests.dag.world` in, resources out."""

from __future__ import annotations

from typing import Any, TypeVar

from tests.dag.world import Mapping, World, obj

from contour.dag.options import Options as GraphOptions
from contour.envoy import pb, scoped
from contour.envoy.options import Options
from contour.envoy.resource import LISTENER, SCOPED_ROUTE, Resource, TypeUrl, Withheld
from contour.testing import static

LOCAL = {"http_address": "127.0.0.1", "https_address": "127.0.0.1", "stats_address": "127.0.0.1"}
ANY_PORT = {"http_port": 0, "https_port": 0, "stats_port": 0, "admin_port": 0}
QUIET = {"http_access_log": "/dev/null", "https_access_log": "/dev/null"}

M = TypeVar("M", bound=pb.Message)


class Site(World):
    """`loopback_endpoints` is on: its backends are on this machine."""

    def __init__(self, *objects: Mapping, options: Options | None = None, **graph_options: Any) -> None:
        super().__init__(**{"loopback_endpoints": True} | graph_options)
        assert isinstance(self.graph.options, GraphOptions)
        self.options = options or Options(**LOCAL, **ANY_PORT, **QUIET)
        self.shape = scoped.attach(self.engine, self.graph, self.options)
        self.apply(*objects)

    def names(self, type_url: TypeUrl) -> set[str]:
        """Of what is sent."""
        return {name for name, one in self.shape[type_url].items() if isinstance(one, Resource)}

    def message(self, type_url: TypeUrl, name: str, message: type[M]) -> M:
        one = self.shape[type_url].get(name)
        assert isinstance(one, Resource), f"{name}: {one}"
        return message.FromString(one.body)

    def withheld(self, type_url: TypeUrl) -> dict[str, Withheld]:
        return {name: one for name, one in self.shape[type_url].items() if isinstance(one, Withheld)}

    def chains(self) -> dict[str, pb.FilterChain]:
        """Filter chains of the TLS listener by server name."""
        if "ingress_https" not in self.names(LISTENER):
            return {}
        listener = self.message(LISTENER, "ingress_https", pb.Listener)
        found = {(*one.filter_chain_match.server_names, "*")[0]: one for one in listener.filter_chains}
        assert len(found) == len(listener.filter_chains)
        return found

    def served_by(self) -> dict[str, str]:
        """Chain -> secret."""
        return {name: chain.name.rpartition("/")[0].rpartition(".")[0] for name, chain in self.chains().items()}

    def scope(self, name: str) -> pb.RouteConfiguration:
        return self.message(SCOPED_ROUTE, name, pb.ScopedRouteConfiguration).route_configuration

    def changed(self, type_url: TypeUrl) -> tuple[set[str], set[str]]:
        """Names that the last commit set and removed."""
        changes = self.changes[self.shape[type_url]]
        return set(changes.set), set(changes.removed)

    def state(self) -> dict[str, list[dict[str, Any]]]:
        return static.state_of(self.shape)


def endpoints(service: str, port: int, *, address: str = "127.0.0.1", port_name: str = "http") -> Mapping:
    """An EndpointSlice with one ready endpoint."""
    return obj(
        "EndpointSlice", "discovery.k8s.io/v1", f"{service}-1",
        metadata={"labels": {"kubernetes.io/service-name": service.rpartition("/")[2]}},
        addressType="IPv4",
        ports=[{"name": port_name, "port": port, "protocol": "TCP"}],
        endpoints=[{"addresses": [address], "conditions": {"ready": True}}],
    )  # fmt: skip
