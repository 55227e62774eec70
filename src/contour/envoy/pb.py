"""The one door to generated protobuf modules, and how messages become bytes and JSON.

Everything else imports message classes from here. Serialisation is deterministic all the way down: a version is
a hash of bytes, and default packing of nested `Any` values gives other bytes in each process (envoy.md §2, Versions).
"""
# ruff: noqa: TID251

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any as Untyped
from typing import TypeVar

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ExtensionFilter,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, CidrRange, SocketAddress
from envoy.config.core.v3.base_pb2 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    Metadata,
    RuntimeDouble,
    RuntimeFractionalPercent,
    RuntimeUInt32,
    TransportSocket,
)
from envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiConfigSource,
    ApiVersion,
    ConfigSource,
)
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.config.core.v3.http_uri_pb2 import HttpUri
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.ratelimit.v3.rls_pb2 import RateLimitServiceConfig
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RBACRules  # noqa: N811 (as its package calls it)
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    FilterConfig,
    HeaderMatcher,
    InternalRedirectPolicy,
    QueryParameterMatcher,
    RateLimit,
    RedirectAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration
from envoy.config.trace.v3.http_tracer_pb2 import Tracing
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter as CelFilter
from envoy.extensions.compression.brotli.compressor.v3.brotli_pb2 import Brotli
from envoy.extensions.compression.gzip.compressor.v3.gzip_pb2 import Gzip
from envoy.extensions.compression.zstd.compressor.v3.zstd_pb2 import Zstd
from envoy.extensions.filters.http.compressor.v3.compressor_pb2 import Compressor
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors, CorsPolicy
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import (
    BufferSettings,
    CheckSettings,
    ExtAuthz,
    ExtAuthzPerRoute,
)
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import HttpService as AuthorizationHttpService
from envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import (
    JwtAuthentication,
    JwtProvider,
    JwtRequirement,
    RemoteJwks,
)
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import PerRouteConfig as JwtPerRoute
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.lua.v3.lua_pb2 import Lua, LuaPerRoute
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as RateLimitFilter
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2 import UpstreamCodec
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    LocalReplyConfig,
    Rds,
    ResponseMapper,
    ScopedRds,
    ScopedRoutes,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.formatter.metadata.v3.metadata_pb2 import Metadata as MetadataFormatter
from envoy.extensions.formatter.req_without_query.v3.req_without_query_pb2 import ReqWithoutQuery
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.internal_redirect.previous_routes.v3.previous_routes_config_pb2 import PreviousRoutesConfig
from envoy.extensions.internal_redirect.safe_cross_scheme.v3.safe_cross_scheme_config_pb2 import (
    SafeCrossSchemeConfig,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions as UpstreamHttpOptions
from envoy.service.runtime.v3.rtds_pb2 import Runtime
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from envoy.type.v3.http_pb2 import CodecClientType
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from envoy.type.v3.percent_pb2 import FractionalPercent, Percent
from envoy.type.v3.range_pb2 import Int64Range
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pool import Default
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, MessageToJson, Parse, ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value
from validate import validate_pb2 as validate

__all__ = [
    "RBAC",
    "AccessLog",
    "AccessLogFilter",
    "Address",
    "AggregatedConfigSource",
    "AndFilter",
    "Any",
    "ApiConfigSource",
    "ApiVersion",
    "AuthorizationHttpService",
    "BoolValue",
    "Bootstrap",
    "Brotli",
    "BufferSettings",
    "CelFilter",
    "CertificateValidationContext",
    "CheckSettings",
    "CidrRange",
    "CircuitBreakers",
    "Cluster",
    "ClusterLoadAssignment",
    "CodecClientType",
    "CommonTlsContext",
    "ComparisonFilter",
    "Compressor",
    "ConfigSource",
    "Cors",
    "CorsPolicy",
    "CustomTag",
    "DataSource",
    "DirectResponseAction",
    "DownstreamTlsContext",
    "Duration",
    "Endpoint",
    "ExtAuthz",
    "ExtAuthzPerRoute",
    "ExtensionFilter",
    "FileAccessLog",
    "Filter",
    "FilterChain",
    "FilterChainMatch",
    "FilterConfig",
    "FractionalPercent",
    "GrpcService",
    "GrpcStats",
    "GrpcWeb",
    "Gzip",
    "HeaderMatcher",
    "HeaderMutation",
    "HeaderValue",
    "HeaderValueOption",
    "HealthCheck",
    "Http1ProtocolOptions",
    "Http2ProtocolOptions",
    "HttpConnectionManager",
    "HttpFilter",
    "HttpProtocolOptions",
    "HttpStatus",
    "HttpUri",
    "Int64Range",
    "InternalRedirectPolicy",
    "JwtAuthentication",
    "JwtPerRoute",
    "JwtProvider",
    "JwtRequirement",
    "LbEndpoint",
    "Listener",
    "ListenerFilter",
    "LocalRateLimit",
    "LocalReplyConfig",
    "LocalityLbEndpoints",
    "Lua",
    "LuaPerRoute",
    "Message",
    "Metadata",
    "MetadataFormatter",
    "OpenTelemetryConfig",
    "OrFilter",
    "Percent",
    "Permission",
    "Policy",
    "PreviousRoutesConfig",
    "Principal",
    "ProxyProtocol",
    "QueryParameterMatcher",
    "RBACPerRoute",
    "RBACRules",
    "RateLimit",
    "RateLimitFilter",
    "RateLimitPerRoute",
    "RateLimitServiceConfig",
    "Rds",
    "RedirectAction",
    "RegexMatcher",
    "RemoteJwks",
    "ReqWithoutQuery",
    "ResponseFlagFilter",
    "ResponseMapper",
    "RetryPolicy",
    "Route",
    "RouteAction",
    "RouteConfiguration",
    "RouteMatch",
    "Router",
    "Runtime",
    "RuntimeDouble",
    "RuntimeFractionalPercent",
    "RuntimeUInt32",
    "SafeCrossSchemeConfig",
    "ScopedRds",
    "ScopedRouteConfiguration",
    "ScopedRoutes",
    "SdsSecretConfig",
    "Secret",
    "SocketAddress",
    "SocketOption",
    "StatusCode",
    "StatusCodeFilter",
    "StringMatcher",
    "Struct",
    "SubjectAltNameMatcher",
    "SubstitutionFormatString",
    "TcpProxy",
    "TlsCertificate",
    "TlsInspector",
    "TlsParameters",
    "TokenBucket",
    "Tracing",
    "TransportSocket",
    "TypedExtensionConfig",
    "UInt32Value",
    "UpstreamCodec",
    "UpstreamHttpOptions",
    "UpstreamTlsContext",
    "Value",
    "VirtualHost",
    "WeightedCluster",
    "Zstd",
    "duration",
    "from_dict",
    "message_class",
    "pack",
    "serialize",
    "struct",
    "to_dict",
    "to_json",
    "type_url",
    "unpack",
    "validate",
]

M = TypeVar("M", bound=Message)

TYPE_URL_PREFIX = "type.googleapis.com/"

# Types that other controllers' configuration names, for JSON of resources that are not ours (`contour cli`, traces).
_FOREIGN_MODULES = (
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2",
    "envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
)


def serialize(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def type_url(message: type[Message] | Message) -> str:
    return TYPE_URL_PREFIX + message.DESCRIPTOR.full_name


def pack(message: Message) -> Any:
    """The message as `google.protobuf.Any`, with the same bytes in every process."""
    return Any(
        type_url=TYPE_URL_PREFIX + message.DESCRIPTOR.full_name,
        value=message.SerializeToString(deterministic=True),
    )


def message_class(url: str) -> type[Message] | None:
    """Class of a type URL's messages, None if the type is not known here."""
    from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415 (rarely needed)

    try:
        return GetMessageClass(Default().FindMessageTypeByName(url.rpartition("/")[2]))
    except KeyError:
        return None


def unpack(packed: Any) -> Message | None:
    """The message inside, None if its type is not known here."""
    cls = message_class(packed.type_url)
    return None if cls is None else cls.FromString(packed.value)


def duration(nanoseconds: int) -> Duration:
    """Both parts carry the sign, as the Duration type wants it."""
    seconds, nanos = divmod(abs(nanoseconds), 1_000_000_000)
    return Duration(seconds=seconds, nanos=nanos) if nanoseconds >= 0 else Duration(seconds=-seconds, nanos=-nanos)


def struct(values: dict[str, Untyped]) -> Struct:
    """A Struct of str, bool, int, float and nested dict values."""
    return Struct(fields={key: _value(value) for key, value in values.items()})


def _value(value: Untyped) -> Value:
    match value:
        case str():
            return Value(string_value=value)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case _:
            return Value(struct_value=struct(value))


def to_dict(message: Message) -> dict[str, Untyped]:
    """Protobuf JSON as Python values, with the field names of the .proto files and the keys of maps sorted."""
    _know_foreign_types()
    return _with_sorted_maps(MessageToDict(message, preserving_proto_field_name=True), message.DESCRIPTOR)


def to_json(message: Message, indent: int | None = None) -> str:
    _know_foreign_types()
    return MessageToJson(message, preserving_proto_field_name=True, indent=indent, ensure_ascii=False)


def from_dict(cls: type[M], values: dict[str, Untyped] | str) -> M:
    """A message from protobuf JSON (values or text); raises `google.protobuf.json_format.ParseError`."""
    _know_foreign_types()
    if isinstance(values, str):
        return Parse(values, cls())
    return ParseDict(values, cls())


_Descriptor = Untyped  # of a message; its class depends on protobuf's implementation


def _with_sorted_maps(values: dict[str, Untyped], descriptor: _Descriptor) -> dict[str, Untyped]:
    """Maps have no order in a message, and come in another one in each process."""
    if descriptor.full_name == Struct.DESCRIPTOR.full_name:
        return {key: _with_sorted_keys(values[key]) for key in sorted(values)}
    if descriptor.full_name == Any.DESCRIPTOR.full_name:
        packed = message_class(values.get("@type", ""))
        return _with_sorted_maps(values, packed.DESCRIPTOR) if packed else values
    ordered = dict(values)
    for key, value in values.items():
        field = descriptor.fields_by_name.get(key)
        kind = field.message_type if field is not None else None
        if kind is None:
            continue
        if kind.GetOptions().map_entry:
            kind = kind.fields_by_name["value"].message_type
            ordered[key] = {name: _item(value[name], kind) for name in sorted(value)}
        elif isinstance(value, list):
            ordered[key] = [_item(item, kind) for item in value]
        else:
            ordered[key] = _item(value, kind)
    return ordered


def _item(value: Untyped, kind: _Descriptor) -> Untyped:
    """A value of a field, `kind` None if that is no message; messages like Duration are no mappings in JSON."""
    return _with_sorted_maps(value, kind) if kind is not None and isinstance(value, dict) else value


def _with_sorted_keys(value: Untyped) -> Untyped:
    if isinstance(value, dict):
        return {key: _with_sorted_keys(value[key]) for key in sorted(value)}
    return [_with_sorted_keys(item) for item in value] if isinstance(value, list) else value


@cache
def _know_foreign_types() -> None:
    for module in _FOREIGN_MODULES:
        import_module(module)
