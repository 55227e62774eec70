"""A new endpoint of a service with a slow start policy gets little at first (httpproxy.md §2.19)."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from tests.dag.world import Mapping, root, service
from tests.envoy.site import endpoints
from tests.traffic.live import Live, until

from contour.testing import clients
from contour.testing.backends import Backend

pytestmark = pytest.mark.traffic

REQUESTS = 200
WINDOW = 3


def slices(*backends: Backend) -> list[Mapping]:
    found: list[Mapping] = []
    for number, backend in enumerate(backends):
        piece: dict[str, Any] = dict(endpoints("web", backend.port))
        found.append(piece | {"metadata": piece["metadata"] | {"name": f"web-{number}"}})
    return found


@pytest.mark.parametrize("policy", [None, {"window": f"{WINDOW}s", "minWeightPercent": 5}])
def test_the_share_of_a_new_endpoint(policy: dict[str, Any] | None) -> None:
    with Backend("old") as old, Backend("new") as new:
        settings = {"slowStartPolicy": policy} if policy else {}
        site = root("a", "a.test", routes=[{"services": [{"name": "web", "port": 80, **settings}]}])
        with Live(service(), *slices(old), site) as live:
            assert clients.get(live.http, "a.test").backend == "old"
            if policy:
                time.sleep(WINDOW)  # until the first one is new no longer, or both would share equally
            live.apply(*slices(old, new))
            until(lambda: clients.get(live.http, "a.test").backend == "new")
            answers = Counter(clients.get(live.http, "a.test").backend for _ in range(REQUESTS))
    share = answers["new"] / REQUESTS
    assert 0.4 < share < 0.6 if policy is None else share < 0.4
