"""Mappings and bytes to typed objects: tolerance where Go is tolerant, a path where something is wrong."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contour.api.core import Endpoints, EndpointSlice, Namespace, Secret, Service
from contour.api.decode import KINDS, REGISTRY, DecodeError, UnknownKind, decode, decode_as
from contour.api.meta import Ref
from contour.api.networking import Ingress, IngressClass
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation

TRACES = Path(__file__).parents[3] / "shared" / "traces"


def obj(kind, /, **fields):
    name = kind.kind.partition(".")[0]
    return {"apiVersion": kind.api_version, "kind": name, "metadata": {"name": "a", "namespace": "ns"}, **fields}


def both(mapping):
    """The same object from a mapping and from bytes."""
    decoded = decode(mapping)
    assert decode(json.dumps(mapping).encode()) == decoded
    return decoded


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_kind_has_zero_values(kind):
    decoded = both(obj(kind))
    assert type(decoded) is kind
    assert decoded.ref == Ref("ns", "a")
    assert decoded == kind(metadata=decoded.metadata)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_null_is_absent_everywhere(kind):
    fields = [
        name
        for name in ("spec", "status", "data", "ports", "endpoints", "subsets", "type")
        if name in kind.__struct_fields__
    ]
    assert both(obj(kind, **dict.fromkeys(fields))) == decode(obj(kind))


def test_nulls_deep_inside():
    proxy = both(
        obj(
            HTTPProxy,
            spec={"virtualhost": None, "routes": [{"services": None, "conditions": [{"prefix": "/", "header": None}]}]},
            status={"conditions": None, "loadBalancer": {"ingress": None}},
        )
    )
    assert proxy.spec.routes[0].conditions[0].prefix == "/"
    assert proxy.spec.virtualhost is None


@pytest.mark.parametrize(
    ("mapping", "reason", "path"),
    [
        (obj(HTTPProxy, spec={"routes": [{"services": [{"name": "s", "port": "80"}]}]}), "Expected `int`, got `str`", "$.spec.routes[0].services[0].port"),
        (obj(HTTPProxy, spec={"routes": {}}), "Expected `array`, got `object`", "$.spec.routes"),
        (obj(Service, spec={"ports": [{"port": 2**40}]}), "Expected `int` <= 2147483647", "$.spec.ports[0].port"),
        (obj(Service, spec={"ports": [{"port": 80, "targetPort": 1.5}]}), "Expected `int | str | null`, got `float`", "$.spec.ports[0].targetPort"),
        (obj(Secret, data={"a": "!"}), "Invalid base64 encoded string", "$.data[...]"),
        (obj(Ingress, metadata={"name": 5}), "Expected `str`, got `int`", "$.metadata.name"),
        (obj(HTTPProxy, spec={"routes": [None]}), "Expected `object`, got `null`", "$.spec.routes[0]"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_named_with_its_path(mapping, reason, path):
    for source in (mapping, json.dumps(mapping).encode()):
        with pytest.raises(DecodeError) as caught:
            decode(source)
        assert (caught.value.kind, caught.value.reason, caught.value.path) == (mapping["kind"], reason, path)
    if path != "$.metadata.name":
        assert str(caught.value) == f"{mapping['kind']} ns/a: {reason} at {path}"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"kind": "Service"}, "Service (no name): apiVersion and kind are required"),
        ({"apiVersion": "v1", "kind": 5}, "object (no name): apiVersion and kind are required"),
        (b"[1]", "object (no name): Expected `object`, got `array`"),
        (b"{", "object (no name): Input data was truncated"),
        (b'{"kind": "\xff"}', "object (no name):"),
    ],
)
def test_what_is_no_object_at_all(source, text):
    with pytest.raises(DecodeError) as caught:
        decode(source)
    assert str(caught.value).startswith(text)


def test_unknown_kinds_are_told_apart():
    with pytest.raises(UnknownKind, match=r"^Pod ns/a: unknown kind v1 Pod$"):
        decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}})
    with pytest.raises(UnknownKind):
        decode({"apiVersion": "v2", "kind": "Service"})


def test_deep_nesting_is_an_error_and_no_crash():
    deep = b'{"apiVersion":"v1","kind":"Service","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(DecodeError):
        decode(deep)


@pytest.mark.parametrize(
    "status", ["x", 5, [], {"currentStatus": 5}, {"conditions": {}}, {"conditions": [{"type": []}]}]
)
def test_a_strange_status_costs_nothing_but_itself(status):
    proxy = both(obj(HTTPProxy, spec={"ingressClassName": "x"}, status=status))
    assert proxy.spec.ingress_class_name == "x"
    assert proxy.status.conditions == ()
    assert both(obj(Service, status={"loadBalancer": 5}, spec={"type": "x"})).spec.type == "x"


def test_a_secret_is_decoded_and_never_shown():
    text = base64.b64encode(b"private").decode()
    secret = both(obj(Secret, data={"tls.key": text, "folded": text[:4] + "\n" + text[4:] + "\r\n", "empty": None}))
    assert secret.data == {"tls.key": b"private", "folded": b"private", "empty": b""}
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), repr(secret.__rich_repr__())):
        assert "private" not in shown
        assert "tls.key" in shown


def test_fields_of_the_core_kinds():
    service = both(
        obj(
            Service,
            spec={
                "type": "ExternalName",
                "externalName": "x.y",
                "clusterIP": "None",
                "ports": [
                    {"name": "a", "port": 80, "protocol": "TCP", "appProtocol": "https", "targetPort": "web"},
                    {"port": 81, "targetPort": 8080},
                ],
            },
            status={"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h", "ipMode": "VIP"}]}},
        )
    )
    assert (service.spec.external_name, service.spec.cluster_ip) == ("x.y", "None")
    assert [port.target_port for port in service.spec.ports] == ["web", 8080]
    assert service.spec.ports[0].app_protocol == "https"
    assert service.spec.ports[1].app_protocol is None
    assert service.status.load_balancer.ingress[0].ip == "1.2.3.4"
    slices = both(
        obj(
            EndpointSlice,
            metadata={"name": "a", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
            addressType="IPv4",
            endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}, {"addresses": ["10.0.0.2"]}],
            ports=[{"name": None, "port": None, "protocol": None}, {"name": "x", "port": 80, "protocol": "TCP"}],
        )
    )
    assert slices.service_name == "web"
    assert [endpoint.conditions.ready for endpoint in slices.endpoints] == [False, None]
    assert [(port.name, port.port, port.protocol) for port in slices.ports] == [(None, None, None), ("x", 80, "TCP")]
    endpoints = both(obj(Endpoints, subsets=[{"addresses": [{"ip": "1.1.1.1"}], "ports": [{"port": 80}]}]))
    assert endpoints.subsets[0].addresses[0].ip == "1.1.1.1"
    assert both(obj(IngressClass, spec={"controller": "x/y"})).spec.controller == "x/y"
    assert both(obj(Namespace)).metadata.name == "a"
    delegation = both(
        obj(TLSCertificateDelegation, spec={"delegations": [{"secretName": "s", "targetNamespaces": ["*"]}]})
    )
    assert delegation.spec.delegations[0].target_namespaces == ("*",)


def test_spellings_that_are_not_plain_camel_case():
    proxy = both(
        obj(
            HTTPProxy,
            spec={
                "virtualhost": {"fqdn": "a", "jwtProviders": [{"remoteJWKS": {"uri": "u"}, "localJWKS": {"key": "k"}, "forwardJWT": True}]},
                "routes": [
                    {
                        "conditions": [{"header": {"name": "h", "notpresent": True, "notcontains": "c", "notexact": "e"}}],
                        "loadBalancerPolicy": {"requestHashPolicies": [{"hashSourceIP": True}]},
                        "rateLimitPolicy": {"global": {"disabled": True}},
                    }
                ],
            },
        )
    )  # fmt: skip
    provider = proxy.spec.virtualhost.jwt_providers[0]
    assert (provider.remote_jwks.uri, provider.local_jwks.key, provider.forward_jwt) == ("u", "k", True)
    route = proxy.spec.routes[0]
    header = route.conditions[0].header
    assert (header.notpresent, header.notcontains, header.notexact) == (True, "c", "e")
    assert route.load_balancer_policy.request_hash_policies[0].hash_source_ip
    assert route.rate_limit_policy.global_.disabled


@pytest.mark.parametrize("version", ["extensions/v1beta1", "networking.k8s.io/v1beta1"])
def test_a_retired_ingress_becomes_v1(version):
    old = {
        "apiVersion": version,
        "kind": "Ingress",
        "metadata": {"name": "a", "namespace": "ns"},
        "spec": {
            "backend": {"serviceName": "default", "servicePort": "http"},
            "tls": [{"hosts": ["h"], "secretName": "s"}],
            "rules": [
                {
                    "host": "h",
                    "http": {
                        "paths": [
                            {"backend": {"serviceName": "a", "servicePort": 80}},
                            {"path": "/x", "pathType": "Exact", "backend": {"serviceName": "b", "servicePort": "web"}},
                            {"path": "/r", "backend": {"resource": {"kind": "K", "name": "n"}}},
                        ]
                    },
                },
                {"host": "empty", "http": None},
            ],
        },
    }
    new = {
        "defaultBackend": {"service": {"name": "default", "port": {"name": "http"}}},
        "tls": [{"hosts": ["h"], "secretName": "s"}],
        "rules": [
            {
                "host": "h",
                "http": {
                    "paths": [
                        {"pathType": "ImplementationSpecific", "backend": {"service": {"name": "a", "port": {"number": 80}}}},
                        {"path": "/x", "pathType": "Exact", "backend": {"service": {"name": "b", "port": {"name": "web"}}}},
                        {"path": "/r", "pathType": "ImplementationSpecific", "backend": {"resource": {"kind": "K", "name": "n"}}},
                    ]
                },
            },
            {"host": "empty"},
        ],
    }  # fmt: skip
    assert both(old) == both(obj(Ingress, spec=new))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["backend", "rules", "http", "paths", "serviceName", "servicePort", "path"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_retired_ingress_is_too_strange(spec):
    source = {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "a"}, "spec": spec}
    with contextlib.suppress(DecodeError):
        assert isinstance(decode(source), Ingress)


def test_one_kind_of_a_list():
    assert decode_as(Service, b'{"metadata": {"name": "a"}}').ref == Ref("", "a")
    assert set(REGISTRY.values()) == set(KINDS)


@pytest.mark.skipif(not TRACES.exists(), reason="the recorded traces are not here")
def test_every_recorded_object_of_a_known_kind_decodes():
    decoded = 0
    for file in sorted(TRACES.rglob("*.json*")):
        for line in file.read_text("utf-8").splitlines() if file.suffix == ".jsonl" else [file.read_text("utf-8")]:
            for found in objects(json.loads(line)):
                if (found["apiVersion"], found["kind"]) in REGISTRY:
                    decode(found)
                    decoded += 1
    assert decoded > 10_000


def objects(value):
    if isinstance(value, dict):
        if {"apiVersion", "kind", "metadata"} <= value.keys():
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)
