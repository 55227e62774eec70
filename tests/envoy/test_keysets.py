"""Which keys are sent: never one for whose sake Envoy refuses a listener."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.envoy.test_scripts import configuration

from contour.api.meta import Ref
from contour.dag.graph import JwtProvider, LocalKeys
from contour.envoy import pb
from contour.envoy.filters import jwt_authn
from contour.envoy.keysets import usable
from contour.testing.envoy import validate
from contour.testing.jwks import Issuer, encoded

EC: dict[str, Any] = json.loads(Issuer().key_set())["keys"][0]
_NUMBERS = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
RSA = {"kty": "RSA", "n": encoded(_NUMBERS.n.to_bytes(256, "big")), "e": "AQAB"}
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
OCT = {"kty": "oct", "k": "c2VjcmV0"}

GOOD = [
    EC,
    RSA,
    {**RSA, "alg": "PS512"},
    OKP,
    OCT,
    {**EC, "kid": 5},
    {name: EC[name] for name in ("kty", "crv", "x", "y")},
]
BAD: list[Any] = [
    "x", None, 5, [], {}, {"kty": 5}, {"kty": "ZZ"}, {"kty": "RSA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    {**RSA, "alg": "RSA-OAEP"}, {**RSA, "e": "AA"}, {**RSA, "n": RSA["n"] + "="}, {**RSA, "e": "AQABAQABAQAB"},
    {**EC, "x": "!!"}, {**EC, "x": EC["y"]}, {**EC, "crv": "P-111"}, {**EC, "alg": "ES512"}, {**EC, "alg": 5},
    {**OKP, "x": "AA"}, {**OKP, "crv": "X25519"}, {"kty": "oct"}, {"kty": "oct", "k": ""},
]  # fmt: skip


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def problem(text: bytes) -> str | None:
    """What Envoy says."""
    provider = JwtProvider("a", LocalKeys(Ref("shop", "keys"), "jwks"))
    one = jwt_authn.http_filter([provider], lambda _: text, lambda _: "")
    assert one is not None
    route = pb.Route(match=pb.RouteMatch(prefix="/"), direct_response=pb.DirectResponseAction(status=200))
    return validate(configuration(one, [route]))


@pytest.mark.parametrize("key", GOOD, ids=range(len(GOOD)))
def test_a_good_key_is_sent(key: dict[str, Any]) -> None:
    sent = usable(key_set(*BAD, key))
    assert sent is not None
    assert json.loads(sent) == {"keys": [{name: value for name, value in key.items() if isinstance(value, str)}]}
    assert problem(sent) is None


@pytest.mark.parametrize("key", BAD, ids=range(len(BAD)))
def test_a_bad_key_is_not(key: Any) -> None:
    assert usable(key_set(key)) is None


def test_envoy_refuses_a_set_of_bad_keys() -> None:
    assert "invalid local jwks" in (problem(key_set(*BAD[:6])) or "")
    assert "invalid local jwks" in (problem(key_set()) or "")
    assert usable(key_set()) is None


@pytest.mark.parametrize("text", [b'{"keys": [], "keys": %s}', b'{"keys": %s, "a": "\xff"}'])
def test_json_that_readers_do_not_agree_on(text: bytes) -> None:
    sent = usable(text % json.dumps([EC]).encode())
    assert sent is not None
    assert problem(sent) is None
