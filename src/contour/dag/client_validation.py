"""`tls.clientValidation` of a root: which certificates clients must show (httpproxy.md §2.5, row n)."""

from __future__ import annotations

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import ClientValidation, ForwardedCertificate
from contour.dag.report import Report
from contour.dag.sources import Lookup

_NOT_DELEGATED = "certificate delegation not permitted"


def client_validation(
    lookup: Lookup, namespace: str, policy: api.DownstreamValidation, report: Report
) -> ClientValidation | None:
    """None: the root stops here."""
    authority: Ref | None = None
    if policy.ca_secret:
        authority = namespaced_ref(policy.ca_secret, namespace)
        if not lookup.delegated(authority, namespace):
            _not_delegated(report, "CA", policy.ca_secret)
            return None
        if error := lookup.ca_error(authority):
            _invalid(report, f"invalid CA Secret {quote(authority)}: {error.text}")
            return None
    elif not policy.skip_client_cert_validation:
        _invalid(report, "CA Secret must be specified")  # an error that does not stop
    revoked: Ref | None = None
    if policy.crl_secret:
        revoked = namespaced_ref(policy.crl_secret, namespace)
        if not lookup.delegated(revoked, namespace):
            _not_delegated(report, "CRL", policy.crl_secret)
            return None
        if error := lookup.crl_error(revoked):
            _invalid(report, f"invalid CRL Secret {quote(revoked)}: {error.text}")
            return None
    return ClientValidation(
        ca_secret=authority,
        crl_secret=revoked,
        crl_only_leaf=revoked is not None and policy.crl_only_verify_leaf_cert,
        optional=policy.optional_client_certificate,
        unchecked=policy.skip_client_cert_validation,
        forwarded=_forwarded(policy.forward_client_certificate),
    )


def _forwarded(details: api.ForwardClientCertificate | None) -> ForwardedCertificate | None:
    if details is None:
        return None
    return ForwardedCertificate(
        subject=details.subject, certificate=details.cert, chain=details.chain, dns=details.dns, uri=details.uri
    )


def _not_delegated(report: Report, kind: str, name: str) -> None:
    text = f"Spec.VirtualHost.TLS {kind} Secret {quote(name)} is invalid: {_NOT_DELEGATED}"
    report.error("TLSError", "DelegationNotPermitted", text)


def _invalid(report: Report, text: str) -> None:
    report.error("TLSError", "ClientValidationInvalid", f"Spec.VirtualHost.TLS client validation is invalid: {text}")
