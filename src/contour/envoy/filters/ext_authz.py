"""External authorization, the part of a route: switched off where there is nothing to protect."""

from __future__ import annotations

from contour.envoy import pb

NAME = "envoy.filters.http.ext_authz"

# A redirect to https never asks: the answer belongs to the request that comes back over TLS (httpproxy.md §4.9, 1).
DISABLED = pb.pack(pb.ExtAuthzPerRoute(disabled=True))
