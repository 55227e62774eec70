"""What an API server checks and fills in for the kinds that are not custom resources: as much as decides anything here.

In: a decoded object. Out: the object with its defaults, and what is wrong with it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from msgspec.structs import replace

from contour.api.core import Endpoints, EndpointSlice, Secret, Service, ServicePort
from contour.api.meta import Object
from contour.api.names import host_error, subdomain_error
from contour.api.networking import Ingress, IngressBackend, IngressClass, IngressRule
from contour.api.scalars import quote
from contour.api.schema import FieldError

MAX_SECRET = 1 << 20  # bytes of all values, as an API server has it

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
# Kubernetes refuses them; most of them no request has, as Envoy makes paths plain before it looks for a route.
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_ENDING_PATHS = ("/..", "/.")


def defaulted(obj: Object) -> Object:
    """The object with the defaults of its kind."""
    match obj:
        case Service():
            ports = tuple(
                replace(port, protocol=port.protocol or "TCP", target_port=port.target_port or port.port)
                for port in obj.spec.ports
            )
            return replace(obj, spec=replace(obj.spec, type=obj.spec.type or "ClusterIP", ports=ports))
        case Endpoints():
            subsets = tuple(
                replace(subset, ports=tuple(replace(port, protocol=port.protocol or "TCP") for port in subset.ports))
                for subset in obj.subsets
            )
            return replace(obj, subsets=subsets)
        case EndpointSlice():
            return replace(
                obj,
                ports=tuple(replace(port, name=port.name or "", protocol=port.protocol or "TCP") for port in obj.ports),
            )
        case Secret():
            return replace(obj, type=obj.type or "Opaque")
    return obj


def errors(obj: Object) -> Iterator[FieldError]:
    """What is wrong with an object that has its defaults."""
    match obj:
        case Service():
            yield from _service(obj)
        case Endpoints():
            for at, subset in enumerate(obj.subsets):
                for index, port in enumerate(subset.ports):
                    yield from _port(port.port, f"subsets[{at}].ports[{index}].port")
                    yield from _one_of(port.protocol, _PROTOCOLS, f"subsets[{at}].ports[{index}].protocol")
                for index, address in enumerate((*subset.addresses, *subset.not_ready_addresses)):
                    yield from _address(address.ip, "", f"subsets[{at}].addresses[{index}].ip")
        case EndpointSlice():
            yield from _endpoint_slice(obj)
        case Secret():
            yield from _secret(obj)
        case Ingress():
            yield from _ingress(obj)
        case IngressClass() if not obj.spec.controller:
            yield FieldError("spec.controller", "Required value")


# --- Service, endpoints -------------------------------------------------------------------------------------------


def _service(obj: Service) -> Iterator[FieldError]:
    spec = obj.spec
    yield from _one_of(spec.type, _SERVICE_TYPES, "spec.type")
    if spec.type == "ExternalName":
        if not spec.external_name:
            yield FieldError("spec.externalName", "Required value")
        else:
            yield from _invalid(subdomain_error(spec.external_name.removesuffix(".").lower()), "spec.externalName")
    elif not spec.ports and spec.cluster_ip != "None":
        yield FieldError("spec.ports", "Required value")
    names: set[str] = set()
    numbers: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.ports):
        path = f"spec.ports[{index}]"
        yield from _port(port.port, f"{path}.port")
        yield from _one_of(port.protocol, _PROTOCOLS, f"{path}.protocol")
        yield from _target_port(port, path)
        if not port.name and len(spec.ports) > 1:
            yield FieldError(f"{path}.name", "Required value")
        if port.name and port.name in names:
            yield FieldError(f"{path}.name", f"Duplicate value: {quote(port.name)}")
        if (port.protocol, port.port) in numbers:
            yield FieldError(path, f"Duplicate value: {port.port}/{port.protocol}")
        names.add(port.name)
        numbers.add((port.protocol, port.port))


def _target_port(port: ServicePort, path: str) -> Iterator[FieldError]:
    if isinstance(port.target_port, int):
        yield from _port(port.target_port, f"{path}.targetPort")


def _endpoint_slice(obj: EndpointSlice) -> Iterator[FieldError]:
    yield from _one_of(obj.address_type, _ADDRESS_TYPES, "addressType")
    for index, endpoint in enumerate(obj.endpoints):
        path = f"endpoints[{index}].addresses"
        if not endpoint.addresses:
            yield FieldError(path, "Required value: must contain at least 1 item")
        for at, address in enumerate(endpoint.addresses):
            yield from _address(address, obj.address_type, f"{path}[{at}]")
    for index, port in enumerate(obj.ports):
        yield from _one_of(port.protocol or "", _PROTOCOLS, f"ports[{index}].protocol")
        if port.port is not None:
            yield from _port(port.port, f"ports[{index}].port")


def _address(text: str, family: str, path: str) -> Iterator[FieldError]:
    """An address of a family, of any if it is empty. Loopback is let through: `contour run` serves from it."""
    if family == "FQDN":
        wrong = subdomain_error(text)
    else:
        try:
            version = f"IPv{ipaddress.ip_address(text).version}"
        except ValueError:
            version = ""
        right = version == family if family in _ADDRESS_TYPES else version != ""
        wrong = "" if right else f"Invalid value: {quote(text)}: must be a valid {family or 'IP'} address"
    if wrong:
        yield FieldError(path, wrong)


def _port(number: int, path: str) -> Iterator[FieldError]:
    if not 1 <= number <= 65535:
        yield FieldError(path, f"Invalid value: {number}: must be between 1 and 65535, inclusive")


def _one_of(value: str, allowed: tuple[str, ...], path: str) -> Iterator[FieldError]:
    if not value:
        yield FieldError(path, "Required value", f"one of {', '.join(allowed)}")
    elif value not in allowed:
        values = ", ".join(f'"{item}"' for item in allowed)
        yield FieldError(path, f"Unsupported value: {quote(value)}: supported values: {values}")


# --- Secret -------------------------------------------------------------------------------------------------------

_KEY = re.compile(r"[-._a-zA-Z0-9]+")


def _secret(obj: Secret) -> Iterator[FieldError]:
    data = obj.data or {}
    for key in data:
        if not _KEY.fullmatch(key) or key in {".", ".."} or len(key) > 253:
            text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            yield FieldError(f"data[{key}]", f"Invalid value: {quote(key)}: {text}")
    if sum(map(len, data.values())) > MAX_SECRET:
        yield FieldError("data", f"Too long: may not be more than {MAX_SECRET} bytes")
    if obj.type == "kubernetes.io/tls":
        for key in ("tls.crt", "tls.key"):
            if key not in data:
                yield FieldError(f"data[{key}]", "Required value", "a Secret of type kubernetes.io/tls has both")


# --- Ingress ------------------------------------------------------------------------------------------------------


def _ingress(obj: Ingress) -> Iterator[FieldError]:
    spec = obj.spec
    if not spec.rules and spec.default_backend is None:
        yield FieldError("spec", "Invalid value: either `defaultBackend` or `rules` must be specified")
    if spec.ingress_class_name is not None:
        yield from _invalid(subdomain_error(spec.ingress_class_name), "spec.ingressClassName")
        if "kubernetes.io/ingress.class" in (obj.metadata.annotations or {}):
            text = "can not be set when the class field is also set"
            yield FieldError("metadata.annotations[kubernetes.io/ingress.class]", f"Invalid value: {text}")
    if spec.default_backend is not None:
        yield from _backend(spec.default_backend, "spec.defaultBackend")
    for index, tls in enumerate(spec.tls):
        for at, host in enumerate(tls.hosts):
            yield from _invalid(host_error(host), f"spec.tls[{index}].hosts[{at}]")
    for index, rule in enumerate(spec.rules):
        yield from _rule(rule, f"spec.rules[{index}]")


def _rule(rule: IngressRule, path: str) -> Iterator[FieldError]:
    if rule.host:
        yield from _invalid(_rule_host_error(rule.host), f"{path}.host")
    if rule.http is None:
        return
    if not rule.http.paths:
        yield FieldError(f"{path}.http.paths", "Required value")
    for at, one in enumerate(rule.http.paths):
        yield from _path(one.path, one.path_type or "", f"{path}.http.paths[{at}]")
        yield from _backend(one.backend, f"{path}.http.paths[{at}].backend")


def _invalid(problem: str, path: str) -> Iterator[FieldError]:
    if problem:
        yield FieldError(path, problem)


def _rule_host_error(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host_error(host)
    return f"Invalid value: {quote(host)}: must be a DNS name, not an IP address"


def _path(text: str, kind: str, path: str) -> Iterator[FieldError]:
    yield from _one_of(kind, _PATH_TYPES, f"{path}.pathType")
    if not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        yield FieldError(f"{path}.path", f"Invalid value: {quote(text)}: must be an absolute path")
    elif kind in {"Exact", "Prefix"}:
        problems = [f"must not contain '{part}'" for part in _NOT_IN_PATHS if part in text]
        problems += [f"cannot end with '{end}'" for end in _NOT_ENDING_PATHS if text.endswith(end)]
        for problem in problems:
            yield FieldError(f"{path}.path", f"Invalid value: {quote(text)}: {problem}")


def _backend(backend: IngressBackend, path: str) -> Iterator[FieldError]:
    service = backend.service
    if service is None:
        if backend.resource is None:
            yield FieldError(path, "Required value: either `resource` or `service` is required")
        return
    if backend.resource is not None:
        yield FieldError(path, "Invalid value: cannot set both resource and service backends")
    if not service.name:
        yield FieldError(f"{path}.service.name", "Required value")
    if service.port.name and service.port.number:
        yield FieldError(f"{path}.service.port", "Invalid value: cannot set both port name & port number")
    elif not service.port.name and not service.port.number:
        yield FieldError(f"{path}.service.port", "Required value: port name or number is required")
    elif service.port.number:
        yield from _port(service.port.number, f"{path}.service.port.number")
