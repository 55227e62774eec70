"""operations.md §12.8: the version of one pre-release."""

from __future__ import annotations

from typing import Any

import pytest

from contour.api.admission import AdmissionError, admit
from contour.api.decode import decode
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation


def proxy(*routes: Any, version: str = "v1alpha1") -> dict[str, Any]:
    metadata = {"name": "site", "namespace": "shop"}
    return {
        "apiVersion": f"projectcontour.io/{version}",
        "kind": "HTTPProxy",
        "metadata": metadata,
        "spec": {"routes": list(routes)},
    }


SERVICES = [{"name": "web", "port": 80}]
REWRITE = {"replacePrefix": [{"replacement": "/new"}]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"services": SERVICES}, {"services": SERVICES}),
        ({"services": SERVICES, "prefixRewrite": "/new"}, {"services": SERVICES, "pathRewritePolicy": REWRITE}),
        ({"services": SERVICES, "prefixRewrite": ""}, {"services": SERVICES}),
    ],
)
def test_it_becomes_v1(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert decode(proxy(old)) == decode(proxy(new, version="v1"))
    admitted = admit(proxy(old))
    assert isinstance(admitted, HTTPProxy)
    assert admitted == admit(proxy(new, version="v1"))


def test_what_is_wrong_is_told_as_in_v1() -> None:
    with pytest.raises(AdmissionError, match=r"spec\.routes\[0\]\.services\[0\]\.port"):
        admit(proxy({"services": [{"name": "web", "port": "x"}], "prefixRewrite": "/new"}))
    with pytest.raises(AdmissionError, match=r"spec\.routes\[0\]"):
        admit(proxy("nonsense"))


def test_delegations() -> None:
    old = {
        "apiVersion": "projectcontour.io/v1alpha1",
        "kind": "TLSCertificateDelegation",
        "metadata": {"name": "grant", "namespace": "vault"},
        "spec": {"delegations": [{"secretName": "cert", "targetNamespaces": ["*"]}]},
    }
    found = decode(old)
    assert isinstance(found, TLSCertificateDelegation)
    assert found.spec.delegations[0].secret_name == "cert"
