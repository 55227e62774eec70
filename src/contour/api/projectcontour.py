"""Kinds of `projectcontour.io/v1`: HTTPProxy and TLSCertificateDelegation, every field of httpproxy.md §1.

Defaults here are Go's zero values; the defaults of the CRD schema are applied by `contour.api.schema` (or by an API
server) before an object gets here. Fields that the CRD calls pointers are None when absent.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from contour.api.core import Int32, Int64, LoadBalancerStatus, UInt32
from contour.api.meta import Object

# --- matching (§1.2) ----------------------------------------------------------------------------------------------


class HeaderMatchCondition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    present: bool = False
    notpresent: bool = False
    contains: str = ""
    notcontains: str = ""
    exact: str = ""
    notexact: str = ""
    regex: str = ""
    ignore_case: bool = False
    treat_missing_as_empty: bool = False


class QueryParameterMatchCondition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    exact: str = ""
    prefix: str = ""
    suffix: str = ""
    regex: str = ""
    contains: str = ""
    ignore_case: bool = False
    present: bool = False


class MatchCondition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    prefix: str = ""
    exact: str = ""
    regex: str = ""
    header: HeaderMatchCondition | None = None
    query_parameter: QueryParameterMatchCondition | None = None


class Include(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    conditions: tuple[MatchCondition, ...] = ()


# --- pieces that several objects share ----------------------------------------------------------------------------


class UpstreamValidation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ca_secret: str = ""
    subject_name: str = ""
    subject_names: tuple[str, ...] = ()


class HeaderValue(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    value: str = ""


class HeadersPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    set: tuple[HeaderValue, ...] = ()
    remove: tuple[str, ...] = ()


class CookiePathRewrite(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    value: str = ""


class CookieDomainRewrite(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    value: str = ""


class CookieRewritePolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    path_rewrite: CookiePathRewrite | None = None
    domain_rewrite: CookieDomainRewrite | None = None
    secure: bool | None = None
    same_site: str | None = None


class TimeoutPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    response: str = ""
    idle: str = ""
    idle_connection: str = ""


class IPFilterPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    source: str = ""
    cidr: str = ""


# --- load balancing, health checks --------------------------------------------------------------------------------


class HeaderHashOptions(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    header_name: str = ""


class QueryParameterHashOptions(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    parameter_name: str = ""


class RequestHashPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    terminal: bool = False
    header_hash_options: HeaderHashOptions | None = None
    query_parameter_hash_options: QueryParameterHashOptions | None = None
    hash_source_ip: bool = msgspec.field(default=False, name="hashSourceIP")


class LoadBalancerPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    strategy: str = ""
    request_hash_policies: tuple[RequestHashPolicy, ...] = ()


class HTTPStatusRange(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    start: Int64 = 0
    end: Int64 = 0


class HTTPHealthCheckPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    path: str = ""
    host: str = ""
    interval_seconds: Int64 = 0
    timeout_seconds: Int64 = 0
    unhealthy_threshold_count: Int64 = 0
    healthy_threshold_count: Int64 = 0
    expected_statuses: tuple[HTTPStatusRange, ...] = ()


class TCPHealthCheckPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    interval_seconds: Int64 = 0
    timeout_seconds: Int64 = 0
    unhealthy_threshold_count: UInt32 = 0
    healthy_threshold_count: UInt32 = 0


class SlowStartPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    window: str = ""
    aggression: str = ""
    min_weight_percent: UInt32 = 0


# --- rate limits (§1.7) -------------------------------------------------------------------------------------------


class LocalRateLimitPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    requests: UInt32 = 0
    unit: str = ""
    burst: UInt32 = 0
    response_status_code: UInt32 = 0
    response_headers_to_add: tuple[HeaderValue, ...] = ()


class GenericKeyDescriptor(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    key: str = ""
    value: str = ""


class RequestHeaderDescriptor(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    header_name: str = ""
    descriptor_key: str = ""


class RequestHeaderValueMatchDescriptor(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    headers: tuple[HeaderMatchCondition, ...] = ()
    expect_match: bool = False
    value: str = ""


class RemoteAddressDescriptor(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """No fields: that it is there is what it says."""


class RateLimitDescriptorEntry(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    generic_key: GenericKeyDescriptor | None = None
    request_header: RequestHeaderDescriptor | None = None
    request_header_value_match: RequestHeaderValueMatchDescriptor | None = None
    remote_address: RemoteAddressDescriptor | None = None


class RateLimitDescriptor(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    entries: tuple[RateLimitDescriptorEntry, ...] = ()


class GlobalRateLimitPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    disabled: bool = False
    descriptors: tuple[RateLimitDescriptor, ...] = ()


class RateLimitPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    local: LocalRateLimitPolicy | None = None
    global_: GlobalRateLimitPolicy | None = msgspec.field(default=None, name="global")


# --- external authorization (§1.4) --------------------------------------------------------------------------------


class ExtensionServiceReference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_version: str = ""
    namespace: str = ""
    name: str = ""


class AuthorizationPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    disabled: bool = False
    context: dict[str, str] | None = None


class AllowedHeader(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    exact: str = ""
    prefix: str = ""
    suffix: str = ""
    contains: str = ""
    ignore_case: bool = False


class HTTPAuthorizationSettings(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    path_prefix: str = ""
    allowed_authorization_headers: tuple[AllowedHeader, ...] = ()
    allowed_upstream_headers: tuple[AllowedHeader, ...] = ()


class AuthorizationServerBufferSettings(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    max_request_bytes: UInt32 = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


class AuthorizationServer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    extension_ref: ExtensionServiceReference = ExtensionServiceReference()
    service_type: str = ""
    http_settings: HTTPAuthorizationSettings | None = None
    auth_policy: AuthorizationPolicy | None = None
    response_timeout: str = ""
    fail_open: bool = False
    with_request_body: AuthorizationServerBufferSettings | None = None


# --- virtual host (§1.3) ------------------------------------------------------------------------------------------


class ForwardClientCertificate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    subject: bool = False
    cert: bool = False
    chain: bool = False
    dns: bool = False
    uri: bool = False


class DownstreamValidation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    ca_secret: str = ""
    skip_client_cert_validation: bool = False
    forward_client_certificate: ForwardClientCertificate | None = None
    crl_secret: str = ""
    crl_only_verify_leaf_cert: bool = False
    optional_client_certificate: bool = False


class TLS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    secret_name: str = ""
    minimum_protocol_version: str = ""
    maximum_protocol_version: str = ""
    passthrough: bool = False
    client_validation: DownstreamValidation | None = None
    enable_fallback_certificate: bool = False


class CORSPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    allow_credentials: bool = False
    allow_origin: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str = ""
    allow_private_network: bool = False


class RemoteJWKS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    uri: str = ""
    validation: UpstreamValidation | None = None
    timeout: str = ""
    cache_duration: str = ""
    dns_lookup_family: str = ""


class LocalJWKS(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    secret_name: str = ""
    key: str = ""


class JWTProvider(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    default: bool = False
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    remote_jwks: RemoteJWKS | None = msgspec.field(default=None, name="remoteJWKS")
    local_jwks: LocalJWKS | None = msgspec.field(default=None, name="localJWKS")
    forward_jwt: bool = msgspec.field(default=False, name="forwardJWT")


class VirtualHost(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    fqdn: str = ""
    tls: TLS | None = None
    authorization: AuthorizationServer | None = None
    cors_policy: CORSPolicy | None = None
    rate_limit_policy: RateLimitPolicy | None = None
    jwt_providers: tuple[JWTProvider, ...] = ()
    ip_allow_policy: tuple[IPFilterPolicy, ...] = ()
    ip_deny_policy: tuple[IPFilterPolicy, ...] = ()


# --- routes (§1.5, §1.6) ------------------------------------------------------------------------------------------


class Service(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A reference to a Service object, with what is done to requests that go there."""

    name: str = ""
    port: Int64 = 0
    health_port: Int64 = 0
    protocol: str | None = None
    weight: Int64 = 0
    validation: UpstreamValidation | None = None
    mirror: bool = False
    request_headers_policy: HeadersPolicy | None = None
    response_headers_policy: HeadersPolicy | None = None
    cookie_rewrite_policies: tuple[CookieRewritePolicy, ...] = ()
    slow_start_policy: SlowStartPolicy | None = None


class RetryPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    count: Int64 = 0
    per_try_timeout: str = ""
    retry_on: tuple[str, ...] = ()
    retriable_status_codes: tuple[UInt32, ...] = ()


class ReplacePrefix(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    prefix: str = ""
    replacement: str = ""


class PathRewritePolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    replace_prefix: tuple[ReplacePrefix, ...] = ()


class HTTPRequestRedirectPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    scheme: str | None = None
    hostname: str | None = None
    port: Int32 | None = None
    status_code: Int64 | None = None
    path: str | None = None
    prefix: str | None = None


class HTTPDirectResponsePolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    status_code: Int64 = 0
    body: str = ""


class HTTPInternalRedirectPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    max_internal_redirects: UInt32 = 0
    redirect_response_codes: tuple[UInt32, ...] = ()
    allow_cross_scheme_redirect: str = ""
    deny_repeated_route_redirect: bool = False


class JWTVerificationPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    require: str = ""
    disabled: bool = False


class Route(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conditions: tuple[MatchCondition, ...] = ()
    services: tuple[Service, ...] = ()
    enable_websockets: bool = False
    permit_insecure: bool = False
    auth_policy: AuthorizationPolicy | None = None
    timeout_policy: TimeoutPolicy | None = None
    retry_policy: RetryPolicy | None = None
    health_check_policy: HTTPHealthCheckPolicy | None = None
    load_balancer_policy: LoadBalancerPolicy | None = None
    path_rewrite_policy: PathRewritePolicy | None = None
    request_headers_policy: HeadersPolicy | None = None
    response_headers_policy: HeadersPolicy | None = None
    cookie_rewrite_policies: tuple[CookieRewritePolicy, ...] = ()
    rate_limit_policy: RateLimitPolicy | None = None
    request_redirect_policy: HTTPRequestRedirectPolicy | None = None
    direct_response_policy: HTTPDirectResponsePolicy | None = None
    internal_redirect_policy: HTTPInternalRedirectPolicy | None = None
    jwt_verification_policy: JWTVerificationPolicy | None = None
    ip_allow_policy: tuple[IPFilterPolicy, ...] = ()
    ip_deny_policy: tuple[IPFilterPolicy, ...] = ()


class TCPProxyInclude(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""


class TCPProxy(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    load_balancer_policy: LoadBalancerPolicy | None = None
    services: tuple[Service, ...] = ()
    include: TCPProxyInclude | None = None
    includes: TCPProxyInclude | None = None  # deprecated spelling, an object in spite of its name
    health_check_policy: TCPHealthCheckPolicy | None = None


class HTTPProxySpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    virtualhost: VirtualHost | None = None
    routes: tuple[Route, ...] = ()
    tcpproxy: TCPProxy | None = None
    includes: tuple[Include, ...] = ()
    ingress_class_name: str = ""


# --- status (§1.8) ------------------------------------------------------------------------------------------------


class SubCondition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class DetailedCondition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    type: str = ""
    status: str = ""
    observed_generation: Int64 = 0
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""
    errors: tuple[SubCondition, ...] = ()
    warnings: tuple[SubCondition, ...] = ()


class HTTPProxyStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    current_status: str = ""
    description: str = ""
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[DetailedCondition, ...] = ()


class HTTPProxy(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "HTTPProxy"
    api_version: ClassVar[str] = "projectcontour.io/v1"

    spec: HTTPProxySpec = HTTPProxySpec()
    status: HTTPProxyStatus = HTTPProxyStatus()


# --- TLSCertificateDelegation (§1.9) ------------------------------------------------------------------------------


class CertificateDelegation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    secret_name: str = ""
    target_namespaces: tuple[str, ...] = ()


class TLSCertificateDelegationSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    delegations: tuple[CertificateDelegation, ...] = ()


class TLSCertificateDelegationStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conditions: tuple[DetailedCondition, ...] = ()


class TLSCertificateDelegation(Object, frozen=True, gc=False, rename="camel"):
    kind: ClassVar[str] = "TLSCertificateDelegation"
    api_version: ClassVar[str] = "projectcontour.io/v1"

    spec: TLSCertificateDelegationSpec = TLSCertificateDelegationSpec()
    status: TLSCertificateDelegationStatus = TLSCertificateDelegationStatus()
