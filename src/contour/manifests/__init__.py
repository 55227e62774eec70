"""A folder of YAML and JSON manifests, watched: the same events as the Kubernetes API would give.

In: the files below a folder, as they are now and as they change. Out: objects set and deleted, and problems to show.
A bad file or document never takes another object away; what cannot be read keeps its last good version.
It must not know the store, the graph or Envoy. `reading` and `folder` are pure, `watch` is the shell around them.
"""
