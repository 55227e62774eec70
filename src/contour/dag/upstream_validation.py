"""`validation` of a service: which certificates an upstream may show (httpproxy.md §2.10)."""

from __future__ import annotations

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import UpstreamValidation
from contour.dag.sources import Lookup
from contour.dag.verdict import Finding, Invalid


def upstream_validation(
    lookup: Lookup, service: api.Service, policy: api.UpstreamValidation, namespace: str
) -> UpstreamValidation | Finding:
    secret = namespaced_ref(policy.ca_secret, namespace)
    if not lookup.delegated(secret, namespace):
        return not_delegated(secret)
    validation = checked(lookup, policy, secret)
    if isinstance(validation, Invalid):
        return Finding(
            "ServiceError",
            "TLSUpstreamValidation",
            f"Service [{service.name}:{service.port}] TLS upstream validation policy error: {validation.text}",
        )
    return validation


def checked(lookup: Lookup, policy: api.UpstreamValidation, secret: Ref) -> UpstreamValidation | Invalid:
    """What a policy asks for, its CA Secret being `secret`; whether that may be used is another question."""
    bundle = lookup.ca_bundle(secret)
    if isinstance(bundle, Invalid):
        return Invalid(f"invalid CA Secret {quote(secret)}: {bundle.text}")
    if not policy.subject_name:
        return Invalid("missing subject alternative name")
    names = policy.subject_names or (policy.subject_name,)
    if names[0] != policy.subject_name:
        return Invalid(f"first entry of SubjectNames ({names[0]}) does not match SubjectName ({policy.subject_name})")
    return UpstreamValidation(ca_secret=secret, ca=bundle, subject_names=names)


def not_delegated(secret: Ref) -> Finding:
    return Finding(
        "TLSError",
        "CACertificateNotDelegated",
        f"service.UpstreamValidation.CACertificate Secret {quote(secret)} is not configured for certificate delegation",
    )
