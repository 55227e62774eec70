"""The `tls` block of a root: certificate, versions, fallback certificate, client certificates (httpproxy.md §2.5)."""

from __future__ import annotations

import msgspec

from contour.api import projectcontour as api
from contour.api.meta import Ref
from contour.api.scalars import namespaced_ref, quote
from contour.dag.client_validation import client_validation
from contour.dag.graph import Authorization, ClientValidation, JwtProvider
from contour.dag.policy import authorization
from contour.dag.policy.jwt import jwt_providers
from contour.dag.report import Report
from contour.dag.sources import Lookup
from contour.dag.verdict import Finding

_VERSIONS = ("1.2", "1.3")


class Termination(msgspec.Struct, frozen=True, gc=False):
    """What the host's connections need. `fallback`: the certificate for clients that do not say which host they want."""

    secret: Ref
    min_tls: str
    max_tls: str
    client_validation: ClientValidation | None = None
    fallback: Ref | None = None
    jwt_providers: tuple[JwtProvider, ...] = ()
    authorization: Authorization | None = None


class TLSOutcome(msgspec.Struct, frozen=True, gc=False):
    """`termination` is there as soon as certificate and versions are right.

    Routes that others, an Ingress, gave the host are served by it even if the root stops afterwards.
    """

    stop: bool
    termination: Termination | None = None


def terminate(lookup: Lookup, namespace: str, virtualhost: api.VirtualHost, tls: api.TLS, report: Report) -> TLSOutcome:
    """Rows a to o of the table in §2.5. Of passthrough nothing is left to be terminated."""
    if not _modes_agree(tls, report):
        return TLSOutcome(stop=True)
    if tls.passthrough:
        return TLSOutcome(stop=False)
    termination = _termination(lookup, namespace, tls, report)
    if termination is None:
        return TLSOutcome(stop=True)
    if tls.enable_fallback_certificate:
        fallback = _fallback(lookup, namespace, virtualhost, tls, report)
        if fallback is None:
            return TLSOutcome(stop=True, termination=termination)
        termination = msgspec.structs.replace(termination, fallback=fallback)
    if tls.client_validation is not None:
        clients = client_validation(lookup, namespace, tls.client_validation, report)
        if clients is None:
            return TLSOutcome(stop=True, termination=termination)
        termination = msgspec.structs.replace(termination, client_validation=clients)
    termination, finding = _for_requests(lookup, namespace, virtualhost, termination)
    if finding is not None:
        report.add(finding)
    return TLSOutcome(stop=finding is not None, termination=termination)


def _for_requests(
    lookup: Lookup, namespace: str, virtualhost: api.VirtualHost, termination: Termination
) -> tuple[Termination, Finding | None]:
    """Row o: as far as it goes."""
    asked = authorization.server(lookup.options, virtualhost.authorization)
    if asked is not None:
        server = authorization.authorization(lookup, namespace, asked)
        if isinstance(server, Finding):
            return termination, server
        termination = msgspec.structs.replace(termination, authorization=server)
    providers = jwt_providers(lookup, namespace, virtualhost.jwt_providers)
    if isinstance(providers, Finding):
        return termination, providers
    return msgspec.structs.replace(termination, jwt_providers=providers), None


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


def _termination(lookup: Lookup, namespace: str, tls: api.TLS, report: Report) -> Termination | None:
    """Rows e to h."""
    secret = namespaced_ref(tls.secret_name, namespace)
    name = quote(tls.secret_name)
    if not lookup.delegated(secret, namespace):
        _error(
            report,
            "DelegationNotPermitted",
            f"Spec.VirtualHost.TLS Secret {name} certificate delegation not permitted",
        )
        return None
    if error := lookup.serving_error(secret):
        _error(report, "SecretNotValid", f"Spec.VirtualHost.TLS Secret {name} is invalid: {error.text}")
        return None
    min_tls = tls.minimum_protocol_version if tls.minimum_protocol_version in _VERSIONS else "1.2"
    max_tls = tls.maximum_protocol_version if tls.maximum_protocol_version in _VERSIONS else "1.3"
    if max_tls < min_tls:
        _error(
            report,
            "TLSConfigNotValid",
            "Spec.Virtualhost.TLS the minimum protocol version is greater than the maximum protocol version",
        )
        return None
    return Termination(secret, min_tls, max_tls)


def _fallback(lookup: Lookup, namespace: str, virtualhost: api.VirtualHost, tls: api.TLS, report: Report) -> Ref | None:
    """Rows i to m: without a server name nobody can be told apart, so that nothing may depend on who it is."""
    secret = lookup.options.fallback_certificate
    if tls.client_validation is not None:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & client validation are incompatible")
    elif virtualhost.authorization is not None:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & client authorization are incompatible")
    elif virtualhost.jwt_providers:
        _incompatible(report, "Spec.Virtualhost.TLS fallback & JWT providers are incompatible")
    elif secret is None:
        _error(
            report,
            "FallbackNotPresent",
            "Spec.Virtualhost.TLS enabled fallback but the fallback Certificate Secret is not configured in "
            "Contour configuration file",
        )
    elif not lookup.delegated(secret, namespace):
        name = quote(secret)
        _error(
            report,
            "FallbackNotDelegated",
            f"Spec.VirtualHost.TLS Secret {name} is not configured for certificate delegation",
        )
    elif error := lookup.serving_error(secret):
        text = f"Spec.Virtualhost.TLS Secret {quote(secret)} fallback certificate is invalid: {error.text}"
        _error(report, "FallbackNotValid", text)
    else:
        return secret
    return None


def _error(report: Report, reason: str, message: str) -> None:
    report.error("TLSError", reason, message)


def _incompatible(report: Report, message: str) -> None:
    _error(report, "TLSIncompatibleFeatures", message)
