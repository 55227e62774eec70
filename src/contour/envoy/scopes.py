"""Scoped route configurations: the routes of one host, of a group's wildcard hosts, of nobody (421)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from contour.dag import graph
from contour.envoy import names, pb, redirects, refusals, selection
from contour.envoy.filters import ext_authz
from contour.envoy.pieces import field
from contour.envoy.refusals import Refusal
from contour.envoy.resource import Resource, Withheld, resource, version_of
from contour.envoy.route import route
from contour.envoy.virtualhost import route_configuration, virtual_host

_ROUTE_CONFIGURATION = pb.ScopedRouteConfiguration.ROUTE_CONFIGURATION_FIELD_NUMBER
_VIRTUAL_HOSTS = pb.RouteConfiguration.VIRTUAL_HOSTS_FIELD_NUMBER
_FORBIDDEN = graph.DirectResponse(403)
_IPV4_BITS = 32
_MAPPED_BITS = 96  # of an IPv6 address before an IPv4 address in it (RFC 4291 §2.5.5.2)
_AUTHORITY = ":authority"


def exact(
    scope: str, host: graph.Host, routes: Sequence[graph.Route], *, secure: bool, origins: bool
) -> Resource | Withheld:
    """Of one host. Over TLS a request for any other host on the connection is misdirected. `origins`: see `route`."""
    message = _checked(host, routes, secure=secure, origins=origins)
    if isinstance(message, Refusal):
        return Withheld(scope, message.reason, message.objects)
    selection.mark_known(message)
    selection.mark_upgrades(message)
    _follow_redirects(message, routes, scope)
    configuration = route_configuration(scope, [message, misdirected("*", host.https)] if secure else [message])
    selection.set_selected(configuration)
    return resource(scope, _scope(scope, configuration))


def wildcard(
    scope: str, host: graph.Host, routes: Sequence[graph.Route], *, secure: bool, origins: bool
) -> bytes | Refusal:
    """The virtual host of a wildcard or any-host, serialised, as a piece of its group's scope."""
    message = _checked(host, [_in_any_case(one) for one in routes], secure=secure, origins=origins)
    if isinstance(message, Refusal):
        return message
    selection.mark_upgrades(message)
    _follow_redirects(message, routes, scope)
    return pb.serialize(message)


def of_wildcards(scope: str, pieces: Iterable[bytes]) -> Resource:
    """All wildcard hosts of a group, matched by their domains as in an ordinary RouteConfiguration."""
    configuration = route_configuration(scope)
    selection.set_selected(configuration)
    encoded = b"".join([pb.serialize(configuration), *(field(_VIRTUAL_HOSTS, piece) for piece in pieces)])
    body = pb.serialize(_scope(scope, None)) + field(_ROUTE_CONFIGURATION, encoded)
    return Resource(scope, version_of(body), body)


def elsewhere(scope: str) -> Resource:
    """Of a host that another group serves: whoever asks over a connection of this group is to open another one.

    Known, so that over the fallback chain no wildcard host answers for a host that is written in upper case.
    """
    message = misdirected("*")
    selection.mark_known(message)
    configuration = route_configuration(scope, [message])
    selection.set_selected(configuration)
    return resource(scope, _scope(scope, configuration))


def misdirected(domain: str, host: graph.SecureVirtualHost | None = None) -> pb.VirtualHost:
    """`host`: the one whose chain this is in, where that is known: nobody is asked whether a request may be refused."""
    answer = pb.Route(
        match=pb.RouteMatch(prefix="/"),
        direct_response=pb.DirectResponseAction(
            status=selection.MISDIRECTED_STATUS, body=pb.DataSource(inline_string=selection.MISDIRECTED)
        ),
    )
    if host is None or host.authorization is not None:
        answer.typed_per_filter_config[ext_authz.NAME].CopyFrom(ext_authz.DISABLED)
    name = "misdirected" if domain == "*" else f"misdirected/{names.virtual_host(domain)}"
    return pb.VirtualHost(name=name, domains=[domain], routes=[answer])


def _follow_redirects(message: pb.VirtualHost, routes: Sequence[graph.Route], scope: str) -> None:
    for translated, one in zip(message.routes, routes, strict=True):
        if isinstance(one.action, graph.Forward) and one.action.internal_redirect is not None:
            redirects.follow(translated, one.action, scope)


def _checked(
    host: graph.Host, routes: Sequence[graph.Route], *, secure: bool, origins: bool
) -> pb.VirtualHost | Refusal:
    name, listed = host.name.lower(), host.https if secure else host.http
    policies = listed.policies if listed else graph.NO_HOST_POLICIES
    if policies.address_filter is not None:
        policies = msgspec.structs.replace(policies, address_filter=_unmapped(policies.address_filter))
    providers = host.https.jwt_providers if secure and host.https else None
    routes = [_guarded(one, providers) for one in routes]
    server = host.https.authorization if secure and host.https else None
    if server is not None and (refusal := refusals.of_authorization(server)):
        return Refusal(f"{host.name}: authorization.{refusal}", host.roots)
    try:
        message = virtual_host(
            name, routes, policies, secure=secure, origins=origins, cluster_name=names.unique_cluster
        )
    except ValueError as error:
        return _untranslatable(routes, host, secure=secure) or Refusal(f"{host.name}: {error}", host.roots)
    return refusals.of_virtual_host(message, routes, host) or message


def _guarded(route: graph.Route, providers: Sequence[graph.JwtProvider] | None) -> graph.Route:
    """Two protections that the reference's configuration does not give. `providers` is None on the plain listener."""
    if not isinstance(route.action, graph.Forward):
        return route
    if (
        route.jwt_provider
        and providers is not None
        and not any(provider.name == route.jwt_provider for provider in providers)
    ):
        # Lets nobody pass, also where its chain has no filter to say so (httpproxy.md §5, quirk 9).
        return msgspec.structs.replace(route, action=_FORBIDDEN)
    if route.action.address_filter is None:
        return route
    action = msgspec.structs.replace(route.action, address_filter=_unmapped(route.action.address_filter))
    return msgspec.structs.replace(route, action=action)


def _unmapped(address_filter: graph.AddressFilter) -> graph.AddressFilter:
    """Of an IPv4 address Envoy takes any prefix length above 32 for 32: a range would be its lowest address."""
    rules = tuple(
        msgspec.structs.replace(rule, prefix_length=rule.prefix_length - _MAPPED_BITS)
        if "." in rule.address and rule.prefix_length > _IPV4_BITS
        else rule
        for rule in address_filter.rules
    )
    return msgspec.structs.replace(address_filter, rules=rules)


def _untranslatable(routes: Sequence[graph.Route], host: graph.Host, *, secure: bool) -> Refusal | None:
    """The first route with a value that no field of a message holds: a weight of more than 32 bits, say."""
    for one in routes:
        try:
            route(one, host=host.name.lower(), secure=secure)
        except ValueError as error:
            return Refusal(f"{refusals.place(host, one)}: {error}", tuple(dict.fromkeys((one.origin, *host.roots))))
    return None


def _scope(scope: str, configuration: pb.RouteConfiguration | None) -> pb.ScopedRouteConfiguration:
    return pb.ScopedRouteConfiguration(name=scope, key=selection.scope_key(scope), route_configuration=configuration)


def _in_any_case(route: graph.Route) -> graph.Route:
    """Host names have no case (RFC 4343). The reference's match of a wildcard's label knows lower case only."""
    if not any(match.name == _AUTHORITY and match.kind is graph.HeaderKind.REGEX for match in route.headers):
        return route
    headers = tuple(
        msgspec.structs.replace(match, value=f"(?i:{match.value})")
        if match.name == _AUTHORITY and match.kind is graph.HeaderKind.REGEX
        else match
        for match in route.headers
    )
    return msgspec.structs.replace(route, headers=headers)
