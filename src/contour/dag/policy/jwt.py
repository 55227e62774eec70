"""jwtProviders of a virtual host, and which of them a route asks for (httpproxy.md §2.15)."""

from __future__ import annotations

from contour.api import projectcontour as api
from contour.api.invalid import Invalid
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, parse_duration, quote
from contour.api.urls import URL, parse_url
from contour.dag.externalname import is_local
from contour.dag.graph import DnsCluster, JwtProvider, LocalKeys, RemoteKeys, UpstreamValidation
from contour.dag.sources import Lookup
from contour.dag.upstream_validation import checked
from contour.dag.verdict import Finding

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FAMILIES = ("auto", "v4", "v6", "all")
_SECOND = 1_000_000_000
_MAX_INT = 2**63 - 1  # Go's int
_INT_DIGITS = 19


def default_provider(providers: tuple[api.JWTProvider, ...]) -> str:
    """The provider of routes that name none; "" if there is none."""
    return next((provider.name for provider in providers if provider.default), "")


def required_provider(policy: api.JWTVerificationPolicy | None, default: str) -> str | Finding:
    """The provider whose tokens a route wants; "" for none."""
    if policy is None:
        return default
    if policy.require and policy.disabled:
        return _finding(
            "InvalidJWTVerificationPolicy", "route's JWT verification policy cannot specify both require and disabled"
        )
    if policy.disabled:
        return ""
    return policy.require or default


def undefined_provider(name: str) -> Finding:
    return _finding("JWTProviderNotDefined", f"Route references an undefined JWT provider {quote(name)}")


def jwt_providers(
    lookup: Lookup, namespace: str, providers: tuple[api.JWTProvider, ...]
) -> tuple[JwtProvider, ...] | Finding:
    """In the order of the list; the first one that is not right ends it."""
    found: dict[str, JwtProvider] = {}
    default = ""
    for provider in providers:
        if provider.name in found:
            return _finding(
                "DuplicateProviderName", f"Spec.VirtualHost.JWTProviders is invalid: duplicate name {provider.name}"
            )
        if provider.default:
            if default:
                return _finding(
                    "MultipleDefaultProvidersSpecified",
                    "Spec.VirtualHost.JWTProviders is invalid: at most one provider can be set as the default",
                )
            default = provider.name
        keys = _keys(lookup, namespace, provider)
        if isinstance(keys, Finding):
            return keys
        found[provider.name] = JwtProvider(
            provider.name, keys, issuer=provider.issuer, audiences=provider.audiences, forward=provider.forward_jwt
        )
    return tuple(found.values())


def _keys(lookup: Lookup, namespace: str, provider: api.JWTProvider) -> LocalKeys | RemoteKeys | Finding:
    local, remote = provider.local_jwks, provider.remote_jwks
    subject = f"Spec.VirtualHost.JWTProviders for provider {quote(provider.name)} is invalid: "
    if local is not None and remote is not None:
        return _finding("JWKSSourceConflict", subject + "at most one of remoteJWKS or localJWKS may be set")
    if remote is not None:
        return _remote_keys(lookup, namespace, remote)
    if local is None:
        return _finding("JWKSSourceMissing", subject + "exactly one of remoteJWKS or localJWKS must be set")
    keys = LocalKeys(Ref(namespace, local.secret_name), local.key)
    if error := lookup.key_set_error(keys):
        return _finding(
            "LocalJWKSInvalid",
            f"Spec.VirtualHost.JWTProviders.LocalJWKS for provider {quote(provider.name)} is invalid: {error.text}",
        )
    return keys


def _remote_keys(lookup: Lookup, namespace: str, remote: api.RemoteJWKS) -> RemoteKeys | Finding:
    url = parse_url(remote.uri)
    if isinstance(url, Invalid):
        return _remote("RemoteJWKSURIInvalid", f"URI is invalid: {url.text}")
    if url.scheme not in _DEFAULT_PORTS:
        return _remote("RemoteJWKSSchemeInvalid", f"URI has invalid scheme {quote(url.scheme)}, must be http or https")
    if not lookup.options.loopback_endpoints and is_local(url.hostname):
        # Like an ExternalName service, it could lead to Envoy's own interfaces (security.md, CVE-2021-32783).
        return _remote(
            "RemoteJWKSURIInvalid",
            f"URI is invalid: {quote(url.hostname)} is a loopback, link-local or unspecified address, "
            "this is not allowed",
        )
    validation: UpstreamValidation | None = None
    if remote.validation is not None:
        validated = _validation(lookup, namespace, url, remote.validation)
        if isinstance(validated, Finding):
            return validated
        validation = validated
    timeout = parse_duration(remote.timeout) if remote.timeout else _SECOND
    if isinstance(timeout, Invalid):
        return _remote("RemoteJWKSTimeoutInvalid", f"Timeout is invalid: {timeout.text}")
    cache_duration = parse_duration(remote.cache_duration) if remote.cache_duration else None
    if isinstance(cache_duration, Invalid):
        return _remote("RemoteJWKSCacheDurationInvalid", f"CacheDuration is invalid: {cache_duration.text}")
    port = _port(url)
    if isinstance(port, Invalid):
        return _remote("RemoteJWKSPortInvalid", f"URI has an invalid port: {port.text}")
    family = remote.dns_lookup_family or lookup.options.dns_lookup_family
    if family not in _FAMILIES:
        return _remote(
            "RemoteJWKSDNSLookupFamilyInvalid",
            f"DNSLookupFamily has an invalid value {quote(family)}, must be auto, all, v4 or v6",
        )
    cluster = DnsCluster(url.scheme, url.hostname, port, validation, family)
    return RemoteKeys(remote.uri, cluster, timeout, cache_duration)


def _validation(
    lookup: Lookup, namespace: str, url: URL, policy: api.UpstreamValidation
) -> UpstreamValidation | Finding:
    if url.scheme == "http":
        return _remote(
            "RemoteJWKSUpstreamValidationInvalid",
            "UpstreamValidation must not be specified when URI scheme is http.",
        )
    secret = namespaced_ref(policy.ca_secret, namespace)
    if not lookup.delegated(secret, namespace):
        return _remote(
            "RemoteJWKSCACertificateNotDelegated",
            f"UpstreamValidation.CACertificate Secret {quote(secret)} is not configured for certificate delegation",
        )
    validation = checked(lookup, policy, secret)
    if isinstance(validation, Invalid):
        return _remote("RemoteJWKSUpstreamValidationInvalid", f"UpstreamValidation is invalid: {validation.text}")
    return validation


def _port(url: URL) -> int | Invalid:
    """Explicit, else the scheme's."""
    if not url.port:
        return _DEFAULT_PORTS[url.scheme]
    digits = url.port.lstrip("0") or "0"
    if len(digits) > _INT_DIGITS or int(digits) > _MAX_INT:
        return Invalid(f"strconv.Atoi: parsing {quote(url.port)}: value out of range")
    return int(digits)


def _remote(reason: str, text: str) -> Finding:
    return _finding(reason, f"Spec.VirtualHost.JWTProviders.RemoteJWKS.{text}")


def _finding(reason: str, message: str) -> Finding:
    return Finding("JWTVerificationError", reason, message)
