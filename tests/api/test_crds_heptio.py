"""The CRDs of `contour.heptio.com/v1beta1` (operations.md §12.2, §12.5)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.api.test_crds import compare, definition, nodes, schema

from contour.api import crds
from contour.api.admission import AdmissionError, admit, review
from contour.api.decode import decode
from contour.api.heptio import HeptioCertificateDelegation, IngressRoute


@pytest.mark.parametrize("kind", [IngressRoute, HeptioCertificateDelegation], ids=lambda kind: kind.kind)
def test_names(kind: Any) -> None:
    crd = definition(kind)
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    assert crd["metadata"]["name"] == crds.NAMES[kind.kind] == f"{names['plural']}.contour.heptio.com"
    assert (crd["spec"]["group"], version["name"]) == ("contour.heptio.com", "v1beta1")
    assert names["kind"] == kind.kind.partition(".")[0]
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    assert fields.keys() - {"metadata"} == schema(kind)["properties"].keys() - {"apiVersion", "kind", "metadata"}
    for name in fields.keys() - {"metadata"}:
        compare(msgspec.inspect.type_info(fields[name]), schema(kind)["properties"][name], name)


def test_columns_and_what_is_required() -> None:
    version = definition(IngressRoute)["spec"]["versions"][0]
    assert [(one["name"], one["jsonPath"]) for one in version["additionalPrinterColumns"]] == [
        ("FQDN", ".spec.virtualhost.fqdn"),
        ("TLS Secret", ".spec.virtualhost.tls.secretName"),
        ("First route", ".spec.routes[0].match"),
        ("Status", ".status.currentStatus"),
        ("Status Description", ".status.description"),
    ]
    required = {
        path: node["required"] for path, node in nodes(schema(IngressRoute)["properties"]["spec"]) if "required" in node
    }
    service = {"": ["name", "port"], ".healthCheck": ["path"], ".validation": ["caSecret", "subjectName"]}
    assert required == {
        "routes[]": ["match"],
        "routes[].delegate": ["name"],
        "tcpproxy.delegate": ["name"],
        **{
            f"{place}.services[]{field}": names
            for place in ("routes[]", "tcpproxy")
            for field, names in service.items()
        },
    }


def manifest(kind: str = "IngressRoute", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "site", "namespace": "shop"}
    return {"apiVersion": "contour.heptio.com/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}


def test_both_delegations_are_known_by_kind_and_group() -> None:
    ours = manifest("TLSCertificateDelegation", delegations=[{"secretName": "a", "targetNamespaces": ["*"]}])
    assert decode(ours).kind == "TLSCertificateDelegation.contour.heptio.com"
    assert decode(ours | {"apiVersion": "projectcontour.io/v1"}).kind == "TLSCertificateDelegation"
    assert isinstance(admit(ours), HeptioCertificateDelegation)


def test_what_was_never_implemented_is_told() -> None:
    found = review(manifest(strategy="Random", routes=[{"match": "/", "services": []}]))
    assert found.warnings == ('unknown field "spec.strategy"',)


def test_what_the_schema_refuses() -> None:
    with pytest.raises(AdmissionError, match=r"spec\.routes\[0\]\.match: Required value"):
        admit(manifest(routes=[{"services": []}]))
    with pytest.raises(AdmissionError, match=r"services\[0\]\.port"):
        admit(manifest(routes=[{"match": "/", "services": [{"name": "web", "port": "80"}]}]))
