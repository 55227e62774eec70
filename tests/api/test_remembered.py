"""What is remembered of users' texts has a bound in bytes: a reference that is kept shows in the count of references."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import re2

from contour.api.meta import Ref
from contour.api.scalars import canonical_header, parse_duration, regex_error
from contour.dag import secrets
from contour.dag.graph import Authorization, RouteAuthorization
from contour.envoy import keysets, refusals, rules
from contour.envoy.filters import ext_authz, jwt_authn

LONG = 100_000
_SERVICE = Ref("shop", "auth")

KEPT_NOT: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a duration": (lambda: "x" * LONG, parse_duration),
    "a header's name": (lambda: "x" * LONG, canonical_header),
    "a regular expression": (lambda: "/" + "x" * LONG, regex_error),
    "a bad regular expression": (lambda: "(" + "x" * LONG, regex_error),
    "a provider's name": (lambda: "x" * LONG, jwt_authn.requirement),
    "a context": (lambda: RouteAuthorization(context=(("key", "x" * LONG),)), ext_authz.per_route),
    "a path": (lambda: Authorization(_SERVICE, http=True, path_prefix="x" * LONG), refusals.of_authorization),
    "packed configuration": (lambda: b"x" * LONG, lambda value: rules._packed("type.googleapis.com/none", value)),
    "certificates": (lambda: b"x" * LONG, secrets.reads_as_authorities),
    "revoked certificates": (lambda: b"x" * LONG, secrets.reads_as_revocation_lists),
    "keys": (lambda: b'{"keys": [], "x": "%s"}' % (b"x" * LONG), keysets.usable),
}  # fmt: skip


@pytest.mark.parametrize("what", KEPT_NOT)
def test_what_is_long_is_not_kept(what: str) -> None:
    make, use = KEPT_NOT[what]
    value = make()
    before = sys.getrefcount(value)
    first = use(value)
    assert use(value) == first
    del first
    assert sys.getrefcount(value) == before


def test_what_is_short_is_computed_once() -> None:
    assert regex_error("(nobody writes this") is regex_error("(nobody writes this")


def test_no_compiled_expression_is_kept() -> None:
    """One can have 8 MB, and the library would keep 128 of them."""
    assert regex_error("/[a-z]+/nobody writes this either") is None
    assert re2._Regexp._make.cache_info().currsize == 0  # type: ignore[attr-defined]
