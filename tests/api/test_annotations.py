"""operations.md §5.4 and §12.7: which annotations are known on which kind, and which of two spellings is read."""

from __future__ import annotations

import pytest

from contour.api.admission import review
from contour.api.annotations import unsupported, value


@pytest.mark.parametrize(
    ("annotations", "name", "found"),
    [
        ({}, "retry-on", ""),
        ({"projectcontour.io/retry-on": "5xx"}, "retry-on", "5xx"),
        ({"contour.heptio.com/retry-on": "reset"}, "retry-on", "reset"),
        ({"projectcontour.io/retry-on": "5xx", "contour.heptio.com/retry-on": "reset"}, "retry-on", "5xx"),
        # There, and empty: the older one is not asked.
        ({"projectcontour.io/retry-on": "", "contour.heptio.com/retry-on": "reset"}, "retry-on", ""),
        ({"contour.heptio.com/max-requests": "3"}, "max-requests", "3"),
        # These came after the older prefix was gone.
        ({"contour.heptio.com/response-timeout": "1s"}, "response-timeout", ""),
        ({"contour.heptio.com/tls-cert-namespace": "vault"}, "tls-cert-namespace", ""),
    ],
)
def test_the_newer_spelling_wins(annotations: dict[str, str], name: str, found: str) -> None:
    assert value(annotations, name) == found


@pytest.mark.parametrize(
    ("kind", "key", "known"),
    [
        ("Ingress", "projectcontour.io/response-timeout", True),
        ("Ingress", "projectcontour.io/per-try-timeout", True),  # the reference honours it and complains
        ("Ingress", "projectcontour.io/request-timeout", True),
        ("Ingress", "projectcontour.io/tls-cert-namespace", True),
        ("Ingress", "contour.heptio.com/request-timeout", True),
        ("Ingress", "contour.heptio.com/response-timeout", False),
        ("Ingress", "ingress.kubernetes.io/force-ssl-redirect", True),
        ("Ingress", "ingress.kubernetes.io/rewrite-target", False),
        ("Ingress", "kubernetes.io/ingress.allow-http", True),
        ("Ingress", "kubernetes.io/ingress.global-static-ip-name", False),
        ("Ingress", "projectcontour.io/max-requests", False),
        ("Ingress", "nginx.ingress.kubernetes.io/rewrite-target", True),  # not addressed to us
        ("Ingress", "cert-manager.io/cluster-issuer", True),
        ("HTTPProxy", "projectcontour.io/ingress.class", True),
        ("HTTPProxy", "projectcontour.io/retry-on", False),
        ("HTTPProxy", "kubernetes.io/ingress.allow-http", False),
        ("Service", "projectcontour.io/per-host-max-connections", True),
        ("Service", "contour.heptio.com/upstream-protocol.h2c", True),
        ("Service", "projectcontour.io/upstream-protocol.http3", False),
        ("Secret", "projectcontour.io/generated-by-version", True),
        ("Namespace", "projectcontour.io/retry-on", False),
        ("Namespace", "ingress.kubernetes.io/retry-on", True),
    ],
)
def test_an_annotation_addressed_to_us_that_has_no_effect_is_told(kind: str, key: str, known: bool) -> None:
    told = list(unsupported(kind, {key: "x"}))
    assert told == ([] if known else [f'ignoring invalid or unsupported annotation "{key}"'])


def test_the_author_of_a_manifest_reads_it() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "annotations": {"projectcontour.io/max-request": "3", "owner": "shop"}},
        "spec": {"ports": [{"port": 80}]},
    }
    assert review(service).warnings == ('ignoring invalid or unsupported annotation "projectcontour.io/max-request"',)
