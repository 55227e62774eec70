"""What tests and the demo need around the program: a real Envoy, backends that say who they are, clients, certificates.

In: a bootstrap as a dict, names, host names. Out: running processes and servers on loopback, answers as values.
Everything here is synchronous and may be called from a thread beside an event loop; every process started is ended
by its id. Nothing of `contour` imports this package: it may import all of them.
"""
