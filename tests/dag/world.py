"""A small cluster for tests of the graph: objects in as their YAML's mappings, hosts and verdicts out."""

from __future__ import annotations

import base64
from typing import Any

from contour.api.decode import decode
from contour.api.meta import Ref
from contour.dag.build import Graph
from contour.dag.graph import Host, Route
from contour.dag.options import Options
from contour.dag.verdict import Verdict
from contour.reactive import Engine
from contour.store import Store
from contour.testing.certs import Authority

Mapping = dict[str, Any]

AUTHORITY = Authority()
VALID = Verdict()


class World:
    def __init__(self, *objects: Mapping, **options: Any) -> None:
        settings = Options(**options)
        self.engine = Engine()
        self.store = Store(self.engine, settings.ingress_class_names, settings.secret_namespaces)
        self.graph = Graph(self.engine, self.store, settings)
        self.apply(*objects)

    def apply(self, *objects: Mapping) -> None:
        for obj in objects:
            self.store.apply(decode(obj))
        self.changes = self.engine.commit()

    def delete(self, kind: str, name: str) -> None:
        self.store.delete(kind, _ref(name))
        self.changes = self.engine.commit()

    def host(self, name: str) -> Host:
        host = self.graph.hosts.get(name)
        assert host is not None, f"no host {name}"
        return host

    def routes(self, name: str) -> tuple[Route, ...]:
        """Of the plain listener, in match order."""
        host = self.host(name)
        return host.http.routes if host.http else ()

    def verdict(self, name: str) -> Verdict:
        verdict = self.graph.proxies.get(_ref(name))
        assert verdict is not None, f"no verdict on {name}"
        return verdict

    def description(self, name: str) -> str:
        """Of an IngressRoute: the first error, "" if it is valid."""
        verdict = self.graph.ingressroutes.get(_ref(name))
        assert verdict is not None, f"no verdict on {name}"
        return verdict.errors[0].message if verdict.errors else ""

    def errors(self, name: str) -> list[tuple[str, str, str]]:
        return [(error.type, error.reason, error.message) for error in self.verdict(name).errors]


def _ref(name: str) -> Ref:
    """`name`, or `namespace/name`; without a namespace it is `shop`."""
    namespace, _, own = name.rpartition("/")
    return Ref(namespace or "shop", own)


def obj(kind: str, api_version: str, name: str, created: str = "", **fields: Any) -> Mapping:
    ref = _ref(name)
    metadata = {"namespace": ref.namespace, "name": ref.name, "creationTimestamp": created or None}
    metadata |= fields.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def proxy(name: str, created: str = "", metadata: Mapping | None = None, **spec: Any) -> Mapping:
    return obj("HTTPProxy", "projectcontour.io/v1", name, created, spec=spec, metadata=metadata or {})


def root(name: str, fqdn: str, created: str = "", **spec: Any) -> Mapping:
    """`tls` and other fields of the virtual host are given as `virtualhost`; routes default to one to `web`."""
    virtualhost = {"fqdn": fqdn, **spec.pop("virtualhost", {})}
    if not spec.keys() & {"routes", "includes", "tcpproxy"}:
        spec["routes"] = [to("web")]
    return proxy(name, created, virtualhost=virtualhost, **spec)


def to(service: str, prefix: str = "", port: int = 80, **route: Any) -> Mapping:
    """A route to one service."""
    conditions = [{"prefix": prefix}] if prefix else []
    return {"conditions": conditions, "services": [{"name": service, "port": port}], **route}


def service(name: str = "web", *ports: Mapping, **fields: Any) -> Mapping:
    spec = {"ports": list(ports) or [{"name": "http", "port": 80}], **fields.pop("spec", {})}
    return obj("Service", "v1", name, spec=spec, **fields)


def serving(name: str, *dns_names: str) -> Mapping:
    """A Secret with a certificate for the names."""
    pair = AUTHORITY.sign(*(dns_names or ("shop.test",)))
    return secret(name, **{"tls.crt": pair.certificate, "tls.key": pair.private_key})


def secret(name: str, type_: str = "kubernetes.io/tls", **data: bytes) -> Mapping:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return obj("Secret", "v1", name, type=type_, data=encoded)


def extension(name: str, *services: Mapping, **spec: Any) -> Mapping:
    """An ExtensionService; `services` default to port 80 of `web`."""
    targets = list(services) or [{"name": "web", "port": 80}]
    return obj("ExtensionService", "projectcontour.io/v1alpha1", name, spec={"services": targets, **spec})


def delegation(name: str, secret_name: str, *namespaces: str) -> Mapping:
    entry = {"secretName": secret_name, "targetNamespaces": list(namespaces)}
    return obj("TLSCertificateDelegation", "projectcontour.io/v1", name, spec={"delegations": [entry]})


def ingress(name: str, host: str, created: str = "", tls: str = "", paths: dict[str, str] | None = None) -> Mapping:
    """`paths`: path -> service."""
    rules = [
        {
            "path": path,
            "pathType": "ImplementationSpecific",
            "backend": {"service": {"name": to_, "port": {"number": 80}}},
        }
        for path, to_ in (paths or {"/": "web"}).items()
    ]
    spec: Mapping = {"rules": [{"host": host, "http": {"paths": rules}}]}
    if tls:
        spec["tls"] = [{"hosts": [host], "secretName": tls}]
    return obj("Ingress", "networking.k8s.io/v1", name, created, spec=spec)


def ingressroute(name: str, fqdn: str = "", created: str = "", **spec: Any) -> Mapping:
    """A root if it has an fqdn; `virtualhost` has further fields of it. Routes default to one to `web`."""
    if fqdn or "virtualhost" in spec:
        spec["virtualhost"] = {"fqdn": fqdn, **spec.get("virtualhost", {})}
    if not spec.keys() & {"routes", "tcpproxy"}:
        spec["routes"] = [prefix("/", "web")]
    metadata = spec.pop("metadata", {})
    return obj("IngressRoute", "contour.heptio.com/v1beta1", name, created, spec=spec, metadata=metadata)


def prefix(match: str, *services: str, **route: Any) -> Mapping:
    """A route of an IngressRoute to services."""
    return {"match": match, "services": [{"name": one, "port": 80} for one in services], **route}


def delegate(match: str, name: str, namespace: str = "", **route: Any) -> Mapping:
    to_ = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"match": match, "delegate": to_, **route}
