"""Filters that ask an ExtensionService, for both shapes: what a chain has of them, by its host and by the settings.

They refer to the service's cluster by name, and take its server name and time limit over when the chain is built: an
edit of those touches chains and no host.
"""

from __future__ import annotations

from contour.dag import graph
from contour.dag.build import Graph
from contour.dag.policy.authorization import of_listener
from contour.envoy import pb
from contour.envoy.filters import ext_authz, ratelimit
from contour.envoy.filters.order import Own
from contour.reactive import Read


def of_plain_listener(
    read: Read, graph_: Graph, *, own_timeout: bool, private_header: str = ""
) -> dict[Own, pb.HttpFilter | None]:
    """There, only the authorization of the settings is asked (httpproxy.md §2.14). `own_timeout`: see `of_listener`."""
    policy = graph_.options.authorization
    server = of_listener(policy, own_timeout=own_timeout) if policy is not None else None
    return of_chain(read, graph_, server, private_header=private_header)


def of_chain(
    read: Read, graph_: Graph, server: graph.Authorization | None, *, private_header: str = ""
) -> dict[Own, pb.HttpFilter | None]:
    found: dict[Own, pb.HttpFilter | None] = {}
    if server is not None:
        facts = read(graph_.extension_facts, server.extension)
        found["ext_authz"] = ext_authz.http_filter(server, facts, private_header=private_header)
    service = graph_.options.rate_limit_service
    if service is not None:
        found["ratelimit"] = ratelimit.http_filter(service, read(graph_.extension_facts, service.extension))
    return found
