"""The `tls` block of a root: certificate and versions (httpproxy.md §2.5)."""

from __future__ import annotations

import msgspec

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.graph import Authorization, JwtProvider
from contour.dag.policy import authorization
from contour.dag.policy.jwt import jwt_providers
from contour.dag.report import Report, not_supported
from contour.dag.sources import Lookup
from contour.dag.verdict import Finding

_VERSIONS = ("1.2", "1.3")


class Termination(msgspec.Struct, frozen=True, gc=False):
    secret: Ref
    min_tls: str
    max_tls: str
    jwt_providers: tuple[JwtProvider, ...] = ()
    authorization: Authorization | None = None


class TLSOutcome(msgspec.Struct, frozen=True, gc=False):
    """`termination` is there as soon as certificate and versions are right.

    Routes that others, an Ingress, gave the host are served by it even if the root stops afterwards.
    """

    stop: bool
    termination: Termination | None = None


def terminate(lookup: Lookup, namespace: str, virtualhost: api.VirtualHost, tls: api.TLS, report: Report) -> TLSOutcome:
    """Rows a to o of the table in §2.5."""
    if not _modes_agree(tls, report):
        return TLSOutcome(stop=True)
    if tls.passthrough:
        report.add(not_supported("Spec.VirtualHost.TLS.Passthrough"))
        return TLSOutcome(stop=True)
    secret = namespaced_ref(tls.secret_name, namespace)
    if not lookup.delegated(secret, namespace):
        _error(
            report,
            "DelegationNotPermitted",
            f"Spec.VirtualHost.TLS Secret {quote(tls.secret_name)} certificate delegation not permitted",
        )
        return TLSOutcome(stop=True)
    if error := lookup.serving_error(secret):
        name = quote(tls.secret_name)
        _error(report, "SecretNotValid", f"Spec.VirtualHost.TLS Secret {name} is invalid: {error.text}")
        return TLSOutcome(stop=True)
    min_tls = tls.minimum_protocol_version if tls.minimum_protocol_version in _VERSIONS else "1.2"
    max_tls = tls.maximum_protocol_version if tls.maximum_protocol_version in _VERSIONS else "1.3"
    if max_tls < min_tls:
        _error(
            report,
            "TLSConfigNotValid",
            "Spec.Virtualhost.TLS the minimum protocol version is greater than the maximum protocol version",
        )
        return TLSOutcome(stop=True)
    stop = not _fallback_allowed(virtualhost, tls, report) or not _clients_unchecked(tls, report)
    termination = Termination(secret, min_tls, max_tls)
    if stop:
        return TLSOutcome(stop, termination)
    asked = authorization.server(lookup.options, virtualhost.authorization)
    if asked is not None:
        server = authorization.authorization(lookup, namespace, asked)
        if isinstance(server, Finding):
            report.add(server)
            return TLSOutcome(stop=True, termination=termination)
        termination = msgspec.structs.replace(termination, authorization=server)
    providers = jwt_providers(lookup, namespace, virtualhost.jwt_providers)
    if isinstance(providers, Finding):
        report.add(providers)
        return TLSOutcome(stop=True, termination=termination)
    return TLSOutcome(stop=False, termination=msgspec.structs.replace(termination, jwt_providers=providers))


def _modes_agree(tls: api.TLS, report: Report) -> bool:
    """Rows a to d."""
    named = bool(tls.secret_name.strip())
    if tls.passthrough and tls.enable_fallback_certificate:  # an error that does not stop
        _incompatible(report, "Spec.VirtualHost.TLS: both Passthrough and enableFallbackCertificate were specified")
    if named and tls.passthrough:
        _error(report, "TLSConfigNotValid", "Spec.VirtualHost.TLS: both Passthrough and SecretName were specified")
        return False
    if not named and not tls.passthrough:
        _error(report, "TLSConfigNotValid", "Spec.VirtualHost.TLS: neither Passthrough nor SecretName were specified")
        return False
    if tls.passthrough and tls.client_validation is not None:
        _incompatible(report, "Spec.VirtualHost.TLS passthrough cannot be combined with tls.clientValidation")
        return False
    return True


def _fallback_allowed(virtualhost: api.VirtualHost, tls: api.TLS, report: Report) -> bool:
    """Rows i to l. No setting names a fallback certificate, so row l is where it ends."""
    if not tls.enable_fallback_certificate:
        return True
    if tls.client_validation is not None:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & client validation are incompatible")
    elif virtualhost.authorization is not None:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & client authorization are incompatible")
    elif virtualhost.jwt_providers:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & JWT providers are incompatible")
    else:
        _error(
            report,
            "FallbackNotPresent",
            "Spec.Virtualhost.TLS enabled fallback but the fallback Certificate Secret is not configured in "
            "Contour configuration file",
        )
    return False


def _clients_unchecked(tls: api.TLS, report: Report) -> bool:
    """Row n."""
    if tls.client_validation is not None:
        report.add(not_supported("Spec.VirtualHost.TLS.ClientValidation"))
        return False
    return True


def _error(report: Report, reason: str, message: str) -> None:
    report.error("TLSError", reason, message)


def _incompatible(report: Report, message: str) -> None:
    _error(report, "TLSIncompatibleFeatures", message)
