"""What is written back to the cluster's objects: verdicts and addresses as status blocks.

In: verdicts of the graph, an object's generation and observed status, load-balancer addresses. Out: whole status blocks
as plain JSON values; equal blocks mean that nothing is written. Pure: it must not know how a status is sent, who leads,
or what time it is.
"""
