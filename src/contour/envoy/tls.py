"""TLS contexts of both directions, as transport sockets (httpproxy.md §4.4, §4.10; operations.md §7.3)."""

from __future__ import annotations

from collections.abc import Sequence

from contour.dag import graph
from contour.envoy import pb
from contour.envoy.options import HTTPVersion, Options, TLSParameters

_SOCKET = "envoy.transport_sockets.tls"
_VERSIONS = {
    "1.2": pb.TlsParameters.TLSv1_2,
    "1.3": pb.TlsParameters.TLSv1_3,
}
_ALPN = {"h2": ("h2",), "tls": ()}
_HTTP_ALPN: tuple[tuple[HTTPVersion, str], ...] = (("2", "h2"), ("1.1", "http/1.1"))  # preference of h2 first


def upstream(c: graph.Cluster, options: Options, client: pb.SdsSecretConfig | None = None) -> pb.TransportSocket:
    """`client`: the certificate that Envoy shows."""
    return _upstream(c.sni, c.validation, alpn=_ALPN[c.protocol], parameters=options.upstream_tls, client=client)


def upstream_of_key_set(c: graph.DnsCluster, options: Options) -> pb.TransportSocket:
    return _upstream(c.host, c.validation, parameters=options.upstream_tls)


def upstream_extension(c: graph.ExtensionCluster, client: pb.SdsSecretConfig | None = None) -> pb.TransportSocket:
    """Without the parameters of other clusters, as in the reference (§5, quirk 17): Envoy's own hold."""
    return _upstream(c.sni, c.validation, alpn=_ALPN[c.protocol], client=client)


def _upstream(
    sni: str,
    validation: graph.UpstreamValidation | None,
    *,
    alpn: Sequence[str] = (),
    parameters: TLSParameters | None = None,
    client: pb.SdsSecretConfig | None = None,
) -> pb.TransportSocket:
    common = pb.CommonTlsContext(alpn_protocols=alpn)
    if parameters is not None:
        common.tls_params.CopyFrom(
            pb.TlsParameters(
                tls_minimum_protocol_version=_VERSIONS[parameters.min_tls],
                tls_maximum_protocol_version=_VERSIONS[parameters.max_tls],
                cipher_suites=parameters.cipher_suites,
                ecdh_curves=parameters.ecdh_curves,
            )
        )
    if validation is not None and validation.subject_names:
        common.validation_context.CopyFrom(_upstream_validation(validation))
    if client is not None:
        common.tls_certificate_sds_secret_configs.append(client)
    return socket(pb.UpstreamTlsContext(sni=sni, common_tls_context=common))


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
) -> pb.DownstreamTlsContext:
    """The context of a filter chain: the host may narrow the versions that the settings allow, never widen them.

    `alpn`: None for those of the HTTP versions that the settings allow.
    """
    return pb.DownstreamTlsContext(
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


def socket(context: pb.Message) -> pb.TransportSocket:
    return pb.TransportSocket(name=_SOCKET, typed_config=pb.pack(context))
