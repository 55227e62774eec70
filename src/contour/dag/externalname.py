"""Which ExternalName services may be upstreams (httpproxy.md §2.20).

Such a service can point anywhere, also at this proxy's own admin interface (CVE-2021-32783); hence off by default, and
names of this machine are refused always. The reference compares literally; here every spelling that a resolver would
take for a loopback, link-local or unspecified address is refused (design: security.md).
"""

from __future__ import annotations

import ipaddress

from contour.api.meta import Ref

_LOCAL_NAMES = frozenset(
    {
        "localhost",
        "localhost.localdomain",
        "local.projectcontour.io",
        # Of the hosts file that Kubernetes writes into each Pod, and of those of distributions.
        "ip6-localhost",
        "ip6-loopback",
        "localhost4",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
    }
)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def external_name_error(service: Ref, external_name: str, *, enabled: bool) -> str:
    """Why `service` may not be used; "" if it may."""
    if not enabled:
        return (
            f"{service} is an ExternalName service, these are not currently enabled. "
            "See the config.enableExternalNameService config file setting"
        )
    host = external_name.rstrip(".").lower()
    if _is_local_name(host):
        return f"{service} is an ExternalName service that points to localhost, this is not allowed"
    if _is_local_address(host):
        return (
            f"{service} is an ExternalName service that points to a loopback, link-local or unspecified IP address, "
            "this is not allowed"
        )
    return ""


def is_local(name: str) -> bool:
    """Whether a host is a name or address of this machine or its link, however it is written."""
    host = name.rstrip(".").lower()
    return _is_local_name(host) or _is_local_address(host)


def _is_local_name(host: str) -> bool:
    return host in _LOCAL_NAMES or host.endswith(".localhost")


def _is_local_address(host: str) -> bool:
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_link_local or address.is_unspecified)


def _address(host: str) -> _Address | None:
    try:
        address: _Address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return _inet_aton(host)
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _inet_aton(host: str) -> ipaddress.IPv4Address | None:
    """The old forms of an IPv4 address that resolvers still take: `127.1`, `0x7f000001`, `017700000001`, `2130706433`."""
    parts = host.split(".")
    if len(parts) > 4:
        return None
    numbers = [_number(part) for part in parts]
    value = 0
    for number in numbers[:-1]:
        if number is None or number > 0xFF:
            return None
        value = value << 8 | number
    last, last_bits = numbers[-1], 8 * (5 - len(parts))
    if last is None or last >= 1 << last_bits:
        return None
    return ipaddress.IPv4Address(value << last_bits | last)


def _number(text: str) -> int | None:
    """As strtoul reads it with base 0."""
    try:
        if text.startswith("0x"):
            return int(text, 16)
        if text.startswith("0") and text != "0":
            return int(text, 8)
        return int(text) if text.isascii() and text.isdigit() else None
    except ValueError:
        return None
