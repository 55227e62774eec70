"""requestHeadersPolicy and responseHeadersPolicy of routes and services (httpproxy.md §2.12).

Values may name Envoy's own variables (`%PROTOCOL%`) and ours (`%CONTOUR_NAMESPACE%`); every other `%` is doubled, so
that Envoy never takes a user's text for a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from contour.api.invalid import Invalid
from contour.api.projectcontour import HeadersPolicy
from contour.api.scalars import HEADER_NAME_ERRORS, canonical_header, quote, valid_header_name
from contour.dag.graph import NO_HEADERS, Headers

# Searched for anywhere in the value of `Host`; what stands around it is ignored.
_HOST_FROM_HEADER = re.compile(r"%REQ\(([A-Za-z0-9-]+)\)%")

# Applied after every `%` was doubled, hence the outer pair. `%REQ(name)%`, `%REQ(:pseudo)%`, `%REQ(a?b)%`, each with
# an optional `:N` length.
_REQUEST_HEADER = re.compile(r"%(%REQ\(:?[\w-]+(\?:?[\w-]+)?\)(:\d+)?%)%", re.ASCII)

_ENVOY_VARIABLES = (
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_CERT_V_END",
    "HOSTNAME",
    "PROTOCOL",
    "UPSTREAM_REMOTE_ADDRESS",
    "RESPONSE_FLAGS",
    "RESPONSE_CODE_DETAILS",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
)


def request_headers(policy: HeadersPolicy | None, variables: Mapping[str, str]) -> Headers | Invalid:
    """`variables`: name without the percent signs (`CONTOUR_NAMESPACE`) -> literal text."""
    return _headers(policy, variables, host_allowed=True)


def response_headers(policy: HeadersPolicy | None, variables: Mapping[str, str]) -> Headers | Invalid:
    return _headers(policy, variables, host_allowed=False)


def host_from_header(value: str) -> str:
    """The header that a value of `Host` takes the host from; "" for a host as it stands."""
    found = _HOST_FROM_HEADER.search(value)
    return canonical_header(found.group(1)) if found else ""


def escape(value: str, variables: Mapping[str, str]) -> str:
    """Double every `%` except those of variables that are known."""
    if "%" not in value:
        return value
    escaped = value.replace("%", "%%")
    for name, text in variables.items():
        escaped = escaped.replace(f"%%{name}%%", text)
    for name in _ENVOY_VARIABLES:
        escaped = escaped.replace(f"%%{name}%%", f"%{name}%")
    return _REQUEST_HEADER.sub(r"\1", escaped)


def _headers(policy: HeadersPolicy | None, variables: Mapping[str, str], *, host_allowed: bool) -> Headers | Invalid:
    if policy is None:
        return NO_HEADERS
    values: dict[str, str] = {}
    host_rewrite = host_rewrite_header = ""
    for entry in policy.set:
        name = canonical_header(entry.name)
        if name in values:
            return Invalid(f"duplicate header addition: {quote(name)}")
        if name == "Host":  # never in `values`: the last one wins
            if not host_allowed:
                return Invalid('rewriting "Host" header is not supported')
            if header := host_from_header(entry.value):
                host_rewrite_header = header
            else:
                host_rewrite = entry.value
            continue
        if not valid_header_name(name):
            return Invalid(f"invalid set header {quote(name)}: {HEADER_NAME_ERRORS}")
        values[name] = escape(entry.value, variables)
    remove = _remove(policy.remove)
    if isinstance(remove, Invalid):
        return remove
    return Headers(
        set=tuple(sorted(values.items())),
        remove=remove,
        host_rewrite=host_rewrite,
        host_rewrite_header=host_rewrite_header,
    )


def _remove(names: Iterable[str]) -> tuple[str, ...] | Invalid:
    removed: set[str] = set()
    for written in names:
        name = canonical_header(written)
        if name in removed:
            return Invalid(f"duplicate header removal: {quote(name)}")
        if not valid_header_name(name):
            return Invalid(f"invalid remove header {quote(name)}: {HEADER_NAME_ERRORS}")
        removed.add(name)
    return tuple(sorted(removed))
