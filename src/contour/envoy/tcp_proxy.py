"""The network filter that proxies connections as they are (httpproxy.md §4.6, §4.10; operations.md §7.11)."""

from __future__ import annotations

from collections.abc import Sequence

from contour.dag import graph
from contour.envoy import accesslog, names, order, pb
from contour.envoy.options import Options

NAME = "envoy.filters.network.tcp_proxy"

_IDLE_TIMEOUT = 9001 * 1_000_000_000  # the reference's: connections may be silent for hours


def network_filter(
    proxy: graph.TCPProxy, options: Options, cluster_name: names.ClusterName = names.cluster
) -> pb.Filter:
    """Raises ValueError for a weight that no message holds."""
    message = pb.TcpProxy(
        stat_prefix=names.INGRESS_HTTPS,
        idle_timeout=pb.duration(_IDLE_TIMEOUT),
        access_log=accesslog.file_logs(options.https_access_log, options.access_log),
    )
    weighted = _weighted(proxy.backends)
    if len(weighted) == 1:
        message.cluster = cluster_name(weighted[0][0].cluster)
    else:
        for backend, weight in weighted:
            message.weighted_clusters.clusters.add(name=cluster_name(backend.cluster), weight=weight)
    return pb.Filter(name=NAME, typed_config=pb.pack(message))


def _weighted(backends: Sequence[graph.Backend]) -> list[tuple[graph.Backend, int]]:
    """Those without a weight get nothing, unless all are without one: then each gets the same."""
    ordered = sorted(backends, key=order.weighted_cluster)
    chosen = [(backend, backend.weight) for backend in ordered if backend.weight]
    return chosen or [(backend, 1) for backend in ordered]
