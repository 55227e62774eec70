"""TLS versions, cipher suites and curves (operations.md §2.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contour.api.scalars import quote
from contour.control.settings.error import SettingsError

VERSIONS = ("1.2", "1.3")

CIPHERS = frozenset(
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES256-GCM-SHA384", "AES256-SHA",
    )
)  # fmt: skip
CURVES = frozenset(("X25519", "P-256", "P-384", "P-521", "X25519MLKEM768", "MLKEM1024"))


def check_ciphers(ciphers: Iterable[str]) -> None:
    bad = [cipher for cipher in ciphers if not all(one in CIPHERS for one in _members(cipher))]
    if bad:
        raise SettingsError(f"invalid cipher suites {quoted(bad)}")


def check_curves(curves: Iterable[str]) -> None:
    bad = [curve for curve in curves if curve not in CURVES]
    if bad:
        raise SettingsError(f"invalid ECDH curves {quoted(bad)}")


def check_versions(minimum: str, maximum: str) -> None:
    for name, version in (("minimum", minimum), ("maximum", maximum)):
        if version and version not in VERSIONS:
            raise SettingsError(f"invalid TLS {name} protocol version: {quote(version)}")
    if (maximum or VERSIONS[-1]) < (minimum or VERSIONS[0]):
        raise SettingsError("the minimum TLS protocol version is greater than the maximum TLS protocol version")


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The first of each, in order."""
    return tuple(dict.fromkeys(names))


def quoted(texts: Sequence[str]) -> str:
    """As Go prints a list of quoted texts."""
    return f"[{' '.join(map(quote, texts))}]"


def _members(cipher: str) -> list[str]:
    """Of a group of equal preference, `[A|B]`; a single cipher is its own."""
    if cipher.startswith("[") and cipher.endswith("]"):
        return cipher[1:-1].split("|")
    return [cipher]
