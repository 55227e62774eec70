"""Headers that the administrator sets or removes everywhere (httpproxy.md §2.12, operations.md §2.4.8, §5.6)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from contour.api.invalid import Invalid
from contour.api.scalars import HEADER_NAME_ERRORS, canonical_header, quote, valid_header_name
from contour.dag.graph import Headers
from contour.dag.options import HeaderDefaults
from contour.dag.policy.headers import escape, host_from_header

_NONE = HeaderDefaults()


def with_default_request(own: Headers, defaults: HeaderDefaults, variables: Mapping[str, str]) -> Headers | Invalid:
    """What a service's own policy does not say is as in the defaults; `Host` is one of the headers."""
    return own if defaults == _NONE else _merged(own, defaults, variables, host_allowed=True)


def with_default_response(own: Headers, defaults: HeaderDefaults, variables: Mapping[str, str]) -> Headers | Invalid:
    return own if defaults == _NONE else _merged(own, defaults, variables, host_allowed=False)


def _merged(
    own: Headers, defaults: HeaderDefaults, variables: Mapping[str, str], *, host_allowed: bool
) -> Headers | Invalid:
    values = dict(own.set)
    host_rewrite = own.host_rewrite
    for written, value in defaults.set:
        name = canonical_header(written)
        if name == "Host":
            if not host_allowed:
                return Invalid('rewriting "Host" header is not supported')
            if host_from_header(value):
                return Invalid('rewriting "Host" host header with dynamic value is not supported on service')
            host_rewrite = host_rewrite or value
        elif not valid_header_name(name):
            return Invalid(f"invalid set header {quote(name)}: {HEADER_NAME_ERRORS}")
        else:
            values.setdefault(name, escape(value, variables))
    removed = dict.fromkeys(own.remove)
    for written in defaults.remove:
        name = canonical_header(written)
        if not valid_header_name(name):
            return Invalid(f"invalid set header {quote(name)}: {HEADER_NAME_ERRORS}")
        removed[name] = None
    return msgspec.structs.replace(
        own, set=tuple(sorted(values.items())), remove=tuple(removed), host_rewrite=host_rewrite
    )
