"""The xDS server: resources by type URL in, responses to any number of Envoys out, in an order that never breaks traffic.

`snapshot` is what everybody should have, `subscription`, `channel`, `barrier` and `stream` are pure machines for one
stream, `hub` (asyncio) and `server` (grpc.aio) carry them, `credentials` reloads TLS files. Knows names, versions and
bytes; must not know the graph, Kubernetes, or what a resource means (save that a cluster waits for its endpoints).
"""
