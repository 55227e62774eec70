"""The shell, where everything meets: sources -> store -> commit -> publish -> status; one file of wiring for each mode.

In: flags, a configuration file, a folder of manifests. Out: a served Envoy, a rendered state, a table of hosts.
`pipeline` wires the pure packages, `loop` moves changes through them, `supervisor` keeps Envoy alive, `run` is
`contour run`. It must hold no rule about objects or about Envoy's configuration: those are in the packages below.
"""
