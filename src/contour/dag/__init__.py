"""What the objects of the store mean: hosts with their routes and upstreams, and verdicts on the objects.

In: the tables and indexes of `contour.store`. Out: `contour.dag.build.Graph`, collections of frozen values
(`contour.dag.graph`, `contour.dag.verdict`) that are up to date after each commit of the engine.
A user's mistake is a finding in a verdict, never an exception, and spoils no other object.
It must not know Envoy's messages, names or limits, nor how statuses are written.
"""
