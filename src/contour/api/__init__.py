"""Kubernetes objects as values: JSON or YAML in, frozen typed objects out, with what an API server would do to them.

`core`, `networking`, `projectcontour` hold the types, `decode` makes them; `yaml`, `schema`, `admission` read what
people write; `scalars` has Go's readings of durations, quoting and headers. Knows nothing of ingress semantics, of
Envoy, of files or of any clock.
"""
