"""Cases that were recorded in the reference's own test harness: its settings as ours, and what is constantly different.

In: the `config` or `setup` of a case, and its objects. Out: a `Replay` that takes events one by one and tells where its
state differs from a recorded one. What the harness leaves out is put right by the rules of `_Rules`, each with its
reason; everything else is compared as in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from tests.traces import cases, differences
from tests.traces.compare import by_name, difference_of_members, normal, normal_status

from contour.api.decode import UnknownKind, decode
from contour.api.meta import Object, Ref
from contour.api.projectcontour import AuthorizationServer, GlobalRateLimitPolicy
from contour.api.scalars import parse_timeout
from contour.control.pipeline import Pipeline
from contour.control.render import SECTIONS
from contour.control.settings import Settings
from contour.dag.graph import CircuitBreakers
from contour.dag.options import HeaderDefaults, RateLimitService
from contour.dag.options import Options as GraphOptions
from contour.envoy import pb
from contour.envoy.filters import ext_authz, ratelimit
from contour.envoy.options import Options as EnvoyOptions
from contour.envoy.options import TLSParameters
from contour.envoy.resource import Resource

# Settings of the harness that have a counterpart of ours: where it is, and how the value is read.
_Read = Callable[[Any], Any]


def _ref(value: Mapping[str, str]) -> Ref | None:
    return None if value is None else Ref(value.get("namespace", ""), value.get("name", ""))


def _authorization(value: Mapping[str, Any] | None) -> AuthorizationServer | None:
    return None if value is None else msgspec.convert(value, AuthorizationServer)


def _limits(value: Mapping[str, int] | None) -> CircuitBreakers:
    return msgspec.convert({_snake(name): limit for name, limit in (value or {}).items()}, CircuitBreakers)


def _headers(value: Mapping[str, Any] | None) -> HeaderDefaults:
    policy = value or {}
    return HeaderDefaults(tuple(sorted((policy.get("Set") or {}).items())), tuple(policy.get("Remove") or ()))


def _upstream_tls(value: Mapping[str, str] | None) -> TLSParameters | None:
    """The harness sets no ciphers."""
    if value is None:
        return None
    return TLSParameters(value["MinimumProtocolVersion"], value["MaximumProtocolVersion"], cipher_suites=())


def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


_GRAPH: Mapping[str, tuple[str, _Read]] = {
    "kubernetes_cache.RootNamespaces": ("root_namespaces", tuple),
    "kubernetes_cache.IngressClassNames": ("ingress_class_names", tuple),
    "HTTPProxyProcessor.EnableExternalNameService": ("enable_external_name", bool),
    "HTTPProxyProcessor.DisablePermitInsecure": ("disable_permit_insecure", bool),
    "HTTPProxyProcessor.FallbackCertificate": ("fallback_certificate", _ref),
    "HTTPProxyProcessor.ClientCertificate": ("client_certificate", _ref),
    "IngressProcessor.ClientCertificate": ("client_certificate", _ref),
    "ExtensionServiceProcessor.ClientCertificate": ("client_certificate", _ref),
    "ExtensionServiceProcessor.GlobalCircuitBreakerDefaults": ("circuit_breakers", _limits),
    "IngressProcessor.GlobalCircuitBreakerDefaults": ("circuit_breakers", _limits),
    "HTTPProxyProcessor.GlobalCircuitBreakerDefaults": ("circuit_breakers", _limits),
    "IngressProcessor.RequestHeadersPolicy": ("request_headers", _headers),
    "HTTPProxyProcessor.RequestHeadersPolicy": ("request_headers", _headers),
    "IngressProcessor.ResponseHeadersPolicy": ("response_headers", _headers),
    "HTTPProxyProcessor.ResponseHeadersPolicy": ("response_headers", _headers),
    "HTTPProxyProcessor.GlobalExternalAuthorization": ("authorization", _authorization),
}
# Left out: ExtensionServiceProcessor.UpstreamTLS, which production never sets (httpproxy.md §5, quirk 17).
_ENVOY: Mapping[str, tuple[str, _Read]] = {
    "IngressProcessor.UpstreamTLS": ("upstream_tls", _upstream_tls),
    "HTTPProxyProcessor.UpstreamTLS": ("upstream_tls", _upstream_tls),
    "ListenerProcessor.HTTPAddress": ("http_address", str),
    "ListenerProcessor.HTTPPort": ("http_port", int),
    "ListenerProcessor.HTTPSAddress": ("https_address", str),
    "ListenerProcessor.HTTPSPort": ("https_port", int),
    "listener_config.HTTPAccessLog": ("http_access_log", str),
    "listener_config.HTTPSAccessLog": ("https_access_log", str),
    "listener_config.UseProxyProto": ("use_proxy_protocol", bool),
    "listener_config.MinimumTLSVersion": ("min_tls", str),
    "listener_config.MaximumTLSVersion": ("max_tls", str),
    "listener_config.CipherSuites": ("cipher_suites", tuple),
    "listener_config.Timeouts.ConnectionIdle": ("connection_idle_timeout", parse_timeout),
    "listener_config.Timeouts.Request": ("request_timeout", parse_timeout),
    "listener_config.Timeouts.StreamIdle": ("stream_idle_timeout", parse_timeout),
    "listener_config.Timeouts.MaxConnectionDuration": ("max_connection_duration", parse_timeout),
    "listener_config.Timeouts.DelayedClose": ("delayed_close_timeout", parse_timeout),
    "listener_config.Timeouts.ConnectionShutdownGracePeriod": ("drain_timeout", parse_timeout),
    "listener_config.Compression.algorithm": ("compression", str),
    "listener_config.ECDHCurves": ("ecdh_curves", tuple),
    "listener_config.EnableJA3Fingerprinting": ("ja3", bool),
    "listener_config.EnableJA4Fingerprinting": ("ja4", bool),
    "listener_config.HTTP2MaxConcurrentStreams": ("http2_max_concurrent_streams", int),
    "listener_config.PerConnectionBufferLimitBytes": ("buffer_limit", int),
    "listener_config.ServerHeaderTransformation": ("server_header", str),
    "listener_config.SocketOptions.tos": ("tos", int),
    "listener_config.SocketOptions.trafficClass": ("traffic_class", int),
    "listener_config.StripTrailingHostDot": ("strip_trailing_host_dot", bool),
    "listener_config.XffNumTrustedHops": ("xff_trusted_hops", int),
    "listener_config.MergeSlashes": ("merge_slashes", bool),
    "listener_config.AllowChunkedLength": ("allow_chunked_length", bool),
    "runtime_settings.MaxConnectionsPerListener": ("max_connections_per_listener", int),
    "listener_cache.admin_port": ("admin_port", int),
    "listener_cache.metrics.address": ("stats_address", str),
    "listener_cache.metrics.port": ("stats_port", int),
}
# Settings that change nothing in a case that uses no feature of a later issue, and why.
_WITHOUT_EFFECT = {
    "kubernetes_cache.ConfiguredSecretRefs": "decides which Secrets cause a rebuild; here the readers of one decide",
    "IngressProcessor.EnableExternalNameService": "the same setting as of the HTTPProxyProcessor (checked)",
    "listener_cache.health.address": "one listener for statistics and health, at the address of the former (checked)",
    "listener_cache.health.port": "the same",
    "listener_cache.metrics_tls": "null in every case",
    "listener_cache.om_health": "null in every case",
    "listener_config.GlobalExternalAuthConfig": "the same server as hosts are told",
    # These are the rules of `_Rules`.
    "IngressProcessor.SetSourceMetadataOnRoutes": "on here, always",
    "HTTPProxyProcessor.SetSourceMetadataOnRoutes": "on here, always",
    "GatewayAPIProcessor.SetSourceMetadataOnRoutes": "on here, always",
}
# The harness starts from these where production has others.
_RATE_LIMIT_SERVICE = ("HTTPProxyProcessor.GlobalRateLimitService", "listener_config.RateLimitConfig")
_HARNESS_GRAPH = GraphOptions()
_HARNESS_ENVOY = EnvoyOptions(
    http_address="",
    https_address="",
    admin_port=0,
    connection_idle_timeout=None,
    cipher_suites=(),
    merge_slashes=False,
    allow_chunked_length=False,
)
_GROUPS = ("Timeouts", "Compression", "SocketOptions")
# Without its processor a kind has no effect.
_PROCESSORS = {
    "Ingress": "IngressProcessor",
    "HTTPProxy": "HTTPProxyProcessor",
    "ExtensionService": "ExtensionServiceProcessor",
}


@dataclass(frozen=True)
class Setup:
    """What a case was recorded with, in our words; `later`: its settings that are not there yet."""

    settings: Settings
    processors: frozenset[str]
    rules: _Rules
    later: tuple[str, ...]

    def later_of(self, obj: dict[str, Any]) -> list[str]:
        """Features that an object uses and that are not there yet. Gateways are served without being configured."""
        if obj["kind"] in cases.GATEWAY_KINDS:
            return ["Gateway API"]
        return list(cases.later_of(obj))


@dataclass(frozen=True)
class _Rules:
    """What production always switches on and the harness does not, unless the case is about it: taken off our side."""

    source_metadata: bool = False
    # The harness tells hosts and listeners separately who is asked, and without an ExtensionService how long to wait.
    authorization: bool = True  # of the plain listener
    rate_limit_timeout: str = ""
    upstream_tls: bool = False

    def applied(self, section: str, resource: Any) -> Any:
        if section == "listeners":
            for filters in _http_filters(resource):
                self._adjust(resource["name"], filters)
        if section == "routes" and not self.source_metadata:
            for host in resource.get("virtual_hosts", ()):
                for route in host.get("routes", ()):
                    route.pop("metadata", None)  # it has no other
        elif section == "clusters" and not self.upstream_tls and (socket := resource.get("transport_socket")):
            # The harness sets no versions and ciphers for upstream TLS unless the case is about them.
            socket["typed_config"]["common_tls_context"].pop("tls_params", None)
        return resource

    def _adjust(self, listener: str, filters: list[Any]) -> None:
        if listener == "ingress_http" and not self.authorization:
            filters[:] = [one for one in filters if one["name"] != ext_authz.NAME]
        for one in filters:
            if one["name"] == ratelimit.NAME and self.rate_limit_timeout:
                one["typed_config"]["timeout"] = self.rate_limit_timeout


def _http_filters(listener: Any) -> Iterator[list[Any]]:
    for chain in listener.get("filter_chains", ()):
        for one in chain.get("filters", ()):
            yield one["typed_config"].get("http_filters", [])


def setup(config: Mapping[str, Any]) -> Setup:
    """Translate the `config` (or `setup`) of a case."""
    found = dict(_flat(config))
    graph = {name: read(found[key]) for key, (name, read) in _GRAPH.items() if found.get(key) is not None}
    envoy = {name: read(found[key]) for key, (name, read) in _ENVOY.items() if found.get(key) is not None}
    graph["headers_apply_to_ingress"] = bool(found.get("IngressProcessor.RequestHeadersPolicy"))
    if service := _rate_limit_service(*(found.get(key) for key in _RATE_LIMIT_SERVICE)):
        graph["rate_limit_service"] = service
    known = {*_GRAPH, *_ENVOY, *_WITHOUT_EFFECT, *_RATE_LIMIT_SERVICE}
    external_names = (
        found.get(f"{name}.EnableExternalNameService") for name in ("IngressProcessor", "HTTPProxyProcessor")
    )
    assert len(set(external_names)) == 1
    for key in ("address", "port"):
        assert found.get(f"listener_cache.health.{key}") == found.get(f"listener_cache.metrics.{key}")
    return Setup(
        settings=Settings(
            graph=msgspec.structs.replace(_HARNESS_GRAPH, **graph),
            envoy=msgspec.structs.replace(_HARNESS_ENVOY, **envoy),
        ),
        processors=frozenset(processor["type"] for processor in config.get("processors", ())),
        rules=_Rules(
            source_metadata="HTTPProxyProcessor.SetSourceMetadataOnRoutes" in found,
            authorization=found.get("listener_config.GlobalExternalAuthConfig") is not None,
            upstream_tls=any(key.endswith(".UpstreamTLS") and value for key, value in found.items()),
            rate_limit_timeout=(found.get("listener_config.RateLimitConfig") or {})
            .get("ExtensionServiceConfig", {})
            .get("Timeout", ""),
        ),
        later=tuple(sorted(f"setting {key}" for key, value in found.items() if key not in known and value is not None)),
    )


def _rate_limit_service(policy: Any, asked: Any) -> RateLimitService | None:
    """In the harness hosts and listeners are told separately; what hosts are told of the service has no effect."""
    if asked is None:
        return None
    policy = (policy or {}).get("defaultGlobalRateLimitPolicy")
    return RateLimitService(
        extension=Ref(**asked["ExtensionServiceConfig"]["ExtensionService"]),
        domain=asked["Domain"],
        fail_open=asked.get("FailOpen", False),
        x_ratelimit_headers=asked.get("EnableXRateLimitHeaders", False),
        resource_exhausted_code=asked.get("EnableResourceExhaustedCode", False),
        default_policy=None if policy is None else msgspec.convert(policy, GlobalRateLimitPolicy),
    )


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for processor in config.get("processors", ()):
        for key, value in processor.items():
            if key != "type":
                yield f"{processor['type']}.{key}", value
    for part in ("kubernetes_cache", "listener_config", "listener_cache", "runtime_settings"):
        for key, value in config.get(part, {}).items():
            if isinstance(value, dict) and (key in _GROUPS or part == "listener_cache"):
                yield from ((f"{part}.{key}.{name}", item) for name, item in value.items())
            else:
                yield f"{part}.{key}", value


@dataclass
class Replay:
    """A pipeline with the settings of a case. Objects go in as they are recorded: no schema, no defaults."""

    setup: Setup
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.setup.settings, ("classic",))

    def apply(self, obj: dict[str, Any]) -> None:
        decoded = self._decode(obj)
        if decoded is None:
            return
        if decoded.kind == "Secret":
            # The harness has no informers, which is where production leaves out Secrets of other namespaces and types.
            self.pipeline.store.secrets.set(decoded.ref, decoded)
        else:
            self.pipeline.store.apply(decoded)

    def update(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """One test updates an object to one of another name, which in the reference replaces it."""
        if _name(old) != _name(new):
            self.delete(old)
        self.apply(new)

    def delete(self, obj: dict[str, Any]) -> None:
        decoded = self._decode(obj)
        if decoded is not None:
            self.pipeline.store.delete(decoded.kind, decoded.ref)

    def stores(self, obj: dict[str, Any]) -> bool:
        decoded = self._decode(obj)
        return decoded is not None and decoded.ref in self.pipeline.store.kinds[decoded.kind]

    def commit(self) -> set[str]:
        """Bring everything up to date; the sections that changed, `status` among them."""
        changes = self.pipeline.commit()
        shape = self.pipeline.shape("classic")
        changed = {section for section, url in SECTIONS.items() if url in shape and changes[shape[url]]}
        return changed | ({"status"} if changes[self.pipeline.statuses] else set())

    def difference(self, section: str, wanted: list[Any]) -> str:
        """Where a section parts from the recorded list of resources; "" if nowhere."""
        return difference_of_members(recorded(section, wanted), self.resources(section))

    def resources(self, section: str) -> dict[str, Any]:
        """By name, as `recorded` returns them."""
        rules = self.setup.rules
        collection = self.pipeline.shape("classic")[SECTIONS[section]]
        return {
            name: _ours(section, value.body, rules) for name, value in collection.items() if isinstance(value, Resource)
        }

    def difference_of_statuses(self, wanted: Mapping[str, Any]) -> str:
        return difference_of_members(
            {key: normal_status(value) for key, value in wanted.items() if differences.has_status(key)},
            {"/".join(key): normal_status(value) for key, value in self.pipeline.statuses.items()},
        )

    def _decode(self, obj: dict[str, Any]) -> Object | None:
        processor = _PROCESSORS.get(obj["kind"])
        if processor is not None and processor not in self.setup.processors:
            return None
        try:
            return decode(obj)
        except UnknownKind:
            return None


def serving(clusters: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Objects that make hosts use the given service clusters, and our names of their endpoints by the recorded ones.

    The reference's translator is handed clusters; here they come from Services and HTTPProxies, as in production.
    """
    ports: dict[tuple[str, str], dict[str, int]] = {}
    objects: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for number, cluster in enumerate(clusters):
        if len(cluster["Services"]) > 1:  # as only ExtensionServices have
            extension = _extension(f"extension-{number}", cluster["Services"], ports)
            objects.append(extension)
            names["/".join(("extension", *_name(extension)))] = cluster["ClusterName"]
            continue
        (service,) = cluster["Services"]
        namespace, name = service["ServiceNamespace"], service["ServiceName"]
        known = ports.setdefault((namespace, name), {})
        port_name, port = _port(service.get("ServicePort"), known)
        backend = {"name": name, "port": port}
        route: dict[str, Any] = {"services": [backend]}
        if service.get("HealthPort"):
            backend["healthPort"] = _port(service["HealthPort"], known)[1]
            route["healthCheckPolicy"] = {"path": "/"}
        names["/".join((namespace, name, port_name) if port_name else (namespace, name))] = cluster["ClusterName"]
        objects.append(
            {
                "apiVersion": "projectcontour.io/v1",
                "kind": "HTTPProxy",
                "metadata": {"namespace": namespace, "name": f"proxy-{number}"},
                "spec": {"virtualhost": {"fqdn": f"{number}.example.com"}, "routes": [route]},
            }
        )
    for (namespace, name), found in ports.items():
        spec = {"ports": [{"name": port_name, "port": port, "protocol": "TCP"} for port_name, port in found.items()]}
        metadata = {"namespace": namespace, "name": name}
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    return objects, names


def _extension(
    name: str, services: list[dict[str, Any]], ports: dict[tuple[str, str], dict[str, int]]
) -> dict[str, Any]:
    """An ExtensionService of these Services, which are all in one namespace; adds their `ports`."""
    (namespace,) = {service["ServiceNamespace"] for service in services}
    targets = []
    for service in services:
        known = ports.setdefault((namespace, service["ServiceName"]), {})
        _, port = _port(service.get("ServicePort"), known)
        targets.append({"name": service["ServiceName"], "port": port, "weight": service.get("Weight", 0)})
    return {
        "apiVersion": "projectcontour.io/v1alpha1",
        "kind": "ExtensionService",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"services": targets},
    }


def _port(port: dict[str, Any] | None, known: dict[str, int]) -> tuple[str, int]:
    """Name and number; the recorded number may be 0, which a Service's port cannot be."""
    name = port["name"] if port else ""
    number = (port["port"] if port else 0) or 1000 + len(known)
    return name, known.setdefault(name, number)


def recorded(section: str, resources: list[Any]) -> dict[str, Any]:
    """Recorded resources by name, ready to be compared."""
    return by_name(section, [_theirs(section, json.dumps(one)) for one in resources])


def _name(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


# In a sequence most resources stay as they were.


@lru_cache(maxsize=4096)
def _theirs(section: str, text: str) -> Any:
    return normal(section, json.loads(text))


@lru_cache(maxsize=4096)
def _ours(section: str, body: bytes, rules: _Rules) -> Any:
    message = pb.message_class(SECTIONS[section])
    assert message is not None
    return rules.applied(section, differences.normal_resource(pb.to_dict(message.FromString(body))))
