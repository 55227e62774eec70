"""The Kubernetes API as a source of objects and a place for writes.

In: a kubeconfig or the credentials of a pod. Out: the same events as a folder of manifests gives, who leads, and writes
whose answers are values. `kubeconfig`, `answers`, `limits`, `lines`, `kinds`, `decoding`, `backoff`, `reflector` and
`lease` are pure (time and chance are arguments); `client`, `watch` and `election` are the shells around them. It must
not know the store, the graph or Envoy.
"""
