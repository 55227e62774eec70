"""`ingress.kubernetes.io/` and `kubernetes.io/ingress.`: the annotations of an Ingress that controllers once shared."""

from __future__ import annotations

from collections.abc import Mapping

from contour.api.annotations import ALLOW_HTTP, FORCE_SSL_REDIRECT


def redirect_to_https(annotations: Mapping[str, str]) -> bool:
    """Whether HTTP only redirects to HTTPS; exactly `true`, any other text is no. Stronger than `http_allowed`."""
    return annotations.get(FORCE_SSL_REDIRECT) == "true"


def http_allowed(annotations: Mapping[str, str]) -> bool:
    return annotations.get(ALLOW_HTTP) != "false"
