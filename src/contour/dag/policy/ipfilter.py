"""ipAllowPolicy and ipDenyPolicy: which client addresses may pass (httpproxy.md §2.18)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from contour.api.projectcontour import IPFilterPolicy
from contour.dag.graph import AddressFilter, AddressRule
from contour.dag.verdict import Finding, Invalid

_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_LENGTH_DIGITS = 3  # of the longest prefix length there is


class Filtering(msgspec.Struct, frozen=True, gc=False):
    """`findings`: one for each entry that cannot be read. `failed`: the text of the last entry's error, if it has one.

    The last entry alone decides whether the policy as a whole fails; if it does, no rule of it holds.
    """

    rules: AddressFilter | None = None
    findings: tuple[Finding, ...] = ()
    failed: str = ""


_NO_FILTER = Filtering()


def address_filter(allow: Sequence[IPFilterPolicy], deny: Sequence[IPFilterPolicy]) -> Filtering:
    """At most one of the two may have entries; the caller has said so already."""
    entries = allow or deny
    if not entries:
        return _NO_FILTER
    rules: list[AddressRule] = []
    findings: list[Finding] = []
    failed = ""
    for entry in entries:
        rule = _rule(entry)
        failed = rule.text if isinstance(rule, Invalid) else ""
        if isinstance(rule, Invalid):
            findings.append(Finding("IPFilterError", "InvalidCIDR", f"{entry.cidr} failed to parse: {failed}"))
        else:
            rules.append(rule)
    if failed:
        return Filtering(None, tuple(findings), failed)
    return Filtering(AddressFilter(allow=bool(allow), rules=tuple(rules)), tuple(findings))


def _rule(entry: IPFilterPolicy) -> AddressRule | Invalid:
    cidr = entry.cidr
    if "/" not in cidr:
        cidr += "/128" if ":" in cidr else "/32"
    text, _, length = cidr.partition("/")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _invalid(cidr)
    significant = length.lstrip("0") or "0"
    if "%" in text or not _DIGITS.match(length) or len(significant) > _LENGTH_DIGITS:
        return _invalid(cidr)
    bits = int(significant)
    if bits > address.max_prefixlen:
        return _invalid(cidr)
    lowest = ipaddress.ip_network((address, bits), strict=False).network_address
    if isinstance(lowest, ipaddress.IPv6Address):
        lowest = lowest.ipv4_mapped or lowest
    return AddressRule(remote=entry.source == "Remote", address=str(lowest), prefix_length=bits)


def _invalid(cidr: str) -> Invalid:
    return Invalid(f"invalid CIDR address: {cidr}")
