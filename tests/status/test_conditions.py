"""Status blocks of httpproxy.md §3.1 and addresses of operations.md §5.8."""

from __future__ import annotations

from typing import Any

import pytest

from contour.dag.verdict import Finding, Verdict
from contour.status.conditions import http_proxy_status
from contour.status.loadbalancer import applied, from_addresses

ERROR = Finding("ServiceError", "ServiceUnresolvedReference", 'service "shop/cart" not found')


def test_a_valid_proxy() -> None:
    assert http_proxy_status(Verdict(), 3, {}) == {
        "conditions": [
            {
                "type": "Valid",
                "status": "True",
                "reason": "Valid",
                "message": "Valid HTTPProxy",
                "observedGeneration": 3,
            }
        ],
        "currentStatus": "valid",
        "description": "Valid HTTPProxy",
        "loadBalancer": {},
    }


def test_an_invalid_proxy_lists_its_errors() -> None:
    status = http_proxy_status(Verdict((ERROR, ERROR), (ERROR,)), 0, {})
    sub = {"type": ERROR.type, "status": "True", "reason": ERROR.reason, "message": ERROR.message}
    assert status["conditions"] == [
        {
            "type": "Valid",
            "status": "False",
            "reason": "ErrorPresent",
            "message": "At least one error present, see Errors for details",
            "errors": [sub, sub],
            "warnings": [sub],
        }
    ]
    assert status["currentStatus"] == "invalid"
    assert status["description"] == "At least one error present, see Errors for details"


def test_an_orphan_says_so_in_its_description() -> None:
    orphaned = Finding("Orphaned", "Orphaned", "this HTTPProxy is not part of a delegation chain from a root HTTPProxy")
    status = http_proxy_status(Verdict((orphaned,)), 1, {})
    assert (status["currentStatus"], status["description"]) == ("orphaned", orphaned.message)


@pytest.mark.parametrize(("existing", "kept"), [(4, False), (5, False), (6, True)])
def test_a_condition_that_saw_a_newer_generation_stays(existing: int, kept: bool) -> None:
    theirs = {
        "type": "Valid",
        "status": "False",
        "reason": "ErrorPresent",
        "message": "newer",
        "observedGeneration": existing,
    }
    other = {"type": "Ready", "status": "True"}
    status = http_proxy_status(Verdict(), 5, {"conditions": [other, theirs]})
    assert status["conditions"][0] == other
    assert (status["conditions"][1]["message"] == "newer") is kept
    assert (status["currentStatus"] == "invalid") is kept


def test_a_newer_condition_without_texts_is_no_obstacle() -> None:
    """A schema allows an empty message; what is empty is not there when a status has been read."""
    others = {"status": "True"}  # without a type
    for status, error, summary in (
        ("True", {}, ("valid", "")),
        ("False", {"message": "of no type"}, ("invalid", "")),
        ("False", {"type": "Orphaned"}, ("orphaned", "")),
    ):
        theirs = {"type": "Valid", "status": status, "observedGeneration": 6, "errors": [error]}
        found = http_proxy_status(Verdict(), 5, {"conditions": [others, theirs]})
        assert (found["currentStatus"], found["description"]) == summary
        assert found["conditions"] == [others, theirs]


@pytest.mark.parametrize("status", [{"status": "Unknown"}, {}], ids=["unknown", "none"])
def test_of_a_newer_condition_that_is_neither_true_nor_false_nothing_is_derived(status: dict[str, str]) -> None:
    theirs = {"type": "Valid", "message": "newer", "observedGeneration": 6, **status}
    old = {"currentStatus": "valid", "description": "Valid HTTPProxy", "conditions": [theirs]}
    assert http_proxy_status(Verdict((ERROR,)), 5, old) == {**old, "loadBalancer": {}}


def test_a_long_message_is_cut_at_its_bytes() -> None:
    status = http_proxy_status(Verdict((Finding("T", "R", "µ" * 20000),)), 0, {})
    message = status["conditions"][0]["errors"][0]["message"]
    assert len(message.encode()) == 32760


def test_addresses_are_told_apart() -> None:
    assert from_addresses(" 192.0.2.1, lb.example ,,2001:db8::1") == (
        {"ip": "192.0.2.1"},
        {"hostname": "lb.example"},
        {"ip": "2001:db8::1"},
    )


def test_no_address_leaves_the_old_one() -> None:
    status: dict[str, Any] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}
    assert applied(status, (), ip_mode=True) == status


def test_an_ingress_has_no_ip_mode() -> None:
    entry = {"ip": "192.0.2.1", "ipMode": "VIP"}
    assert applied({}, [entry], ip_mode=True) == {"loadBalancer": {"ingress": [entry]}}
    assert applied({}, [entry], ip_mode=False) == {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
