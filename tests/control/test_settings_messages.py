"""What a configuration file is refused for, in the reference's words (operations.md §2.5), and in our own where Envoy
would refuse what the reference lets pass.
"""

from __future__ import annotations

import pytest

from contour.control.settings import Flags, SettingsError, load
from contour.control.settings.accesslog import SIMPLE

TLS = "invalid TLS Protocol Parameters: "
PARSE = "failed to parse configuration: "


def refusal(text: str, flags: Flags | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(text, flags or Flags())
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cluster: {dns-lookup-family: v5}", 'invalid cluster DNS lookup family "v5"'),
        (
            "gateway: {gatewayRef: {name: x}}",
            "invalid Gateway parameters specified: gateway ref namespace and name must be provided",
        ),
        ("gateway: {}", "invalid Gateway parameters specified: gateway ref namespace and name must be provided"),
        ("accesslog-format: xml", 'invalid access log format "xml"'),
        ("json-fields: [nope]", "invalid JSON log field name nope"),
        (
            "json-fields: ['x=%NOPE%']",
            "invalid JSON field: invalid Envoy format: [%NOPE% NOPE% NOPE  ], invalid Envoy operator: NOPE",
        ),
        ("accesslog-level: loud", 'invalid access log level "loud"'),
        ("accesslog-format-string: x", "invalid access log format: must end in newline"),
        (r'accesslog-format-string: "100%\n"', "invalid access log format: invalid Envoy format: [%    ]"),
        (
            r'accesslog-format-string: "%REQ%\n"',
            "invalid access log format: invalid Envoy format: [%REQ% REQ% REQ  ], arguments required for operator: REQ",
        ),
        (
            r'accesslog-format-string: "%START_TIME(%s):3%\n"',
            (
                "invalid access log format: invalid Envoy format: "
                "[%START_TIME(%s):3% START_TIME(%s):3% START_TIME (%s):3 :3], "
                "operator START_TIME cannot have truncation length"
            ),
        ),
        ("compression: {algorithm: lzw}", 'invalid compression type: "lzw"'),
        ("tls: {fallback-certificate: {name: x}}", "invalid TLS fallback certificate: namespace must be defined"),
        ("tls: {fallback-certificate: {namespace: x}}", "invalid TLS fallback certificate: name must be defined"),
        ("tls: {envoy-client-certificate: {name: x}}", "invalid TLS client certificate: namespace must be defined"),
        ("tls: {cipher-suites: [A, '[B|C]']}", f'{TLS}invalid TLS cipher suites: invalid cipher suites ["A" "[B|C]"]'),
        ("tls: {ecdh-curves: [P-42]}", f'{TLS}invalid ECDH curves: invalid ECDH curves ["P-42"]'),
        ("tls: {minimum-protocol-version: '1.1'}", f'{TLS}invalid TLS minimum protocol version: "1.1"'),
        ("tls: {maximum-protocol-version: 1.4}", f'{TLS}invalid TLS maximum protocol version: "1.4"'),
        (
            "tls: {minimum-protocol-version: 1.3, maximum-protocol-version: 1.2}",
            f"{TLS}the minimum TLS protocol version is greater than the maximum TLS protocol version",
        ),
        ("timeouts: {request-timeout: x}", 'invalid request timeout "x": time: invalid duration "x"'),
        ("timeouts: {connection-idle-timeout: 5}", 'connection idle timeout "5": time: missing unit in duration "5"'),
        ("timeouts: {stream-idle-timeout: x}", 'stream idle timeout "x": time: invalid duration "x"'),
        ("timeouts: {max-connection-duration: x}", 'max connection duration "x": time: invalid duration "x"'),
        ("timeouts: {delayed-close-timeout: x}", 'delayed close timeout "x": time: invalid duration "x"'),
        (
            "timeouts: {connection-shutdown-grace-period: x}",
            'connection shutdown grace period "x": time: invalid duration "x"',
        ),
        ("timeouts: {connect-timeout: infinity}", 'connect timeout "infinity": time: invalid duration "infinity"'),
        (
            "policy: {response-headers: {remove: ['a b']}}",
            (
                "invalid header name \"a b\": [a valid HTTP header must consist of alphanumeric characters or '-' "
                "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')]"
            ),
        ),
        ("default-http-versions: [HTTP/3]", 'invalid HTTP version "http/3"'),
        (
            "metrics: {contour: {server-key-path: x}}",
            "metrics.contour: you must supply at least server-certificate-path and server-key-path or none of them",
        ),
        (
            "metrics: {envoy: {ca-certificate-path: x}}",
            (
                "metrics.envoy: you must supply also server-certificate-path and server-key-path if setting "
                "ca-certificate-path"
            ),
        ),
        ("tracing: {serviceName: x}", "tracing.extensionService must be defined"),
        (
            "tracing: {extensionService: a/b, customTags: [{literal: x}]}",
            "tracing.customTag.tagName must be defined",
        ),
        (
            "tracing: {extensionService: a/b, customTags: [{tagName: t, literal: x}, {tagName: t, literal: y}]}",
            "tagName t is duplicate",
        ),
        (
            "tracing: {extensionService: a/b, customTags: [{tagName: t}]}",
            "must set exactly one of Literal or RequestHeaderName",
        ),
        (
            "cluster: {max-requests-per-connection: 0}",
            "invalid max connections per request value 0 set on cluster, minimum value is 1",
        ),
        (
            "cluster: {per-connection-buffer-limit-bytes: 0}",
            "invalid per connections buffer limit bytes value 0 set on cluster, minimum value is 1",
        ),
        (
            "cluster: {upstream-tls: {cipher-suites: [A]}}",
            'invalid TLS cipher suites: invalid cipher suites ["A"]',
        ),
        (
            "listener: {connection-balancer: rough}",
            (
                'invalid listener connection balancer value "rough", '
                "only 'exact' connection balancing is supported for now"
            ),
        ),
        (
            "listener: {max-requests-per-connection: 0}",
            "invalid max connections per request value 0 set on listener, minimum value is 1",
        ),
        (
            "listener: {max-requests-per-io-cycle: 0}",
            "invalid max connections per IO cycle value 0 set on listener, minimum value is 1",
        ),
        (
            "listener: {http2-max-concurrent-streams: 0}",
            "invalid max HTTP/2 concurrent streams value 0 set on listener, minimum value is 1",
        ),
        (
            "listener: {max-connections-per-listener: 0}",
            "invalid max connections per listener value 0 set on listener, minimum value is 1",
        ),
        (
            "listener: {max-connections-to-accept-per-socket-event: 0}",
            "max-connections-to-accept-per-socket-event must be greater than 0",
        ),
        (
            "listener: {socket-options: {tos: 256}}",
            "invalid listener IPv4 TOS value 256, must be in the range 0-255",
        ),
        (
            "listener: {socket-options: {traffic-class: -1}}",
            "invalid listener IPv6 TrafficClass value -1, must be in the range 0-255",
        ),
    ],
)
def test_what_the_file_may_not_say(text: str, message: str) -> None:
    assert refusal(text) == f"invalid Contour configuration: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "metrics: {contour: {server-certificate-path: a, server-key-path: b}}",
            "invalid contour configuration: cannot use single port for health over HTTP and metrics over HTTPS",
        ),
        (
            "metrics: {envoy: {server-certificate-path: a, server-key-path: b}}",
            "invalid envoy configuration: cannot use single port for health over HTTP and metrics over HTTPS",
        ),
        (
            "omEnforcedHealthListener: {address: 0.0.0.0, port: 8002}",
            (
                "invalid envoy configuration: cannot use the same port for health checks and overload-manager enforced "
                "health checks"
            ),
        ),
        (
            "omEnforcedHealthListener: {address: 0.0.0.0, port: 8003}\nmetrics: {envoy: {port: 8003}}",
            (
                "invalid envoy configuration: cannot use the same port for metrics and overload-manager enforced health "
                "checks"
            ),
        ),
        (
            "tracing: {extensionService: a/b, overallSampling: x}",
            'invalid tracing sampling: strconv.ParseFloat: parsing "x": invalid syntax',
        ),
        (
            "tracing: {extensionService: a/b, clientSampling: x}",
            'invalid tracing client sampling: strconv.ParseFloat: parsing "x": invalid syntax',
        ),
        (
            "tracing: {extensionService: a/b, randomSampling: '101'}",
            "invalid tracing random sampling: 101 is not a percentage from 0 to 100",
        ),
    ],
)
def test_what_does_not_go_together(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("", {"root_namespaces": "a,b"}, "not all root namespaces are being watched"),
        (
            "tls: {fallback-certificate: {name: x, namespace: y}}",
            {},
            "the fallbackCertificate namespace (y) must be watched",
        ),
        (
            "tls: {envoy-client-certificate: {name: x, namespace: y}}",
            {},
            "the clientCertificate namespace (y) must be watched",
        ),
    ],
)
def test_what_is_named_must_be_watched(text: str, flags: dict[str, str], message: str) -> None:
    assert refusal(text, Flags(watch_namespaces="a", **flags)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noSuchKey: 1", "noSuchKey: there is no such key"),
        ("listner: {}", "listner: there is no such key; did you mean listener?"),
        (
            "cluster: {circuit-breakers: {maxConnections: 1}}",
            "cluster.circuit-breakers.maxConnections: there is no such key; did you mean max-connections?",
        ),
        ("server: {xds-server-type: envoy}", "server.xds-server-type: there is no such key"),
        ("debug: maybe", 'debug: "maybe" is not a boolean'),
        ("debug: 'true'", 'debug: "true" is not a boolean'),
        ("tls: 1", 'tls: "1" is not a mapping'),
        ("json-fields: a", 'json-fields: "a" is not a list'),
        ("ingress-status-address: [a]", "ingress-status-address: a list is not a text"),
        ("network: {admin-port: 1.5}", 'network.admin-port: "1.5" is not a whole number'),
        ("network: {num-trusted-hops: -1}", "network.num-trusted-hops: -1 is out of range: 0 to 4294967295"),
        ("- a", "the file: a list is not a mapping"),
        ("debug: x\nincluster: z", 'debug: "x" is not a boolean; incluster: "z" is not a boolean'),
        (
            "globalExtAuth: {httpSettings: {pathprefix: a, pathPrefix: b}}",
            "globalExtAuth.httpSettings.pathPrefix: the key is there in its other spelling, too",
        ),
    ],
)
def test_every_bad_key_is_named(text: str, message: str) -> None:
    assert refusal(text) == PARSE + message


def test_what_is_no_yaml_says_where() -> None:
    assert refusal("debug: true\ndebug: false").startswith(f"{PARSE}line 2: ")
    assert refusal("a: [").startswith(f"{PARSE}line 2: ")


# --- what Envoy would refuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: {admin-port: 70000}", "invalid network.admin-port port 70000, must be in the range 1-65535"),
        (
            'policy: {request-headers: {set: {X-A: "a\\nb"}}}',
            'invalid value of header "X-A" in policy.request-headers.set, must be one line of at most 16384 bytes',
        ),
        (
            "policy: {response-headers: {remove: [Via, Host]}}",
            'invalid header name "Host" in policy.response-headers.remove, it cannot be removed',
        ),
        (
            "metrics: {envoy: {address: '::1%lo'}}",
            'invalid metrics listener address "::1%lo", must be an IP address',
        ),
        (
            "metrics: {envoy: {address: localhost}}",
            'invalid metrics listener address "localhost", must be an IP address',
        ),
        (
            "omEnforcedHealthListener: {address: 0.0.0.0}",
            "invalid omEnforcedHealthListener port 0, must be in the range 1-65535",
        ),
        (
            "omEnforcedHealthListener: {address: 0.0.0.0, port: 8080}",
            "invalid omEnforcedHealthListener address and port: 0.0.0.0:8080 is that of the HTTP listener",
        ),
        (
            "timeouts: {request-timeout: -1s}",
            "invalid timeouts.request-timeout, must be from 0 to 9223372035 seconds",
        ),
        (
            'tracing: {extensionService: a/b, customTags: [{tagName: t, requestHeaderName: "a\\nb"}]}',
            "invalid tracing: custom_tags[0].request_header.name: value does not match HTTP_HEADER_NAME",
        ),
        (
            "listener: {http2-max-concurrent-streams: 2147483648}",
            "invalid max HTTP/2 concurrent streams value 2147483648 set on listener, maximum value is 2147483647",
        ),
    ],
)
def test_what_envoy_would_refuse(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    "operator",
    [
        "PROTOCOL(x)",
        "REQ(a?b?c)",
        "REQ(a b)",
        "RESP(:a:b)",
        "METADATA(X)",
        "GRPC_STATUS(x)",
        "GRPC_STATUS(NUMBER):3",
        "UPSTREAM_FILTER_STATE",
        "UPSTREAM_FILTER_STATE(x:FIELD)",
        "REQUESTED_SERVER_NAME(x)",
        "REQ(a):9999999999999999999",
    ],
)
def test_operators_that_envoy_would_refuse(operator: str) -> None:
    name = operator.partition("(")[0]
    assert f", Envoy refuses operator {name}: " in refusal(rf'accesslog-format-string: "%{operator}%\n"')


@pytest.mark.parametrize(
    "operator",
    [
        *sorted(SIMPLE - {"UPSTREAM_FILTER_STATE"}),
        "REQ(:AUTHORITY)",
        "REQ(A?:B):10",
        "REQ_WITHOUT_QUERY(:PATH)",
        "TRAILER(a)",
        "ENVIRONMENT(HOME)",
        "METADATA(ROUTE:a:b)",
        "START_TIME(%s.%3f)",
        "UPSTREAM_FILTER_STATE(a:FIELD:b)",
        "GRPC_STATUS(SNAKE_STRING)",
        "REQUESTED_SERVER_NAME(SNI_FIRST:HOST)",
    ],
)
def test_operators_that_may_stand_in_a_line(operator: str) -> None:
    assert load(rf'accesslog-format-string: "%{operator}%\n"').envoy.access_log.text == f"%{operator}%\n"
