"""corsPolicy of a virtual host (httpproxy.md §2.17)."""

from __future__ import annotations

from contour.api.invalid import Invalid
from contour.api.projectcontour import CORSPolicy
from contour.api.scalars import parse_max_age, quote, regex_error
from contour.api.urls import parse_url
from contour.dag.graph import Cors, Origin


def cors(policy: CORSPolicy | None) -> Cors | Invalid | None:
    if policy is None:
        return None
    if not policy.allow_origin:
        return Invalid("invalid allowed origin configuration with length 0")
    origins: list[Origin] = []
    for text in policy.allow_origin:
        origin = _origin(text)
        if isinstance(origin, Invalid):
            return origin
        origins.append(origin)
    if not policy.allow_methods:
        return Invalid("invalid allowed methods configuration with length 0")
    max_age = parse_max_age(policy.max_age)
    if isinstance(max_age, Invalid):
        return max_age
    if max_age is not None and max_age < 0:
        return Invalid(f"invalid max age value {quote(policy.max_age)}")
    return Cors(
        allow_origins=tuple(origins),
        allow_methods=policy.allow_methods,
        allow_headers=policy.allow_headers,
        expose_headers=policy.expose_headers,
        allow_credentials=policy.allow_credentials,
        allow_private_network=policy.allow_private_network,
        max_age=max_age,
    )


def _origin(text: str) -> Origin | Invalid:
    """`*` and origins as browsers send them are meant literally, everything else is a regular expression."""
    if text == "*" or _is_exact(text):
        return Origin(text)
    if regex_error(text) is not None:
        return Invalid(
            f"invalid allowed origin {quote(text)}: allowed origin is invalid exact match and invalid regex match"
        )
    return Origin(text, regex=True)


def _is_exact(text: str) -> bool:
    url = parse_url(text)
    return not isinstance(url, Invalid) and bool(url.scheme and url.host) and f"{url.scheme}://{url.host}" == text
