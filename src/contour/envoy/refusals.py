"""What Envoy would refuse although the reference sends it, found before it is sent (envoy.md §4).

A refusal takes down more than its cause: Envoy keeps the old version of everything that came in the same answer. The
rules of the API are in `rules`; what Envoy's code checks beyond them is here, as tried with Envoy 1.40.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from contour.api.meta import ObjectRef
from contour.api.remembered import remembered
from contour.api.scalars import regex_error
from contour.dag import graph
from contour.dag.secrets import reads_as_authorities
from contour.envoy import pb, rules
from contour.envoy.filters import ext_authz, local_ratelimit

_ROUTE = re.compile(r"^routes\[(\d+)\]")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_STATUSES = range(100, 600)
_MAX_BODY = 4096  # Envoy's default
_MAX_WEIGHT = 2**32 - 1
_MAX_AUTHORIZATION_TIMEOUT = (2**32 - 1) * 1_000_000_000  # of a server that speaks HTTP, and enough for all
_MAX_SECONDS = (2**63 - 1) // 1_000_000_000 - 1  # of a duration, which Envoy counts in nanoseconds


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """`objects`: those whose status is to say so."""

    reason: str
    objects: tuple[ObjectRef, ...] = ()


def of_virtual_host(message: pb.VirtualHost, routes: Sequence[graph.Route], host: graph.Host) -> Refusal | None:
    """`routes` are those that the message was made from: a refusal is blamed on the origin of its route."""
    problems = [(violation.path, violation.text) for violation in rules.violations(message)]
    problems += [
        (f"routes[{i}].{path}", text) for i, route in enumerate(message.routes) for path, text in _route(route)
    ]
    problems += list(_limits(message, message.rate_limits))
    if not problems:
        return None
    found = [_located(path, text, routes, host) for path, text in problems]
    # The roots too: nothing of their host is served.
    objects = [route.origin for route, _ in found if route] + list(host.roots)
    _, reason = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Refusal(reason + more, tuple(dict.fromkeys(objects)))


def place(host: graph.Host, route: graph.Route) -> str:
    """A route as its author knows it."""
    return f"{host.name}, route with {route.path.kind} {route.path.value}"


def _located(path: str, text: str, routes: Sequence[graph.Route], host: graph.Host) -> tuple[graph.Route | None, str]:
    """The route at fault, if it is one, and the problem in words that its author knows: routes are in another order
    in Envoy than in the objects, so that their numbers say nothing.
    """
    match = _ROUTE.match(path)
    if match is None:
        return None, f"{host.name}: {path}: {text}"
    route = routes[int(match[1])]
    field = path[match.end() :].lstrip(".")
    return route, f"{place(host, route)}: {field}: {text}"


def _texts(server: graph.Authorization) -> int:
    headers = (*server.sent_headers, *server.upstream_headers)
    return len(server.path_prefix) + sum(len(header.text) for header in headers)


@remembered(1024, size=_texts)
def of_authorization(server: graph.Authorization) -> str | None:
    """Its filter is in a chain, and for one that Envoy refuses all hosts lose the listener: it is left out, and the
    hosts that ask for it are not served.
    """
    if server.path_prefix and not server.path_prefix.startswith("/"):
        return "httpSettings.pathPrefix: must start with /"
    if (server.timeout or 0) < 0 or (server.timeout or 0) > _MAX_AUTHORIZATION_TIMEOUT:
        return f"responseTimeout: must be between 0 and {_MAX_AUTHORIZATION_TIMEOUT // 1_000_000_000} seconds"
    for violation in rules.violations(ext_authz.http_filter(server, graph.ExtensionFacts())):
        return f"{violation.path.removeprefix('typed_config.')}: {violation.text}"
    return None


def of_upstream(
    message: pb.Cluster, idle_timeout: graph.Timeout, validation: graph.UpstreamValidation | None
) -> str | None:
    """The reason alone: which objects a cluster comes from, it does not say."""
    problems = [(violation.path, violation.text) for violation in rules.violations(message)]
    problems += list(_health_checks(message.health_checks))
    if problems:
        path, text = problems[0]
        return f"{path}: {text}"
    if (idle_timeout or 0) < 0:
        return "idle_timeout: must not be negative"
    if validation is not None and validation.subject_names and not reads_as_authorities(validation.ca):
        return f"Secret {validation.ca_secret}: a CA certificate cannot be read"
    return None


def of_dns_cluster(message: pb.Cluster, cluster: graph.DnsCluster) -> str | None:
    for violation in rules.violations(message):
        return f"{violation.path}: {violation.text}"
    validation = cluster.validation
    if validation is not None and validation.subject_names and not reads_as_authorities(validation.ca):
        return f"Secret {validation.ca_secret}: a CA certificate cannot be read"
    return None


def drop_names(message: pb.ClusterLoadAssignment) -> None:
    """Endpoints that come by EDS have addresses: for one name (slices of type FQDN) Envoy refuses them all."""
    for locality in message.endpoints:
        kept = [one for one in locality.lb_endpoints if _is_ip(one.endpoint.address.socket_address.address)]
        if len(kept) < len(locality.lb_endpoints):
            del locality.lb_endpoints[:]
            locality.lb_endpoints.extend(kept)


def _is_ip(address: str) -> bool:
    if _IPV4.fullmatch(address):  # nearly all are, and `ipaddress` takes four times as long
        return True
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _route(route: pb.Route) -> Iterator[tuple[str, str]]:
    yield from _headers(route)
    if (size := len(route.direct_response.body.inline_string.encode())) > _MAX_BODY:
        yield "direct_response.body", f"has {size} bytes, more than {_MAX_BODY}"
    yield from _limits(route, route.route.rate_limits)
    if route.HasField("route"):
        for message, field in (
            (route.route, "timeout"),
            (route.route, "idle_timeout"),
            (route.route.retry_policy, "per_try_timeout"),
        ):
            duration = getattr(message, field)
            if duration.seconds < 0 or duration.nanos < 0:
                yield field, "must not be negative"
        clusters = route.route.weighted_clusters.clusters
        if sum(cluster.weight.value for cluster in clusters) > _MAX_WEIGHT:
            yield "route.weighted_clusters", f"weights add up to more than {_MAX_WEIGHT}"
        for i, cluster in enumerate(clusters):
            for path, text in _headers(cluster):
                yield f"route.weighted_clusters.clusters[{i}].{path}", text


def _limits(message: pb.VirtualHost | pb.Route, limits: Iterable[pb.RateLimit]) -> Iterator[tuple[str, str]]:
    """Regular expressions of descriptors, which nobody has looked at, and headers of the answer beyond a local limit."""
    for i, limit in enumerate(limits):
        for j, action in enumerate(limit.actions):
            for header in action.header_value_match.headers:
                if error := regex_error(header.string_match.safe_regex.regex):
                    yield f"rate_limits[{i}].actions[{j}].header_value_match", f"{header.name}: {error.text}"
    local = message.typed_per_filter_config.get(local_ratelimit.NAME)
    if local is not None:
        for option in pb.LocalRateLimit.FromString(local.value).response_headers_to_add:
            if _is_reserved(option.header.key):
                yield "local_ratelimit.response_headers_to_add", f"{option.header.key!r} may not be set"


def _headers(message: pb.Route | pb.WeightedCluster.ClusterWeight) -> Iterator[tuple[str, str]]:
    """Pseudo headers and Host are Envoy's own."""
    for field in ("request_headers_to_remove", "response_headers_to_remove"):
        for name in getattr(message, field):
            if _is_reserved(name):
                yield field, f"{name!r} may not be removed"
    for field in ("request_headers_to_add", "response_headers_to_add"):
        for option in getattr(message, field):
            if _is_reserved(option.header.key):
                yield field, f"{option.header.key!r} may not be set"


def _is_reserved(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _health_checks(checks: Iterable[pb.HealthCheck]) -> Iterator[tuple[str, str]]:
    for i, check in enumerate(checks):
        for field in ("timeout", "interval"):
            if getattr(check, field).seconds > _MAX_SECONDS:
                yield f"health_checks[{i}].{field}", f"must be at most {_MAX_SECONDS} seconds"
        for j, status in enumerate(check.http_health_check.expected_statuses):
            if status.start >= status.end or status.start not in _STATUSES or status.end - 1 not in _STATUSES:
                path = f"health_checks[{i}].http_health_check.expected_statuses[{j}]"
                yield path, f"[{status.start}, {status.end}) is not a range of statuses between 100 and 599"
