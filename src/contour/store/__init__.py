"""What the cluster looks like now: one input table per kind, and the indexes that the graph asks.

In: decoded objects (`contour.api`), set and deleted one by one. Out: tables and indexes of `contour.reactive`.
Knows the ingress class filter (an object of another class is not stored, as in the reference) and nothing of routing:
it must not know the graph, Envoy, files or the Kubernetes API.
"""

from contour.store.store import Store

__all__ = ["Store"]
