"""What an API server would do to objects that people write: defaults, conversions, reasons to refuse."""

from __future__ import annotations

import base64
import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contour.api.admission import MAX_ANNOTATIONS, MAX_SIZE, AdmissionError, admit, review
from contour.api.core import EndpointSlice, Secret, Service
from contour.api.decode import DecodeError, UnknownKind
from contour.api.meta import Ref
from contour.api.projectcontour import HTTPProxy
from contour.api.yaml import documents


def parse(text):
    (document,) = documents(text)
    assert document.error is None
    return document.value


def refused(text):
    with pytest.raises(AdmissionError) as caught:
        admit(parse(text))
    return caught.value


SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: %s}"
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: s}, %s}"
INGRESS = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: i}, spec: %s}"
SLICE = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: e}, %s}"
PROXY = "{apiVersion: projectcontour.io/v1, kind: HTTPProxy, metadata: {name: p}, spec: %s}"


# --- defaults -----------------------------------------------------------------------------------------------------


def test_defaults_of_a_service():
    service = admit(
        parse(
            SERVICE
            % "{ports: [{port: 80}, {name: b, port: 81, targetPort: web, protocol: UDP}]}".replace(
                "[{port", "[{name: a, port"
            )
        )
    )
    assert isinstance(service, Service)
    assert service.ref == Ref("default", "web")
    assert service.spec.type == "ClusterIP"
    assert [(port.protocol, port.target_port) for port in service.spec.ports] == [("TCP", 80), ("UDP", "web")]


def test_defaults_of_an_endpoint_slice():
    found = admit(parse(SLICE % "addressType: IPv4, endpoints: [{addresses: [127.0.0.1]}], ports: [{port: 80}]"))
    assert isinstance(found, EndpointSlice)
    assert (found.ports[0].name, found.ports[0].protocol) == ("", "TCP")


def test_defaults_of_endpoints():
    found = admit(parse("{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{ports: [{port: 80}]}]}"))
    assert found.subsets[0].ports[0].protocol == "TCP"


def test_defaults_and_pruning_of_a_proxy():
    found = review(parse(PROXY % "{routes: [{retryPolicy: {}, requestRedirectPolicy: {}, retries: 3}], x: {y: 1}}"))
    assert found.warnings == ('unknown field "spec.routes[0].retries"', 'unknown field "spec.x"')
    assert isinstance(found.object, HTTPProxy)
    route = found.object.spec.routes[0]
    assert (route.retry_policy.count, route.request_redirect_policy.status_code) == (1, 302)
    assert found.object.status.current_status == "NotReconciled"
    assert found.object.status.description == "Waiting for controller"


def test_only_the_controller_writes_status():
    written = "{apiVersion: projectcontour.io/v1, kind: HTTPProxy, metadata: {name: p}, spec: {}, status: %s}"
    for status in ("{currentStatus: valid, conditions: []}", "5", "{conditions: 5}"):
        assert admit(parse(written % status)).status.current_status == "NotReconciled"
    ingress = (INGRESS % "{defaultBackend: {service: {name: s, port: {number: 80}}}}")[:-1]
    assert (
        admit(parse(ingress + ", status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}")).status.load_balancer.ingress
        == ()
    )
    service = (SERVICE % "{ports: [{port: 80}]}")[:-1] + ", status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}"
    assert admit(parse(service)).status.load_balancer.ingress[0].ip == "1.2.3.4"


def test_string_data_becomes_data_and_wins():
    found = admit(parse(SECRET % "data: {a: YQ==, b: YQ==, c: null}, stringData: {b: plain ü, d: null}"))
    assert isinstance(found, Secret)
    assert found.type == "Opaque"
    assert found.data == {"a": b"a", "b": "plain ü".encode(), "c": b"", "d": b""}


def test_base64_with_line_ends():
    text = base64.encodebytes(b"x" * 200).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": text}}
    assert admit(secret).data == {"a": b"x" * 200}


def test_namespaces():
    assert admit(parse("{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}")).ref == Ref("", "a")
    spec = "{ports: [{port: 80}]}"
    assert admit(parse((SERVICE % spec).replace("name: web", "name: web, namespace: x"))).ref == Ref("x", "web")
    assert admit(parse((SERVICE % spec).replace("name: web", "name: web, namespace: null"))).ref == Ref(
        "default", "web"
    )


def test_a_retired_ingress_is_converted():
    text = "{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: i}, spec: {backend: {serviceName: s, servicePort: web}}}"
    assert admit(parse(text)).spec.default_backend.service.port.name == "web"
    assert [error.path for error in refused(text.replace("web", "0")).errors] == ["spec.backend.servicePort"]
    assert [error.path for error in refused(text.replace("serviceName: s", "serviceName: 5")).errors] == [
        "spec.backend.serviceName"
    ]
    assert admit(parse(text.replace("backend: {", "rules: [{http: {paths: [{backend: {").replace("}}}", "}}]}}]}}")))


def test_what_is_admitted_is_not_changed_in_place():
    for text in (
        SERVICE % "{ports: [{port: 80}]}",
        SECRET % "stringData: {a: b}",
        PROXY % "{routes: [{retryPolicy: {}}]}",
    ):
        source = parse(text)
        before = copy.deepcopy(source)
        admit(source)
        assert source == before


# --- refusals -----------------------------------------------------------------------------------------------------

TLS = "type: kubernetes.io/tls, stringData: {tls.crt: x}"
RULE = "{rules: [{http: {paths: [%s]}}]}"
BACKEND = "backend: {service: {name: s, port: {number: 80}}}"
LABEL = "a lowercase RFC 1123 label must consist of"
SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of"


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        # metadata
        ("{apiVersion: v1, kind: Service}", ["metadata.name: Required value"]),
        ("{apiVersion: v1, kind: Namespace, metadata: {}}", ["metadata.name: Required value"]),
        ((PROXY % "{}").replace("p}", "5}"), ["metadata.name: must be a string, not integer (quote the value)"]),
        ((PROXY % "{}").replace("p}", "A_b}"), [f'metadata.name: Invalid value: "A_b": {SUBDOMAIN}']),
        ((PROXY % "{}").replace("p}", f"{'a' * 254}}}"), ['metadata.name: Invalid value: "aaa']),
        ((PROXY % "{}").replace("p}", "p, namespace: a.b}"), [f'metadata.namespace: Invalid value: "a.b": {LABEL}']),
        ((SERVICE % "{ports: [{port: 80}]}").replace("web", "a.b"), [f'metadata.name: Invalid value: "a.b": {LABEL}']),
        ((PROXY % "{}").replace("p}", "p, annotations: {a: true, b: 1}}"), ["metadata.annotations[a]: must be a string, not boolean (quote", "metadata.annotations[b]: must be a string, not integer (quote"]),
        ((PROXY % "{}").replace("p}", "p, labels: [a]}"), ["metadata.labels: must be an object, not array"]),
        # Service
        (SERVICE % "{}", ["spec.ports: Required value"]),
        (SERVICE % "{ports: [{port: '80'}]}", ["spec.ports[0].port: Expected `int`, got `str`"]),
        (SERVICE % "{ports: [{name: 80, port: 80}]}", ["spec.ports[0].name: Expected `str`, got `int` (quote the value)"]),
        (SERVICE % "{ports: [{port: 0}]}", ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive", "spec.ports[0].targetPort: Invalid value: 0"]),
        (SERVICE % "{ports: [{port: 80, protocol: tcp}]}", ['spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"']),
        (SERVICE % "{ports: [{port: 80}, {port: 80}]}", ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value", "spec.ports[1]: Duplicate value: 80/TCP"]),
        (SERVICE % "{ports: [{name: a, port: 80}, {name: a, port: 81}]}", ['spec.ports[1].name: Duplicate value: "a"']),
        (SERVICE % "{type: X, ports: [{port: 80}]}", ['spec.type: Unsupported value: "X"']),
        (SERVICE % "{type: ExternalName}", ["spec.externalName: Required value"]),
        (SERVICE % "{type: ExternalName, externalName: a_b}", ["spec.externalName: Invalid value"]),
        # endpoints
        (SLICE % "endpoints: []", ["addressType: Required value (one of FQDN, IPv4, IPv6)"]),
        (SLICE % "addressType: IPv4, endpoints: [{addresses: [1.2.3.400, '::1', a]}, {}]", [*(f"endpoints[0].addresses[{n}]: Invalid value: {v}: must be a valid IPv4 address" for n, v in enumerate(('"1.2.3.400"', '"::1"', '"a"'))), "endpoints[1].addresses: Required value: must contain at least 1 item"]),
        (SLICE % "addressType: FQDN, endpoints: [{addresses: [A]}], ports: [{port: 0}]", ["endpoints[0].addresses[0]: Invalid value", "ports[0].port: Invalid value: 0"]),
        ("{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: x}], ports: [{port: 0}]}]}", ["subsets[0].ports[0].port: Invalid value: 0", 'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address']),
        # Secret
        (SECRET % TLS, ["data[tls.key]: Required value (a Secret of type kubernetes.io/tls has both)"]),
        (SECRET % "stringData: {n: 5}", ["stringData[n]: must be a string, not integer (quote the value)"]),
        (SECRET % "data: {n: 5}", ["data[n]: must be a string, not integer (quote the value)"]),
        (SECRET % "data: x", ["data: must be an object, not string"]),
        (SECRET % "data: {tls.crt: not base64}", ["data[tls.crt]: Invalid value: not base64 (plain text goes into stringData)"]),
        (SECRET % "data: {tls.crt: YQ}", ["data[tls.crt]: Invalid value: not base64"]),
        (SECRET % "data: {'a/b': YQ==}", ['data[a/b]: Invalid value: "a/b": a valid config key must consist of']),
        # Ingress
        (INGRESS % "{}", ["spec: Invalid value: either `defaultBackend` or `rules` must be specified"]),
        (INGRESS % "{defaultBackend: {}}", ["spec.defaultBackend: Required value: either `resource` or `service` is required"]),
        (INGRESS % "{defaultBackend: {service: {name: '', port: {number: 80, name: web}}, resource: {kind: K, name: n}}}", ["spec.defaultBackend: Invalid value: cannot set both", "spec.defaultBackend.service.name: Required value", "spec.defaultBackend.service.port: Invalid value: cannot set both"]),
        (INGRESS % (RULE % f"{{{BACKEND}, path: /}}"), ["spec.rules[0].http.paths[0].pathType: Required value (one of Exact, ImplementationSpecific, Prefix)"]),
        (INGRESS % (RULE % f"{{{BACKEND}, path: /, pathType: prefix}}"), ['spec.rules[0].http.paths[0].pathType: Unsupported value: "prefix"']),
        (INGRESS % (RULE % f"{{{BACKEND}, path: x, pathType: Prefix}}"), ['spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path']),
        (INGRESS % (RULE % f"{{{BACKEND}, path: /a//../b/., pathType: Exact}}"), [f'spec.rules[0].http.paths[0].path: Invalid value: "/a//../b/.": {told}' for told in ("must not contain '//'", "must not contain '/../'", "cannot end with '/.'")]),
        (INGRESS % (RULE % f"{{{BACKEND}, path: /a%2Fb, pathType: Prefix}}"), ['spec.rules[0].http.paths[0].path: Invalid value: "/a%2Fb": must not contain \'%2F\'']),
        (INGRESS % (RULE % f"{{{BACKEND}, pathType: Exact}}"), ['spec.rules[0].http.paths[0].path: Invalid value: ""']),
        (INGRESS % (RULE % "{pathType: ImplementationSpecific, backend: {service: {name: s}}}"), ["spec.rules[0].http.paths[0].backend.service.port: Required value: port name or number is required"]),
        (INGRESS % (RULE % ""), ["spec.rules[0].http.paths: Required value"]),
        (INGRESS % "{rules: [{host: A}, {host: 1.2.3.4}, {host: 'a.*'}, {host: '*'}, {host: '*.a'}]}", ['spec.rules[0].host: Invalid value: "A"', 'spec.rules[1].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address', 'spec.rules[2].host: Invalid value: "a.*"', 'spec.rules[3].host: Invalid value: "*": a wildcard host must be']),
        (INGRESS % "{rules: [{}], tls: [{hosts: [A]}], ingressClassName: A}", ['spec.ingressClassName: Invalid value: "A"', 'spec.tls[0].hosts[0]: Invalid value: "A"']),
        ((INGRESS % "{rules: [{}], ingressClassName: a}").replace("i}", "i, annotations: {kubernetes.io/ingress.class: b}}"), ["metadata.annotations[kubernetes.io/ingress.class]: Invalid value: can not be set when the class field is also set"]),
        ("{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: c}}", ["spec.controller: Required value"]),
        # HTTPProxy
        (PROXY % "{routes: {}}", ['spec.routes: Invalid value: "object": spec.routes in body must be of type array']),
        (PROXY % "{routes: [{services: [{name: s, port: '80'}]}]}", ['spec.routes[0].services[0].port: Invalid value: "string"']),
        (PROXY % "{routes: [{rateLimitPolicy: {local: {requests: 4294967296, unit: second}}}]}", ["spec.routes[0].rateLimitPolicy.local.requests: Expected `int` <= 4294967295"]),
        (PROXY % "{virtualhost: {fqdn: a, jwtProviders: [{name: j}]}}", ['spec.virtualhost.jwtProviders[0]: Invalid value: "object": exactly one of']),
    ],
)  # fmt: skip
def test_refused(text, errors):
    error = refused(text)
    assert len(error.errors) == len(errors), error.errors
    for found, expected in zip(map(str, error.errors), errors, strict=True):
        assert found.startswith(expected)
    assert error.path == error.errors[0].path


def test_the_message_names_kind_object_and_field():
    error = refused(SERVICE % "{ports: [{port: 0, targetPort: 1}], type: X}")
    assert str(error) == (
        'Service default/web: spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", '
        '"LoadBalancer", "NodePort"; spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive'
    )


@pytest.mark.parametrize(
    "fields", ["data: {key: hunter2!}", "stringData: {key: [hunter2]}", "data: {key: {hunter2: a}}"]
)
def test_secret_values_are_not_in_messages(fields):
    assert "hunter2" not in str(refused(SECRET % fields))


def test_unknown_kinds_and_what_is_no_object():
    with pytest.raises(UnknownKind):
        admit(parse("{apiVersion: v1, kind: Pod, metadata: {name: a}}"))
    with pytest.raises(DecodeError, match="expected an object, got array"):
        admit([])


def test_limits():
    error = refused(SECRET % f"stringData: {{a: {'x' * (1 << 20)}, b: x}}")
    assert str(error) == "Secret default/s: data: Too long: may not be more than 1048576 bytes"
    assert "bytes, more than the" in str(refused(SECRET % f"stringData: {{a: {'x' * MAX_SIZE}}}"))
    service = SERVICE.replace("metadata: {", f"metadata: {{annotations: {{a: {'x' * MAX_ANNOTATIONS}}}, ", 1)
    assert "metadata.annotations: Too long" in str(refused(service % "{ports: [{port: 80}]}"))
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(AdmissionError, match="nested too deeply"):
        admit({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "x": deep})
    with pytest.raises(AdmissionError, match="JSON"):
        admit({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "x": "\udc80"})


FULL = [
    SERVICE % "{type: ClusterIP, ports: [{name: a, port: 80, targetPort: web}]}",
    SLICE % "addressType: IPv4, endpoints: [{addresses: [1.2.3.4], conditions: {ready: true}}], ports: [{name: a, port: 1}]",
    SECRET % "type: Opaque, data: {a: YQ==}, stringData: {b: c}",
    INGRESS % "{tls: [{hosts: [a], secretName: s}], rules: [{host: a, http: {paths: [{path: /, pathType: Exact, %s}]}}]}" % BACKEND,
    "{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: i}, spec: {backend: {serviceName: s, servicePort: 1}}}",
    PROXY % "{virtualhost: {fqdn: a, tls: {secretName: s}}, routes: [{conditions: [{prefix: /}], services: [{name: s, port: 80}]}]}",
    "{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: 1.2.3.4}], ports: [{port: 80}]}]}",
]  # fmt: skip


@given(st.sampled_from(FULL), st.data())
def test_every_object_is_admitted_or_refused_and_nothing_else(text, data):
    source = parse(text)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(source))))
        stray = st.sampled_from([None, "", "x", 5, -1, 1.5, 2**70, True, [], {}, [None], {"a": 1}, "\udc80"])
        place[0][place[1]] = copy.deepcopy(data.draw(stray))
    with contextlib.suppress(DecodeError):
        admitted = admit(source)
        assert admitted.metadata.name


def places(value):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)
