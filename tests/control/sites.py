"""A platform of any size for tests of cost: teams' hosts that share a child, a certificate, an authority, a service."""

from __future__ import annotations

from collections.abc import Iterator

from tests.dag.world import Mapping, delegation, ingress, obj, proxy, root, secret, service, to
from tests.envoy.site import endpoints

from contour.testing.certs import Authority, Pair

AUTHORITY = Authority("platform")
WILDCARD = AUTHORITY.sign("*.shop.test")
SINCE = "2026-01-01T00:00:00Z"


def certificate(pair: Pair = WILDCARD, name: str = "vault/wild", **extra: bytes) -> Mapping:
    return secret(name, "kubernetes.io/tls", **{"tls.crt": pair.certificate, "tls.key": pair.private_key}, **extra)


def authority(pem: bytes = AUTHORITY.certificate) -> Mapping:
    return secret("vault/ca", "Opaque", **{"ca.crt": pem})


def grant(*namespaces: str) -> Mapping:
    found = delegation("vault/grant", "wild", *namespaces)
    found["spec"]["delegations"].append({"secretName": "ca", "targetNamespaces": ["*"]})
    return found


def host(number: int, **fields: object) -> Mapping:
    """Every second one is TLS behind the wildcard; all have a service of their own, and include what all share."""
    name = f"h{number}"
    virtualhost = {"virtualhost": {"tls": {"secretName": "vault/wild"}}} if number % 2 else {}
    routes = [to(name), to("common", "/common"), to(name, "/deep", timeoutPolicy={"response": "5s"})]
    includes = [{"name": "child", "namespace": "shared", "conditions": [{"prefix": "/child"}]}]
    return root(name, f"{name}.shop.test", SINCE, **({"routes": routes, "includes": includes} | virtualhost | fields))


def child(**fields: object) -> Mapping:
    validation = {"caSecret": "vault/ca", "subjectName": "all.test"}
    services = [{"name": "all", "port": 80, "protocol": "tls", "validation": validation}]
    return proxy("shared/child", SINCE, **({"routes": [{"services": services}]} | fields))


def envoy() -> Mapping:
    """Envoy's own Service, whose address stands in all statuses."""
    return service("projectcontour/envoy") | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}


def shared() -> Iterator[Mapping]:
    """What there is once, whatever the number of hosts."""
    yield envoy()
    yield certificate()
    yield authority()
    yield grant("*")
    yield delegation("vault/other", "other", "shop")
    yield child()
    yield service("shared/all")
    yield service("common")
    yield endpoints("shared/all", 8080, address="10.0.0.1")
    yield endpoints("common", 8080, address="10.0.0.2")
    yield service("spare")
    yield certificate(name="vault/spare")
    yield root("wild", "*.shop.test", SINCE, virtualhost={"tls": {"secretName": "vault/wild"}}, routes=[to("common")])
    yield ingress("old", "old.test", SINCE, paths={"/": "common"})
    yield service("older")
    yield root("older", "older.test", SINCE, routes=[to("older")])
    yield older()
    yield obj("Namespace", "v1", "/shop")
    yield obj("IngressClass", "networking.k8s.io/v1", "/contour")


def older(address: str = "10.0.0.9") -> Mapping:
    """Endpoints of the older kind."""
    subset = {"addresses": [{"ip": address}], "ports": [{"name": "http", "port": 8080}]}
    return obj("Endpoints", "v1", "older", subsets=[subset])


def site(hosts: int) -> Iterator[Mapping]:
    yield from shared()
    for number in range(hosts):
        yield service(f"h{number}")
        yield endpoints(f"h{number}", 8080, address=f"10.1.{number >> 8}.{number & 255}")
        yield host(number)
