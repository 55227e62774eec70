"""TLS of the listener of statistics: certificates that are files where Envoy runs (operations.md §7.10)."""

from __future__ import annotations

from contour.envoy import pb
from contour.envoy.options import MetricsTLS
from contour.envoy.resource import Resource, resource

CERTIFICATE = "metrics-tls-certificate"
CA = "metrics-ca-certificate"

_SOCKET = "envoy.transport_sockets.tls"


def transport_socket(files: MetricsTLS, source: pb.ConfigSource) -> pb.TransportSocket:
    common = pb.CommonTlsContext(
        tls_params=pb.TlsParameters(
            tls_minimum_protocol_version=pb.TlsParameters.TLSv1_3, tls_maximum_protocol_version=pb.TlsParameters.TLSv1_3
        ),
        tls_certificate_sds_secret_configs=[pb.SdsSecretConfig(name=CERTIFICATE, sds_config=source)],
    )
    context = pb.DownstreamTlsContext(common_tls_context=common)
    if files.ca:
        context.common_tls_context.validation_context_sds_secret_config.CopyFrom(
            pb.SdsSecretConfig(name=CA, sds_config=source)
        )
        context.require_client_certificate.value = True
    return pb.TransportSocket(name=_SOCKET, typed_config=pb.pack(context))


def secrets(files: MetricsTLS | None) -> dict[str, Resource]:
    """By name; none where the listener is plain."""
    return {message.name: resource(message.name, message) for message in _secrets(files)} if files else {}


def _secrets(files: MetricsTLS) -> list[pb.Secret]:
    certificate = pb.TlsCertificate(
        certificate_chain=pb.DataSource(filename=files.certificate), private_key=pb.DataSource(filename=files.key)
    )
    found = [pb.Secret(name=CERTIFICATE, tls_certificate=certificate)]
    if files.ca:
        validation = pb.CertificateValidationContext(trusted_ca=pb.DataSource(filename=files.ca))
        found.append(pb.Secret(name=CA, validation_context=validation))
    return found
