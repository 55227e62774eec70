"""TLS contexts of both directions, as transport sockets (httpproxy.md §4.4, §4.10; operations.md §7.3)."""

from __future__ import annotations

from collections.abc import Sequence

from contour.dag import graph
from contour.envoy import pb
from contour.envoy.options import DEFAULT_CIPHER_SUITES, HTTPVersion, Options

_SOCKET = "envoy.transport_sockets.tls"
_VERSIONS = {
    "1.2": pb.TlsParameters.TLSv1_2,
    "1.3": pb.TlsParameters.TLSv1_3,
}
_ALPN = {"h2": ("h2",), "tls": ()}
_HTTP_ALPN: tuple[tuple[HTTPVersion, str], ...] = (("2", "h2"), ("1.1", "http/1.1"))  # preference of h2 first

_UPSTREAM_PARAMETERS = pb.TlsParameters(
    tls_minimum_protocol_version=pb.TlsParameters.TLSv1_2,
    tls_maximum_protocol_version=pb.TlsParameters.TLSv1_3,
    cipher_suites=DEFAULT_CIPHER_SUITES,
)


def upstream(c: graph.Cluster) -> pb.TransportSocket:
    common = pb.CommonTlsContext(tls_params=_UPSTREAM_PARAMETERS, alpn_protocols=_ALPN[c.protocol])
    if c.validation is not None and c.validation.subject_names:
        common.validation_context.CopyFrom(_upstream_validation(c.validation))
    return _socket(pb.UpstreamTlsContext(sni=c.sni, common_tls_context=common))


def upstream_of_key_set(c: graph.DnsCluster) -> pb.TransportSocket:
    common = pb.CommonTlsContext(tls_params=_UPSTREAM_PARAMETERS)
    if c.validation is not None and c.validation.subject_names:
        common.validation_context.CopyFrom(_upstream_validation(c.validation))
    return _socket(pb.UpstreamTlsContext(sni=c.host, common_tls_context=common))


def upstream_extension(c: graph.ExtensionCluster) -> pb.TransportSocket:
    """Without the parameters of other clusters, as in the reference (§5, quirk 17): Envoy's own hold."""
    common = pb.CommonTlsContext(alpn_protocols=_ALPN[c.protocol])
    if c.validation is not None:
        common.validation_context.CopyFrom(_upstream_validation(c.validation))
    return _socket(pb.UpstreamTlsContext(sni=c.sni, common_tls_context=common))


def _upstream_validation(validation: graph.UpstreamValidation) -> pb.CertificateValidationContext:
    return pb.CertificateValidationContext(
        trust_chain_verification=pb.CertificateValidationContext.VERIFY_TRUST_CHAIN,
        trusted_ca=pb.DataSource(inline_bytes=validation.ca),
        match_typed_subject_alt_names=[
            pb.SubjectAltNameMatcher(san_type=pb.SubjectAltNameMatcher.DNS, matcher=pb.StringMatcher(exact=name))
            for name in validation.subject_names
        ],
    )


def http_alpn(options: Options) -> list[str]:
    return [protocol for version, protocol in _HTTP_ALPN if version in options.http_versions]


def downstream(
    secret_name: str,
    source: pb.ConfigSource,
    options: Options,
    *,
    min_tls: str,
    max_tls: str,
    alpn: Sequence[str] | None = None,
) -> pb.TransportSocket:
    """The context of a filter chain: the host may narrow the versions that the settings allow, never widen them.

    `alpn`: None for those of the HTTP versions that the settings allow.
    """
    return _socket(
        pb.DownstreamTlsContext(
            common_tls_context=pb.CommonTlsContext(
                tls_params=pb.TlsParameters(
                    tls_minimum_protocol_version=_VERSIONS[max(options.min_tls, min_tls)],
                    tls_maximum_protocol_version=_VERSIONS[min(options.max_tls, max_tls)],
                    cipher_suites=options.cipher_suites,
                    ecdh_curves=options.ecdh_curves,
                ),
                tls_certificate_sds_secret_configs=[pb.SdsSecretConfig(name=secret_name, sds_config=source)],
                alpn_protocols=http_alpn(options) if alpn is None else alpn,
            )
        )
    )


def _socket(context: pb.Message) -> pb.TransportSocket:
    return pb.TransportSocket(name=_SOCKET, typed_config=pb.pack(context))
