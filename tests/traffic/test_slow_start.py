"""A new endpoint of a service with a slow start policy gets little at first (httpproxy.md §2.19)."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from tests.traffic.world import World, until

from contour.testing import clients
from contour.testing.clients import Http1

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("slow-start")]

REQUESTS = 200
WINDOW = 3
SLOW = f"slowStartPolicy: {{window: {WINDOW}s, minWeightPercent: 5}}"


@pytest.mark.parametrize(
    ("policy", "strategy", "tls"),
    [
        ("", "RoundRobin", False),
        ("", "RoundRobin", True),
        (SLOW, "RoundRobin", False),
        (SLOW, "RoundRobin", True),
        (SLOW, "WeightedLeastRequest", False),
    ],
    ids=["no-policy", "no-policy-tls", "turns", "turns-tls", "least-requests"],
)
def test_the_share_of_a_new_endpoint(world: World, policy: str, strategy: str, tls: bool) -> None:
    old, new = world.backend("old"), world.backend("new")
    world.service("shop/web", backends=[old])
    world.certificate("shop/tls", "site.test")
    world.proxy(
        "shop/site",
        f"""
        virtualhost: {{fqdn: site.test, tls: {{secretName: tls}}}}
        routes:
        - permitInsecure: true
          services: [{{name: web, port: 80, {policy}}}]
          loadBalancerPolicy: {{strategy: {strategy}}}
        """,
    )
    with Http1(clients.connect(world.https if tls else world.http, sni="site.test" if tls else None)) as client:

        def ask() -> str | None:
            return client.get("site.test").backend

        assert ask() == "old"
        if policy:
            time.sleep(WINDOW)  # until the first one is new no longer, or both would share equally
        world.endpoints("shop/web", old, new)
        until(lambda: ask() == "new")
        share = Counter(ask() for _ in range(REQUESTS))["new"] / REQUESTS
    assert share < 0.4 if policy else 0.4 < share < 0.6
