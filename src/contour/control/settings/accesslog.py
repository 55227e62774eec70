"""Formats of access logs: which operators may stand in one, and what a field of a JSON line means (operations.md §7.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from contour.api.scalars import quote
from contour.control.settings import envoyformats
from contour.control.settings.error import SettingsError

FORMATS = ("envoy", "json")
LEVELS = ("info", "error", "critical", "disabled")

_KIND = "METADATA(ROUTE:envoy.access_loggers.file:io.projectcontour."

# Fields of a JSON line whose name says less, or something else, than an operator of Envoy.
_MEANINGS: Mapping[str, str] = {
    "@timestamp": "%START_TIME%",
    "ts": "%START_TIME%",
    "authority": "%REQ(:AUTHORITY)%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "uber_trace_id": "%REQ(UBER-TRACE-ID)%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "x_trace_id": "%REQ(X-TRACE-ID)%",
    "tls_ja3_fingerprint": "%TLS_JA3_FINGERPRINT%",
    "tls_ja4_fingerprint": "%TLS_JA4_FINGERPRINT%",
    "contour_config_kind": f"%{_KIND}kind)%",
    "contour_config_namespace": f"%{_KIND}namespace)%",
    "contour_config_name": f"%{_KIND}name)%",
}

_ENDS = ("LOCAL_ADDRESS", "LOCAL_ADDRESS_WITHOUT_PORT", "LOCAL_PORT",
         "REMOTE_ADDRESS", "REMOTE_ADDRESS_WITHOUT_PORT", "REMOTE_PORT",
         "HEADER_BYTES_RECEIVED", "HEADER_BYTES_SENT", "WIRE_BYTES_RECEIVED", "WIRE_BYTES_SENT",
         "TLS_CIPHER", "TLS_SESSION_ID", "TLS_VERSION",
         "PEER_CERT", "PEER_CERT_V_END", "PEER_CERT_V_START", "PEER_ISSUER", "PEER_SUBJECT")  # fmt: skip

# Operators that need no arguments.
SIMPLE = frozenset(
    (
        *(f"{side}_{end}" for side in ("DOWNSTREAM", "UPSTREAM") for end in _ENDS),
        "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_ID", "CONNECTION_TERMINATION_DETAILS",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_PORT", "DOWNSTREAM_LOCAL_SUBJECT", "DOWNSTREAM_LOCAL_URI_SAN",
        "DOWNSTREAM_PEER_FINGERPRINT_1", "DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_SERIAL",
        "DOWNSTREAM_PEER_URI_SAN", "DURATION", "FILTER_CHAIN_NAME", "GRPC_STATUS", "GRPC_STATUS_NUMBER", "HOSTNAME",
        "LOCAL_REPLY_BODY", "PROTOCOL", "REQUEST_HEADERS_BYTES", "REQUESTED_SERVER_NAME", "REQUEST_DURATION",
        "REQUEST_TX_DURATION", "RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_DURATION", "RESPONSE_FLAGS",
        "RESPONSE_HEADERS_BYTES", "RESPONSE_TRAILERS_BYTES", "RESPONSE_TX_DURATION", "ROUTE_NAME", "START_TIME",
        "TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT", "UPSTREAM_CLUSTER", "UPSTREAM_FILTER_STATE", "UPSTREAM_HOST",
        "UPSTREAM_PROTOCOL", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "VIRTUAL_CLUSTER_NAME",
    )
)  # fmt: skip
_WITH_ARGUMENTS = frozenset(("ENVIRONMENT", "METADATA", "REQ", "REQ_WITHOUT_QUERY", "RESP", "TRAILER"))

# Whole, operator with what follows, its name, its arguments with the length, the length.
_OPERATOR = re.compile(r"%(([A-Z0-9_]+)(\([^)]+\)(:[0-9]+)?)?%)?")


def check(log_format: str, fields: Iterable[str], level: str, text: str) -> None:
    """Raises SettingsError, in the reference's words and order."""
    if log_format not in FORMATS:
        raise SettingsError(f"invalid access log format {quote(log_format)}")
    check_fields(fields)
    if level not in LEVELS:
        raise SettingsError(f"invalid access log level {quote(level)}")
    check_text(text)


def check_fields(fields: Iterable[str]) -> None:
    for name, meaning in fields_of(fields):
        if not meaning:
            raise SettingsError(f"invalid JSON log field name {name}")
        if problem := _problem(meaning):
            raise SettingsError(f"invalid JSON field: {problem}")


def check_text(text: str) -> None:
    if not text:
        return
    if problem := _problem(text):
        raise SettingsError(f"invalid access log format: {problem}")
    if not text.endswith("\n"):
        raise SettingsError("invalid access log format: must end in newline")


def fields_of(fields: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Name and format of each field, sorted by name; the format is "" where a bare name means nothing."""
    found: dict[str, str] = {}
    for field in fields:
        name, given, text = field.partition("=")
        operator = name.upper()
        found[name] = text if given else _MEANINGS.get(name) or (f"%{operator}%" if operator in SIMPLE else "")
    return tuple(sorted(found.items()))


def _problem(text: str) -> str:
    for found in _OPERATOR.finditer(text):
        groups = [group or "" for group in (found.group(), *found.groups())]
        operator, arguments, length = groups[2:]
        shown = f"invalid Envoy format: [{' '.join(groups)}]"
        if not operator:
            return shown
        if operator not in SIMPLE and operator not in _WITH_ARGUMENTS:
            return f"{shown}, invalid Envoy operator: {operator}"
        if operator in _WITH_ARGUMENTS and not arguments:
            return f"{shown}, arguments required for operator: {operator}"
        if operator == "START_TIME" and length:
            return f"{shown}, operator {operator} cannot have truncation length"
        if refusal := envoyformats.refusal(operator, arguments, length):
            return f"{shown}, Envoy refuses operator {operator}: {refusal}"
    return ""
