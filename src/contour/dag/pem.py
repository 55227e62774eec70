"""The walk over PEM text that decides what a Secret holds (httpproxy.md §2.5).

Text between, before and after blocks is tolerated, as long as it does not look like the start of a block itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import msgspec

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"


class Block(msgspec.Struct, frozen=True, gc=False):
    type: str
    der: bytes

    def __repr__(self) -> str:
        return f"Block({self.type!r}, {len(self.der)} bytes)"  # it may be a key


class Undecodable(msgspec.Struct, frozen=True, gc=False):
    """Something that looks like the start of a block, with no block to be had from there on."""


def blocks(text: bytes) -> Iterator[Block | Undecodable]:
    rest = text
    while _starts_block(rest):
        decoded = _decode(rest)
        if decoded is None:
            yield Undecodable()
            return
        block, rest = decoded
        yield block


def _starts_block(text: bytes) -> bool:
    _, found, after = text.partition(_BEGIN.rstrip())
    label, dashes, _ = after.partition(_DASHES)
    return bool(found and dashes) and b"\n" not in label


def _decode(text: bytes) -> tuple[Block, bytes] | None:
    """The first block that is well-formed, and what follows it; malformed ones before it are passed over."""
    position = 0
    while (end := text.find(_END, position)) >= 0:
        begin = text.rfind(_BEGIN, position, end + 1)
        position = end + len(_END)
        if begin < 0 or (begin > 0 and text[begin - 1 : begin] != b"\n"):
            continue
        first_line, _, body = text[begin + len(_BEGIN) : end].partition(b"\n")
        last_line, _, rest = text[position:].partition(b"\n")
        label = first_line.rstrip()
        if not label.endswith(_DASHES) or last_line.rstrip() != label:
            continue
        der = _payload(body)
        if der is not None:
            return Block(label[: -len(_DASHES)].decode("utf-8", "replace"), der), rest
    return None


def _payload(body: bytes) -> bytes | None:
    lines = body.split(b"\n")
    while lines and b":" in lines[0]:  # RFC 1421 headers, e.g. of an encrypted key
        del lines[0]
    try:
        return base64.b64decode(b"".join(b"".join(lines).split()), validate=True)
    except binascii.Error:
        return None
