"""Annotations that mean something here: their names by kind, and how one is read (operations.md §5.4, §12.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from contour.api.scalars import quote

PREFIX = "projectcontour.io/"
OLD_PREFIX = "contour.heptio.com/"
INGRESS_PREFIX = "ingress.kubernetes.io/"
FORCE_SSL_REDIRECT = INGRESS_PREFIX + "force-ssl-redirect"
ALLOW_HTTP = "kubernetes.io/ingress.allow-http"
KUBERNETES_CLASS = "kubernetes.io/ingress.class"
CLASSES = (PREFIX + "ingress.class", OLD_PREFIX + "ingress.class", KUBERNETES_CLASS)  # the first that is there decides

_OLD_INGRESS = (
    "ingress.class",
    "num-retries",
    "per-try-timeout",
    "request-timeout",
    "retry-on",
    "tls-minimum-protocol-version",
    "websocket-routes",
)
_OLD_SERVICE = (
    "max-connections",
    "max-pending-requests",
    "max-requests",
    "max-retries",
    "upstream-protocol.h2",
    "upstream-protocol.h2c",
    "upstream-protocol.tls",
)
_OLD = {OLD_PREFIX + name for name in (*_OLD_INGRESS, *_OLD_SERVICE)}

_KNOWN: dict[str, frozenset[str]] = {
    "Ingress": frozenset(
        {
            *CLASSES,
            FORCE_SSL_REDIRECT,
            ALLOW_HTTP,
            *(OLD_PREFIX + name for name in _OLD_INGRESS),
            *(PREFIX + name for name in _OLD_INGRESS),
            PREFIX + "response-timeout",
            PREFIX + "tls-cert-namespace",
            PREFIX + "tls-maximum-protocol-version",
        }
    ),
    "HTTPProxy": frozenset(CLASSES),
    "IngressRoute": frozenset(CLASSES),
    "Service": frozenset(
        {
            *(OLD_PREFIX + name for name in _OLD_SERVICE),
            *(PREFIX + name for name in _OLD_SERVICE),
            PREFIX + "per-host-max-connections",
        }
    ),
    "Secret": frozenset({PREFIX + "generated-by-version"}),
}
# What looks as if it were for us: on kinds that have annotations of their own, and on the others.
_FAMILIES = (PREFIX, OLD_PREFIX, INGRESS_PREFIX)
_INGRESS_NAMES = (KUBERNETES_CLASS, ALLOW_HTTP, "kubernetes.io/ingress.global-static-ip-name")


def key_of(annotations: Mapping[str, str], name: str) -> str:
    """`projectcontour.io/NAME`, or the older `contour.heptio.com/NAME` if there was one and it alone is there."""
    key, old = PREFIX + name, OLD_PREFIX + name
    return old if key not in annotations and old in _OLD and old in annotations else key


def value(annotations: Mapping[str, str], name: str) -> str:
    """What stands there; "" for nothing."""
    return annotations.get(key_of(annotations, name), "")


def unsupported(kind: str, annotations: Mapping[str, str]) -> Iterator[str]:
    """One text for each annotation that is addressed to us and has no effect on an object of the kind."""
    known = _KNOWN.get(kind)
    for key in sorted(annotations):
        if known is None:
            ours = key.startswith((PREFIX, OLD_PREFIX))
        else:
            ours = key not in known and (key.startswith(_FAMILIES) or key in _INGRESS_NAMES)
        if ours:
            yield f"ignoring invalid or unsupported annotation {quote(key)}"
