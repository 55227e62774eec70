"""Annotations of an Ingress that shape its routes (operations.md §5.4). The class is the store's business."""

from __future__ import annotations

from contour.api.meta import ObjectMeta

_FORCE_SSL_REDIRECT = "ingress.kubernetes.io/force-ssl-redirect"
_ALLOW_HTTP = "kubernetes.io/ingress.allow-http"


def force_ssl_redirect(metadata: ObjectMeta) -> bool:
    """Whether HTTP only redirects to HTTPS; exactly `true`, any other text is no."""
    return (metadata.annotations or {}).get(_FORCE_SSL_REDIRECT) == "true"


def http_allowed(metadata: ObjectMeta) -> bool:
    """Whether there are routes on the HTTP listener: a redirect there is one, whatever `allow-http` says."""
    return force_ssl_redirect(metadata) or (metadata.annotations or {}).get(_ALLOW_HTTP) != "false"
