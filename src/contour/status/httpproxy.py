"""What is counted of the HTTPProxies (httpproxy.md §3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from contour.api.projectcontour import HTTPProxy


class State(NamedTuple):
    """`vhost` is empty for what is no root, and for a root without a name; `status` is the `currentStatus`."""

    namespace: str
    vhost: str
    status: str


def state(proxy: HTTPProxy, status: Mapping[str, Any]) -> State:
    """Of an object with the status block that it should have."""
    virtualhost = proxy.spec.virtualhost
    vhost = virtualhost.fqdn if virtualhost is not None and virtualhost.fqdn.strip() else ""
    if any(error.get("reason") == "DuplicateVhost" for error in _errors(status)):
        vhost = vhost.lower()  # all that claim one name are counted under it, however they write it
    return State(proxy.ref.namespace, vhost, status.get("currentStatus", ""))


def _errors(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [error for condition in status.get("conditions", ()) for error in condition.get("errors", ())]
