"""corsPolicy (httpproxy.md §2.17)."""

from __future__ import annotations

import pytest

from contour.api.projectcontour import CORSPolicy
from contour.dag.graph import Cors, Origin
from contour.dag.policy.cors import cors
from contour.dag.verdict import Invalid


def policy(*origins: str, methods: tuple[str, ...] = ("GET",), max_age: str = "") -> CORSPolicy:
    return CORSPolicy(allow_origin=origins, allow_methods=methods, max_age=max_age)


@pytest.mark.parametrize(
    ("text", "regex"),
    [
        ("*", False),
        ("https://a.test", False),
        ("http://localhost:8080", False),
        ("http://[::1]:80", False),
        ("https://*.a.test", False),  # a star may stand in a host: meant literally
        ("https://a.test:", False),
        ("https://a.test/", True),
        ("https://a.test/x", True),
        ("https://a.test?x", True),
        ("https://user@a.test", True),
        ("HTTPS://a.test", True),
        ("a.test", True),
        ("null", True),
        ("https://a.test:port", True),
        (r".*\.a\.test", True),
        ("^https://.*$", True),
    ],
)
def test_origins(text: str, regex: bool) -> None:
    found = cors(policy(text))
    assert isinstance(found, Cors)
    assert found.allow_origins == (Origin(text, regex=regex),)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (policy(), "invalid allowed origin configuration with length 0"),
        (policy("*", methods=()), "invalid allowed methods configuration with length 0"),
        *(
            (
                policy(origin),
                f'invalid allowed origin "{origin}": allowed origin is invalid exact match and invalid regex match',
            )
            for origin in ("**", "*.a.test", "[a", "http://a.test:port/(")
        ),
        (policy("*", max_age="-10m"), 'invalid max age value "-10m"'),
        (
            policy("*", max_age="infinity"),
            'unable to parse timeout string "infinity": time: invalid duration "infinity"',
        ),
        (policy("*", max_age="10"), 'unable to parse timeout string "10": time: missing unit in duration "10"'),
    ],
)
def test_what_is_no_policy(written: CORSPolicy, text: str) -> None:
    assert cors(written) == Invalid(text)


@pytest.mark.parametrize(("text", "nanoseconds"), [("", None), ("0", 0), ("0s", 0), ("10m", 600_000_000_000)])
def test_max_age(text: str, nanoseconds: int | None) -> None:
    found = cors(policy("*", max_age=text))
    assert isinstance(found, Cors)
    assert found.max_age == nanoseconds


def test_no_policy() -> None:
    assert cors(None) is None
