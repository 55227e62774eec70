"""Values that an API server takes and no message of Envoy holds: their host is withheld, in either shape, and no other."""

from __future__ import annotations

import pytest
from tests.dag.world import Mapping, root, service, serving, to

from contour.api.decode import decode
from contour.control.render import render
from contour.control.settings import Settings

HUGE = 2**32


def weighted(name: str, **spec: object) -> Mapping:
    backends = [{"name": "web", "port": 80, "weight": HUGE}, {"name": "web", "port": 80, "weight": 1}]
    return root(name, f"{name}.test", routes=[{"services": backends}], **spec)


def health_checked(name: str) -> Mapping:
    return root(
        name, f"{name}.test", routes=[to("web", healthCheckPolicy={"path": "/", "healthyThresholdCount": HUGE})]
    )


@pytest.mark.parametrize("shape", ["scoped", "classic"])
@pytest.mark.parametrize(
    "bad",
    [
        weighted("bad"),
        weighted("bad", virtualhost={"fqdn": "bad.test", "tls": {"secretName": "tls"}}),
        health_checked("bad"),
    ],
)
def test_a_number_that_no_message_holds_harms_nobody_else(bad: Mapping, shape: str) -> None:
    objects = [service(), serving("tls", "bad.test"), root("good", "good.test"), bad]
    state = render([decode(one) for one in objects], Settings(), shape)
    text = str(state["routes"] if shape == "classic" else state["scoped_routes"])
    assert "good.test" in text
    statuses = {entry["name"]: entry["status"]["currentStatus"] for entry in state["status"]}
    assert statuses["good"] == "valid"
    if shape == "scoped":
        assert statuses["bad"] == "invalid"
