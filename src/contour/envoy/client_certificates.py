"""Certificates that clients show: what a TLS context asks of them, what upstreams are told (httpproxy.md §4.10, §4.11).

`classic` has CA and list of revoked certificates inline, as the reference does. In `scoped` they come by SDS, so that
neither touches the listener: a new CA closes no connection.
"""

from __future__ import annotations

from contour.dag.graph import ClientValidation, ForwardedCertificate
from contour.envoy import pb

_KIND = "clients"  # no namespace of a Secret's name: those have one slash


def secret_name(clients: ClientValidation) -> str:
    """Of the validation context that goes by SDS; "" if there is nothing to send."""
    authority, revoked = clients.ca_secret or ("", ""), clients.crl_secret or ("", "")
    return "/".join((_KIND, *authority, *revoked)) if clients.ca_secret or clients.crl_secret else ""


def secret(name: str, authority: bytes, revoked: bytes) -> pb.Secret:
    return pb.Secret(name=name, validation_context=_trust(authority, revoked))


def ask(context: pb.DownstreamTlsContext, clients: ClientValidation, source: pb.ConfigSource) -> None:
    """Make a chain's context ask for certificates; what they are held against comes by SDS."""
    context.require_client_certificate.value = not clients.optional
    name = secret_name(clients)
    if not name:
        context.common_tls_context.validation_context.CopyFrom(_rules(clients))
        return
    combined = context.common_tls_context.combined_validation_context
    combined.default_validation_context.CopyFrom(_rules(clients))
    combined.validation_context_sds_secret_config.CopyFrom(pb.SdsSecretConfig(name=name, sds_config=source))


def ask_inline(context: pb.DownstreamTlsContext, clients: ClientValidation, authority: bytes, revoked: bytes) -> None:
    context.require_client_certificate.value = not clients.optional
    validation = _rules(clients)
    validation.MergeFrom(_trust(authority, revoked))
    context.common_tls_context.validation_context.CopyFrom(validation)


def forward(manager: pb.HttpConnectionManager, details: ForwardedCertificate) -> None:
    """What a client says itself is taken away in any case."""
    manager.forward_client_cert_details = pb.HttpConnectionManager.SANITIZE_SET
    manager.set_current_client_cert_details.CopyFrom(
        pb.HttpConnectionManager.SetCurrentClientCertDetails(
            subject=pb.BoolValue(value=details.subject),
            cert=details.certificate,
            chain=details.chain,
            dns=details.dns,
            uri=details.uri,
        )
    )


def _rules(clients: ClientValidation) -> pb.CertificateValidationContext:
    contexts = pb.CertificateValidationContext
    return contexts(
        trust_chain_verification=contexts.ACCEPT_UNTRUSTED if clients.unchecked else contexts.VERIFY_TRUST_CHAIN,
        only_verify_leaf_cert_crl=clients.crl_only_leaf,
    )


def _trust(authority: bytes, revoked: bytes) -> pb.CertificateValidationContext:
    context = pb.CertificateValidationContext()
    if authority:
        context.trusted_ca.inline_bytes = authority
    if revoked:
        context.crl.inline_bytes = revoked
    return context
