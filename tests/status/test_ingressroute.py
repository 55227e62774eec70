"""operations.md §12.4 and §12.6: the two fields of the status, and what is counted."""

from __future__ import annotations

import pytest

from contour.api.heptio import IngressRoute, IngressRouteSpec, VirtualHost
from contour.api.meta import ObjectMeta, ObjectRef
from contour.control.refused import refused_status
from contour.dag.ingressroute import ORPHANED
from contour.dag.verdict import Finding, Verdict
from contour.status.ingressroute import Counts, count, ingress_route_status
from contour.status.plan import rejected

BAD = Finding("IngressRouteError", "ServiceNotFound", "Service [web:80] is invalid or missing")


@pytest.mark.parametrize(
    ("verdict", "state", "description"),
    [
        (Verdict(), "valid", "valid IngressRoute"),
        (Verdict((BAD,)), "invalid", BAD.message),
        (Verdict((BAD, rejected("no such cluster"))), "invalid", BAD.message),
        (Verdict((rejected("no such cluster"),)), "invalid", "no such cluster"),
        (ORPHANED, "orphaned", "this IngressRoute is not part of a delegation chain from a root IngressRoute"),
    ],
)
def test_status(verdict: Verdict, state: str, description: str) -> None:
    wanted = {"currentStatus": state, "description": description}
    assert ingress_route_status(verdict, {}) == wanted
    observed = {"currentStatus": "valid", "description": "old", "other": 1}
    assert ingress_route_status(verdict, observed) == {**wanted, "other": 1}


def test_an_object_that_is_not_admitted_says_so() -> None:
    entry = refused_status(ObjectRef("IngressRoute", "shop", "site"), "spec.routes[0].match: Required value")
    assert entry["status"] == {"currentStatus": "invalid", "description": "spec.routes[0].match: Required value"}


def _object(namespace: str, fqdn: str | None = None) -> IngressRoute:
    virtualhost = None if fqdn is None else VirtualHost(fqdn)
    return IngressRoute(ObjectMeta(name="x", namespace=namespace), IngressRouteSpec(virtualhost))


def test_counts() -> None:
    objects = [
        (_object("shop", "a.test"), "valid"),
        (_object("shop", "b.test"), "valid"),
        (_object("shop", "b.test"), "invalid"),
        (_object("shop"), "valid"),
        (_object("shop"), "orphaned"),
        (_object("team"), "orphaned"),
        (_object("team"), "orphaned"),
        (_object("team"), "invalid"),
    ]
    assert count((one, {"currentStatus": state}) for one, state in objects) == Counts(
        total={"shop": 5, "team": 3},
        roots={"shop": 3},
        valid={("shop", "a.test"): 1, ("shop", "b.test"): 1, ("shop", ""): 1},
        invalid={("shop", "b.test"): 1, ("team", ""): 1},
        orphaned={"shop": 1, "team": 2},
    )
    assert count([]) == Counts({}, {}, {}, {}, {})
