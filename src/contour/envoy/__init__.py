"""Graph to protobuf: hosts, clusters and endpoints come in, `Resource`s (name, version, bytes) go out.

Two shapes of the same graph (envoy.md §2): `classic` is the reference's own, `scoped` is ours; the pieces they share
are one module for each message type. Names of resources are in `names`, orders in `order` and `filters.order`.
It must not know: objects of Kubernetes (except endpoints, which have no graph value), clients, versions sent.
"""
