"""Ranges of addresses as Go reads them, and which mistake ends a policy (httpproxy.md §2.18)."""

from __future__ import annotations

import pytest

from contour.api.projectcontour import IPFilterPolicy
from contour.dag.graph import AddressFilter, AddressRule
from contour.dag.policy.ipfilter import Filtering, address_filter
from contour.dag.verdict import Finding


def entries(*cidrs: str, source: str = "Peer") -> tuple[IPFilterPolicy, ...]:
    return tuple(IPFilterPolicy(source, cidr) for cidr in cidrs)


@pytest.mark.parametrize(
    ("cidr", "address", "prefix_length"),
    [
        ("10.1.2.3/8", "10.0.0.0", 8),
        ("10.1.2.3", "10.1.2.3", 32),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("10.0.0.0/08", "10.0.0.0", 8),
        ("2001:db8::1:2/64", "2001:db8::", 64),
        ("2001:DB8:0:0::1", "2001:db8::1", 128),
        ("::/0", "::", 0),
        ("fe80::1/10", "fe80::", 10),
        ("::ffff:10.0.0.1/120", "10.0.0.0", 120),
        ("::ffff:10.0.0.1", "10.0.0.1", 128),
    ],
)
def test_ranges(cidr: str, address: str, prefix_length: int) -> None:
    rules = (AddressRule(remote=False, address=address, prefix_length=prefix_length),)
    assert address_filter(entries(cidr), ()) == Filtering(AddressFilter(allow=True, rules=rules))


@pytest.mark.parametrize(
    ("cidr", "with_mask"),
    [
        ("", "/32"),
        ("nope", "nope/32"),
        ("300.1.1.1", "300.1.1.1/32"),
        ("10.0.0/8", "10.0.0/8"),
        ("10.0.0.1/", "10.0.0.1/"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0.0/-1", "10.0.0.0/-1"),
        ("10.0.0.0/+8", "10.0.0.0/+8"),
        ("10.0.0.0/8/8", "10.0.0.0/8/8"),
        ("10.0.0.0/" + "1" * 5000, "10.0.0.0/" + "1" * 5000),
        ("010.0.0.1", "010.0.0.1/32"),
        ("2001:db8::/129", "2001:db8::/129"),
        ("fe80::1%eth0/64", "fe80::1%eth0/64"),
        ("::g", "::g/128"),
        (" 10.0.0.1", " 10.0.0.1/32"),
        ("10.0.0.0/٣", "10.0.0.0/٣"),
    ],
)
def test_what_is_no_range(cidr: str, with_mask: str) -> None:
    text = f"invalid CIDR address: {with_mask}"
    finding = Finding("IPFilterError", "InvalidCIDR", f"{cidr} failed to parse: {text}")
    assert address_filter((), entries(cidr)) == Filtering(None, (finding,), text)


def test_the_last_entry_decides() -> None:
    good_last = address_filter((), entries("bad", "10.0.0.0/8", source="Remote"))
    assert good_last.rules == AddressFilter(allow=False, rules=(AddressRule(True, "10.0.0.0", 8),))
    assert (len(good_last.findings), good_last.failed) == (1, "")
    bad_last = address_filter((), entries("10.0.0.0/8", "bad"))
    assert (bad_last.rules, len(bad_last.findings)) == (None, 1)
    assert bad_last.failed == "invalid CIDR address: bad/32"


def test_no_entries() -> None:
    assert address_filter((), ()) == Filtering()
