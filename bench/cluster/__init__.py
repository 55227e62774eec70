"""`make bench`: a controller between a real API server and a real Envoy, measured from outside, by scenarios.

In: a command line that starts a controller, a number of hosts. Out: JSON and a table. Nothing here looks into the
controller: what counts is what the API server acknowledged, what Envoy answers, and what the kernel says of processes.
Everything runs in the network of a test cluster (docs/testing.md); times are `time.monotonic()` of one machine.
"""
