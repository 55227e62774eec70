"""What the objects of the fuzzer find around them: Services, Secrets of each kind, delegations, and settings that refer
to them. Made once for a process."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace
from tests.dag.world import delegation, extension, proxy, secret, service, to
from tests.envoy.site import endpoints

from contour.control.settings import Settings, load
from contour.testing.certs import Authority

Json = dict[str, Any]

_CA = Authority()
_SERVING = _CA.sign("a.test", "*.a.test")
_WILD = _CA.sign("*.test")
_JWKS = b'{"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}'


def _revoked() -> bytes:
    """A list of nobody, by somebody."""
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now)
    key = ec.generate_private_key(ec.SECP256R1())
    signed = builder.next_update(now + dt.timedelta(days=365)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


_TLS = "kubernetes.io/tls"
# Name of a Secret -> its type and content: what it should have, and what it should not.
CONTENTS: dict[str, tuple[str, dict[str, bytes]]] = {
    "serving": (_TLS, {"tls.crt": _SERVING.certificate, "tls.key": _SERVING.private_key, "ca.crt": _CA.certificate}),
    "wild": (_TLS, {"tls.crt": _WILD.certificate, "tls.key": _WILD.private_key}),
    "old": ("Opaque", {"tls.crt": _WILD.certificate + _CA.certificate, "tls.key": _WILD.private_key}),
    "ca": ("Opaque", {"ca.crt": _CA.certificate, "crl.pem": _revoked()}),
    "crl": ("Opaque", {"crl.pem": _revoked()}),
    "jwks": ("Opaque", {"key": _JWKS, "jwks": b'{"keys": []}'}),
    "opaque": ("Opaque", {"key": b"y"}),
    "broken": (_TLS, {"tls.crt": _SERVING.certificate, "tls.key": _WILD.private_key}),
    "half": (_TLS, {"tls.crt": _SERVING.certificate[:-60], "tls.key": b"", "ca.crt": b"\xff"}),
    "swapped": (_TLS, {"tls.crt": _SERVING.private_key, "tls.key": _SERVING.certificate}),
}

OBJECTS: list[Json] = [
    *(
        service(name, {"name": "http", "port": 80}, {"name": "tls", "port": 443})
        for name in ("web", "other/web", "api", "other/api")
    ),
    service("bare", {"port": 80}),
    service("other/bare", {"port": 80}),
    service("external", {"port": 80}, spec={"type": "ExternalName", "externalName": "external.test"}),
    endpoints("web", 8080),
    *(secret(name, kind, **data) for name, (kind, data) in CONTENTS.items()),
    *(secret(f"other/{name}", kind, **data) for name, (kind, data) in CONTENTS.items()),
    delegation("other/serving", "serving", "*"),
    delegation("other/ca", "ca", "shop"),
    proxy("child", routes=[to("web"), to("api", "/b")]),
    proxy("other/child", routes=[to("web"), to("api", "/b")]),
    extension("auth"),
    extension("plain", protocol="h2c"),
]

_CONFIGURATIONS = (
    "",
    """
tls:
  fallback-certificate: {namespace: shop, name: wild}
  envoy-client-certificate: {namespace: shop, name: serving}
  maximum-protocol-version: "1.2"
disablePermitInsecure: true
compression: {algorithm: brotli}
network: {num-trusted-hops: 1}
cluster: {dns-lookup-family: v4, max-requests-per-connection: 7, circuit-breakers: {max-connections: 9}}
policy:
  applyToIngress: true
  request-headers: {set: {X-Default: "%REQ(X-A)% %CONTOUR_SERVICE_PORT%"}, remove: [X-B]}
  response-headers: {set: {X-Default: v}, remove: [Server]}
""",
    """
globalExtAuth: {extensionService: shop/auth, failOpen: true, authPolicy: {context: {a: b}}}
rateLimitService:
  extensionService: shop/plain
  enableXRateLimitHeaders: true
  defaultGlobalRateLimitPolicy: {descriptors: [{entries: [{remoteAddress: {}}]}]}
tracing: {extensionService: shop/auth, customTags: [{tagName: a, requestHeaderName: X-A}]}
accesslog-format: json
default-http-versions: [HTTP/1.1]
""",
)


def _settings(text: str) -> Settings:
    settings = load(text)
    return replace(settings, graph=replace(settings.graph, enable_external_name=True, loopback_endpoints=True))


SETTINGS: tuple[Settings, ...] = tuple(map(_settings, _CONFIGURATIONS))
