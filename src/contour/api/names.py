"""Names as an API server wants them (RFC 1123), with its messages."""

from __future__ import annotations

import re

from contour.api.scalars import quote

_LABEL_PATTERN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_PATTERN = _LABEL_PATTERN + r"(\." + _LABEL_PATTERN + ")*"
_LABEL = re.compile(_LABEL_PATTERN)
_SUBDOMAIN = re.compile(_SUBDOMAIN_PATTERN)
_WILDCARD = re.compile(r"\*\." + _SUBDOMAIN_PATTERN)


def label_error(text: str) -> str:
    """What is wrong with the name of a Service, a namespace: one label of a DNS name. "" if nothing is."""
    if len(text) > 63:
        return f"Invalid value: {quote(text)}: must be no more than 63 characters"
    if _LABEL.fullmatch(text):
        return ""
    return (
        f"Invalid value: {quote(text)}: a lowercase RFC 1123 label must consist of lower case alphanumeric characters "
        "or '-', and must start and end with an alphanumeric character "
        f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_PATTERN}')"
    )


def subdomain_error(text: str) -> str:
    """What is wrong with a name that is a DNS name: that of most objects, and of a host. "" if nothing is."""
    if len(text) > 253:
        return f"Invalid value: {quote(text)}: must be no more than 253 characters"
    if _SUBDOMAIN.fullmatch(text):
        return ""
    return (
        f"Invalid value: {quote(text)}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
        "characters, '-' or '.', and must start and end with an alphanumeric character "
        f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN_PATTERN}')"
    )


def host_error(text: str) -> str:
    """What is wrong with a host name that may begin with `*.`; "" if nothing is."""
    if not text.startswith("*"):
        return subdomain_error(text)
    if _WILDCARD.fullmatch(text) and len(text) <= 253:
        return ""
    return f"Invalid value: {quote(text)}: a wildcard host must be '*.' and a host name in lower case"
