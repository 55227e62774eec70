"""The name of every resource (httpproxy.md §4.1, §4.3; operations.md §4.11)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import msgspec

from contour.api.meta import Ref
from contour.api.scalars import format_duration
from contour.dag import graph

INGRESS_HTTP = "ingress_http"
INGRESS_HTTPS = "ingress_https"
INGRESS_FALLBACK = "ingress_fallbackcert"
RUNTIME_LAYER = "dynamic"
XDS_CLUSTER = "contour"
ADMIN_CLUSTER = "envoy-admin"

NAME_LIMIT = 60  # hashname's limit; Envoy's statistics had one once, names are API now
_TRUNCATION_SUFFIX = 6  # hex digits of the hash that end a truncated part
_AUTHORITY = re.compile(r"[!-~]+")
_DIGEST = 10  # hex digits that distinguish clusters of a port, and certificates of a secret
_UNIQUE_DIGEST = 32

ClusterName = Callable[[graph.Cluster], str]


def hashname(limit: int, *parts: str) -> str:
    """The parts joined with `/`, shortened to less than `limit` bytes (strictly) by hashing what must be cut."""
    joined = "/".join(parts)
    if _size(joined) < limit:
        return joined
    digest = hashlib.sha256(joined.encode()).hexdigest()
    share = limit // len(parts)
    shortened = list(parts)
    for i in reversed(range(len(parts))):
        shortened[i] = _truncate(share, shortened[i], digest[:_TRUNCATION_SUFFIX])
        joined = "/".join(shortened)
        if _size(joined) < limit:
            return joined
    return digest[:limit]


def _size(text: str) -> int:
    return len(text.encode())


def _truncate(limit: int, text: str, suffix: str) -> str:
    encoded = text.encode()
    if limit >= len(encoded):
        return text
    if limit <= len(suffix):
        return suffix[:limit]
    return encoded[: limit - len(suffix) - 1].decode(errors="ignore") + "-" + suffix


def virtual_host(fqdn: str) -> str:
    return hashname(NAME_LIMIT, fqdn)


def https_route_configuration(fqdn: str) -> str:
    return f"https/{fqdn}"


def secret(ref: Ref, certificate: bytes) -> str:
    """Of the `classic` shape: a new certificate is a new name."""
    digest = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    return hashname(NAME_LIMIT, ref.namespace, ref.name, digest[:_DIGEST])


def assignment(port: graph.ServicePort) -> str:
    """Of a ClusterLoadAssignment, which is also the EDS service name of its clusters."""
    if port.port_name:
        return f"{port.namespace}/{port.service}/{port.port_name}"
    return f"{port.namespace}/{port.service}"


def alt_stat_name(port: graph.ServicePort) -> str:
    return f"{port.namespace}_{port.service}_{port.port}"


def extension(ref: Ref) -> str:
    """Of the cluster of an ExtensionService, and of its endpoints."""
    return f"extension/{ref.namespace}/{ref.name}"


def authority(cluster_name: str, sni: str = "") -> str:
    """The authority of a gRPC service (§4.2). For a name that is none Envoy would refuse the whole listener."""
    return sni if _AUTHORITY.fullmatch(sni) else cluster_name.replace("/", ".")


def cluster(c: graph.Cluster) -> str:
    """Of the `classic` shape."""
    return hashname(NAME_LIMIT, *_cluster_parts(c))


def unique_cluster(c: graph.Cluster) -> str:
    """Of the `scoped` shape: of what is cut, 24 bits of a hash are left in a name, and whoever names a Service could have
    another tenant's cluster. With 128 bits more nobody can.
    """
    parts = _cluster_parts(c)
    joined = "/".join(parts)
    if _size(joined) < NAME_LIMIT:
        return joined
    return f"{hashname(NAME_LIMIT, *parts)}/{hashlib.sha256(joined.encode()).hexdigest()[:_UNIQUE_DIGEST]}"


def _cluster_parts(c: graph.Cluster) -> tuple[str, ...]:
    port = c.service
    return port.namespace, port.service, str(port.port), cluster_digest(c)


def upstream(c: graph.Cluster | graph.DnsCluster) -> str:
    """Of the `classic` shape. Neither port nor TLS settings of a key set's server are part of its cluster's (§4.1)."""
    return f"dnsname/{c.scheme}/{c.host}" if isinstance(c, graph.DnsCluster) else cluster(c)


def scoped_upstream(c: graph.Cluster | graph.DnsCluster) -> str:
    """Of the `scoped` shape, where the settings of one tenant must not be those of another one's cluster."""
    if isinstance(c, graph.Cluster):
        return redirecting(unique_cluster(c)) if c.follows_redirects else unique_cluster(c)
    validation = c.validation
    trust = (str(validation.ca_secret), *validation.subject_names) if validation else ()
    settings = msgspec.json.encode((c.port, c.dns_lookup_family, trust))
    return f"{upstream(c)}/{hashlib.sha256(settings).hexdigest()[:_UNIQUE_DIGEST]}"


def redirecting(cluster_name: str) -> str:
    """Of the `scoped` shape: the cluster of that name, for routes that follow its redirects."""
    return f"{cluster_name}/redirects"


def cluster_digest(c: graph.Cluster) -> str:
    return hashlib.sha1(_distinction(c).encode(), usedforsecurity=False).hexdigest()[:_DIGEST]


def _distinction(c: graph.Cluster) -> str:
    """What tells clusters of one service port apart (§4.3): TCP health checks and much else do not."""
    parts = [c.lb_policy]
    check = c.health_check
    if check is not None and not check.tcp:
        parts += [
            *_positive((check.timeout, check.interval), format_duration),
            *_positive((check.unhealthy_threshold, check.healthy_threshold), str),
            check.path,
        ]
    if c.validation is not None:
        parts += [c.validation.ca_secret.name, *c.validation.subject_names[:1]]
    parts += [c.protocol, c.sni]
    if c.idle_timeout is not None:
        parts.append(format_duration(c.idle_timeout))
    if c.slow_start is not None:
        start = c.slow_start
        parts.append(f"{format_duration(start.window)}{start.aggression:f}{start.min_weight_percent}")
    return "".join(parts)


def _positive(values: tuple[int, ...], text: Callable[[int], str]) -> list[str]:
    return [text(value) for value in values if value > 0]
