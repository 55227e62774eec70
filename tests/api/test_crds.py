"""The CRDs that we ship: what is in them, and that they, the types and the rules' functions are about the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import pytest
import re2

from contour.api import crds
from contour.api.extensionservice import ExtensionService
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation
from contour.api.yaml import documents

ROOT = Path(__file__).parents[2]
KINDS = [HTTPProxy, TLSCertificateDelegation, ExtensionService]
SHORT_NAMES = {
    HTTPProxy: ["proxy", "proxies"],
    TLSCertificateDelegation: ["tlscerts"],
    ExtensionService: ["extensionservice", "extensionservices"],
}


def definition(kind) -> dict[str, Any]:
    return documents(crds.text(kind.kind))[0].value


def schema(kind) -> dict[str, Any]:
    return definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(node, path="") -> Any:
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}" if path else name)
    for word, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if word in node:
            yield from nodes(node[word], path + suffix)


def at(path: str) -> dict[str, Any]:
    return dict(nodes(schema(HTTPProxy)))[path]


def test_the_files_are_what_the_table_says():
    spec = importlib.util.spec_from_file_location("crds_table", ROOT / "tools" / "crds.py")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    assert table.main(["--check"]) == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_names_and_columns(kind):
    crd = definition(kind)
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    plural = crds.NAMES[kind.kind]
    assert crd["metadata"]["name"] == f"{plural}.projectcontour.io"
    assert (crd["spec"]["group"], crd["spec"]["scope"]) == ("projectcontour.io", "Namespaced")
    assert (names["plural"], names["singular"], names["listKind"]) == (plural, kind.kind.lower(), f"{kind.kind}List")
    assert names["shortNames"] == SHORT_NAMES[kind]
    version_name = kind.api_version.partition("/")[2]
    assert (version["name"], version["served"], version["storage"]) == (version_name, True, True)
    assert version["subresources"] == {"status": {}}
    columns = [(column["name"], column["jsonPath"]) for column in version.get("additionalPrinterColumns", ())]
    assert columns == (
        [
            ("FQDN", ".spec.virtualhost.fqdn"),
            ("TLS Secret", ".spec.virtualhost.tls.secretName"),
            ("Status", ".status.currentStatus"),
            ("Status Description", ".status.description"),
        ]
        if kind is HTTPProxy
        else []
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_rule_has_a_function(kind):
    rules = [rule["rule"] for _, node in nodes(schema(kind)) for rule in node.get("x-kubernetes-validations", ())]
    expected = {HTTPProxy: set(crds.RULES), ExtensionService: set(list(crds.RULES)[:1])}
    assert set(rules) == expected.get(kind, set())
    assert crds.schema(kind.kind).type == "object"


def test_where_the_rules_stand():
    found = {
        path: node["x-kubernetes-validations"][0]["message"]
        for path, node in nodes(schema(HTTPProxy))
        if "x-kubernetes-validations" in node
    }
    same = "subjectNames[0] must equal subjectName if set"
    one_of = "only one of prefix, suffix, exact, and contains should be set in the allowedHeader"
    host = "spec.virtualhost"
    assert found == {
        "spec.routes[].services[].validation": same,
        "spec.tcpproxy.services[].validation": same,
        f"{host}.jwtProviders[].remoteJWKS.validation": same,
        f"{host}.jwtProviders[]": "exactly one of remoteJWKS or localJWKS must be set",
        f"{host}.authorization": "httpSettings can only be set when serviceType is 'http'",
        f"{host}.authorization.httpSettings.allowedAuthorizationHeaders[]": one_of,
        f"{host}.authorization.httpSettings.allowedUpstreamHeaders[]": one_of,
    }


def test_defaults():
    found = {path: node["default"] for path, node in nodes(schema(HTTPProxy)) if "default" in node}
    rate = "rateLimitPolicy.global.descriptors[].entries[].requestHeaderValueMatch.expectMatch"
    assert found == {
        "status": {"currentStatus": "NotReconciled", "description": "Waiting for controller"},
        "spec.virtualhost.authorization.serviceType": "grpc",
        "spec.virtualhost.authorization.withRequestBody.maxRequestBytes": 1024,
        f"spec.virtualhost.{rate}": True,
        f"spec.routes[].{rate}": True,
        "spec.routes[].retryPolicy.count": 1,
        "spec.routes[].requestRedirectPolicy.statusCode": 302,
        "spec.routes[].internalRedirectPolicy.allowCrossSchemeRedirect": "Never",
        **{f"spec.{place}.services[].slowStartPolicy.aggression": "1.0" for place in ("routes[]", "tcpproxy")},
        **{f"spec.{place}.services[].slowStartPolicy.minWeightPercent": 10 for place in ("routes[]", "tcpproxy")},
    }


DURATION = [r"(\d*(\.\d*)?" + unit + ")" for unit in ("h", "m", "s", "ms", "us", "µs", "ns")]
CONTROLS = "".join(f"\\x{code:02x}" for code in range(32))


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("spec.routes[].timeoutPolicy.response", f"^(({'|'.join(DURATION)})+|infinity|infinite)$"),
        ("spec.routes[].services[].slowStartPolicy.window", f"^(({'|'.join(DURATION)})+)$"),
        ("spec.virtualhost.corsPolicy.maxAge", f"^(({'|'.join(DURATION)})+|0)$"),
        ("spec.virtualhost.fqdn", r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        ("spec.routes[].requestRedirectPolicy.hostname", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        ("spec.virtualhost.corsPolicy.allowMethods[]", "^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$"),
        ("spec.routes[].cookieRewritePolicies[].name", r'^[^()<>@,;:\\"\/[\]?={} \t\x7f' + CONTROLS + "]+$"),
        ("spec.routes[].cookieRewritePolicies[].pathRewrite.value", r"^[^;\x7f" + CONTROLS + "]+$"),
        ("spec.routes[].requestRedirectPolicy.path", r"^\/.*$"),
    ],
)  # fmt: skip
def test_patterns(path, pattern):
    assert at(path)["pattern"] == pattern
    re2.compile(pattern)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_types_have_exactly_the_fields_of_the_schema(kind):
    """A field that only one of them knows would be pruned or ignored."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    properties = schema(kind)["properties"]
    for name in ("spec", "status"):
        compare(msgspec.inspect.type_info(fields[name]), properties[name], name)


def compare(info, node, path):
    if isinstance(info, msgspec.inspect.UnionType):
        (info,) = [one for one in info.types if not isinstance(one, msgspec.inspect.NoneType)]
    match info:
        case msgspec.inspect.StructType():
            assert node["type"] == "object", path
            theirs = {field.encode_name: field.type for field in info.fields}
            assert theirs.keys() == node.get("properties", {}).keys(), path
            for name, field in theirs.items():
                compare(field, node["properties"][name], f"{path}.{name}")
        case msgspec.inspect.VarTupleType():
            assert node["type"] == "array", path
            compare(info.item_type, node["items"], f"{path}[]")
        case msgspec.inspect.DictType():
            assert node["additionalProperties"] == {"type": "string"}, path
        case msgspec.inspect.StrType():
            assert node["type"] == "string", path
        case msgspec.inspect.BoolType():
            assert node["type"] == "boolean", path
        case msgspec.inspect.IntType():
            assert node["type"] == "integer", path
        case _:
            pytest.fail(f"{path}: {info}")
