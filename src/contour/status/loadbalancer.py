"""The address under which the ingress is reached, as it stands in the status of objects (operations.md §5.8)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

Ingress = Mapping[str, Any]  # one entry of `status.loadBalancer.ingress`


def from_addresses(text: str) -> tuple[Ingress, ...]:
    """Entries of a comma-separated list of IP addresses and host names (`--ingress-status-address`)."""
    return tuple(_entry(part.strip()) for part in text.split(",") if part.strip())


def applied(status: Mapping[str, Any], entries: Sequence[Ingress], *, ip_mode: bool) -> dict[str, Any]:
    """`status` with the address. Without entries nothing changes: an old address stays, as in the reference.

    `ip_mode`: keep `ipMode` (HTTPProxy) or drop it (Ingress).
    """
    if not entries:
        return dict(status)
    kept = [{key: value for key, value in entry.items() if ip_mode or key != "ipMode"} for entry in entries]
    return {**status, "loadBalancer": {"ingress": kept}}


def _entry(address: str) -> Ingress:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return {"hostname": address}
    return {"ip": address}
