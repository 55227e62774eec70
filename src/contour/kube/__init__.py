"""The Kubernetes API as a source of objects and a place for writes.

In: a kubeconfig or the credentials of a pod. Out: the same events as a folder of manifests gives, who leads, and writes
whose answers are values. `client`, `credentials` and `config` do I/O, `watch` and `election` are the shells of the
machines `reflector` and `lease`; all else is pure, with time and chance as arguments. It must not know the store, the
graph or Envoy.
"""
