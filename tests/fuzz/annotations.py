"""Annotations that mean something, old and new, with values that do and that do not."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.fuzz.values import Strategy

_VALUES = {
    **{
        f"{family}/{name}": values
        for family in ("projectcontour.io", "contour.heptio.com")
        for name, values in {
            "ingress.class": ("contour", "contour", "other"),
            "response-timeout": ("5s", "infinity", "x"),
            "request-timeout": ("5s", "infinity", "x", "9999999999h"),
            "retry-on": ("5xx", "5xx,reset", "x", ""),
            "num-retries": ("3", "-1", "x", "99999999999"),
            "per-try-timeout": ("1s", "x"),
            "tls-minimum-protocol-version": ("1.3", "1.1", "x"),
            "tls-maximum-protocol-version": ("1.2", "x"),
            "tls-cert-namespace": ("other", "shop", ""),
            "websocket-routes": ("/", "/a,/b", ""),
            "max-connections": ("10", "-1", "99999999999", "x"),
            "max-pending-requests": ("10", "0"),
            "max-requests": ("10", " 10"),
            "max-retries": ("10", "1e3"),
            "per-host-max-connections": ("1", "x"),
            "upstream-protocol.h2": ("443", "tls"),
            "upstream-protocol.h2c": ("80", "http,x", ""),
            "upstream-protocol.tls": ("443,80", ""),
        }.items()
    },
    "ingress.kubernetes.io/force-ssl-redirect": ("true", "false", "x"),
    "kubernetes.io/ingress.allow-http": ("true", "false", "x"),
    "kubernetes.io/ingress.class": ("contour", "contour", "nginx", ""),
}


def annotations() -> Strategy:
    return st.lists(st.sampled_from(sorted(_VALUES)), max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: st.sampled_from(_VALUES[key]) for key in keys})
    )
