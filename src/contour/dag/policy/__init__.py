"""Policies of HTTPProxy objects: one module for each, a pure function from the API's struct to a value of the graph.

In: one policy struct of `contour.api.projectcontour`, or None. Out: a value of `contour.dag.graph`, `Invalid` with
the text of the mistake (the caller adds type, reason and the words around it), or a `Finding` where the policy alone
decides the reason. Must not know: the route or service that the policy stands on, the store, Envoy's messages.
"""
