"""JSON Web Key Sets that Envoy takes (RFC 7517, RFC 7518 §6).

For a key set without a single key that it understands Envoy refuses the whole listener; and its JSON reader is stricter
than others. So only keys that are known to be good are sent, written anew. Envoy skips the others too, where it can.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from contour.api.remembered import remembered

_BASE64 = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)
_CURVES: Mapping[str, tuple[ec.EllipticCurve, str]] = {
    "P-256": (ec.SECP256R1(), "ES256"),
    "P-384": (ec.SECP384R1(), "ES384"),
    "P-521": (ec.SECP521R1(), "ES512"),
}
_RSA_BITS = range(1024, 16385)
_RSA_EXPONENT_BITS = 33
_ED25519_BYTES = 32
_LONGEST = 64 << 10  # bytes of a key set that is read once; a key has some 500
# What Envoy reads of a key.
_FIELDS = ("kty", "kid", "alg", "use", "crv", "x", "y", "n", "e", "k")


@remembered(256, longest=_LONGEST)
def usable(text: bytes) -> bytes | None:
    """The keys of a set that Envoy can verify with, as a set; None if there are none. `text` is a JSON object with an
    array `keys` (httpproxy.md §2.5).
    """
    keys = msgspec.json.decode(text.decode("utf-8", "replace"))["keys"]
    good = [
        {field: value for field in _FIELDS if isinstance(value := key.get(field), str)}
        for key in keys
        if isinstance(key, dict) and _is_good(key)
    ]
    return msgspec.json.encode({"keys": good}) if good else None


def _is_good(key: dict[str, Any]) -> bool:
    check = _CHECKS.get(key["kty"]) if isinstance(key.get("kty"), str) else None
    return check is not None and check(key)


def _rsa(key: dict[str, Any]) -> bool:
    modulus, exponent = _number(key.get("n")), _number(key.get("e"))
    return (
        _algorithm(key, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
        and modulus.bit_length() in _RSA_BITS
        and modulus % 2 == 1
        and exponent > 2
        and exponent % 2 == 1
        and exponent.bit_length() <= _RSA_EXPONENT_BITS
    )


def _elliptic(key: dict[str, Any]) -> bool:
    curve, algorithm = _CURVES.get(str(key.get("crv")), (None, ""))
    if curve is None or not _algorithm(key, algorithm):
        return False
    try:
        ec.EllipticCurvePublicNumbers(_number(key.get("x")), _number(key.get("y")), curve).public_key()
    except ValueError:
        return False
    return True


def _secret(key: dict[str, Any]) -> bool:
    return _algorithm(key, "HS256", "HS384", "HS512") and bool(_decoded(key.get("k")))


def _edwards(key: dict[str, Any]) -> bool:
    return key.get("crv") == "Ed25519" and _algorithm(key, "EdDSA") and len(_decoded(key.get("x"))) == _ED25519_BYTES


_CHECKS: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    "RSA": _rsa,
    "EC": _elliptic,
    "oct": _secret,
    "OKP": _edwards,
}


def _algorithm(key: dict[str, Any], *algorithms: str) -> bool:
    """Named, one of these; or left open."""
    return "alg" not in key or key["alg"] in algorithms


def _number(text: object) -> int:
    return int.from_bytes(_decoded(text), "big")


def _decoded(text: object) -> bytes:
    """base64url without padding; b"" if it is none."""
    if not isinstance(text, str) or not _BASE64.match(text):
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
