"""What Envoy's formatter refuses of an operator that the reference lets pass; found by asking Envoy (1.40).

A listener with such a log is refused as a whole, so that nothing would be served.
"""

from __future__ import annotations

import re

_LENGTH_DIGITS = 18  # more than that is no number to Envoy

# Without arguments or with: what they may be.
_OPTIONAL = frozenset(
    (
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_PEER_CERT_V_END",
        "DOWNSTREAM_PEER_CERT_V_START",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "GRPC_STATUS",
        "REQUESTED_SERVER_NAME",
        "RESPONSE_CODE_DETAILS",
        "START_TIME",
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_PEER_CERT_V_END",
        "UPSTREAM_PEER_CERT_V_START",
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    )
)
_HEADERS = frozenset(("REQ", "REQ_WITHOUT_QUERY", "RESP", "TRAILER"))
_WITH_LENGTH = _HEADERS | {"ENVIRONMENT", "METADATA", "UPSTREAM_FILTER_STATE"}
_ONE_OF = {
    "GRPC_STATUS": ("CAMEL_STRING", "SNAKE_STRING", "NUMBER"),
    "REQUESTED_SERVER_NAME": tuple(
        f"{first}{second}"
        for second in ("", ":ORIG_OR_HOST", ":HOST", ":ORIG")
        for first in ("SNI_ONLY", "SNI_FIRST", "HOST_FIRST")
    ),
}
_METADATA = ("DYNAMIC", "CLUSTER", "ROUTE", "UPSTREAM_HOST", "LISTENER", "LISTENER_FILTER_CHAIN", "VIRTUAL_HOST")
_HEADER = re.compile(r":?[-!#$%&'*+.^_`|~0-9A-Za-z]*")
_FILTER_STATE = re.compile(r"[^:]+(:PLAIN|:TYPED|:FIELD:[^:]+)?")


def refusal(operator: str, arguments: str, length: str) -> str:
    """Why Envoy refuses it, "" if it does not. `arguments` with their brackets and length, `length` with its colon."""
    inner = arguments.removesuffix(length).removeprefix("(").removesuffix(")")
    if "\n" in inner:
        return "arguments may not contain a newline"
    if operator == "UPSTREAM_FILTER_STATE":
        return (
            "" if _FILTER_STATE.fullmatch(inner) else "arguments must be a key, key:PLAIN, key:TYPED or key:FIELD:name"
        )
    if not arguments:
        return ""
    if operator not in _OPTIONAL and operator not in _WITH_LENGTH:
        return "it takes no arguments"
    if length and operator not in _WITH_LENGTH:
        return "it takes no length"
    if len(length) > _LENGTH_DIGITS:
        return "the length is too large"
    if allowed := _ONE_OF.get(operator):
        return "" if inner in allowed else f"the argument must be one of {', '.join(allowed)}"
    if operator in _HEADERS:
        return _headers(inner)
    if operator == "METADATA" and inner.split(":")[0] not in _METADATA:
        return f"the first argument must be one of {', '.join(_METADATA)}"
    return ""


def _headers(text: str) -> str:
    names = text.split("?")
    if len(names) > 2:
        return "there may be one alternative header"
    return "" if all(map(_HEADER.fullmatch, names)) else "a header name has characters that are not allowed"
