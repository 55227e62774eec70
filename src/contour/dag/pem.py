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
    position = 0
    while _starts_block(text, position):
        decoded = _decode(text, position)
        if decoded is None:
            yield Undecodable()
            return
        block, position = decoded
        yield block


def _starts_block(text: bytes, position: int) -> bool:
    """Whether the next `-----BEGIN` has its closing dashes on the same line."""
    begin = text.find(_BEGIN.rstrip(), position)
    if begin < 0:
        return False
    label = begin + len(_BEGIN.rstrip())
    dashes = text.find(_DASHES, label)
    return dashes >= 0 and text.find(b"\n", label, dashes) < 0


def _decode(text: bytes, start: int) -> tuple[Block, int] | None:
    """The first well-formed block, and where it ends; malformed ones before it are passed over.

    Nothing is copied but the block itself: a megabyte of tiny blocks must not cost a gigabyte of copies.
    """
    position = start
    while (end := text.find(_END, position)) >= 0:
        begin = text.rfind(_BEGIN, position, end + 1)
        position = end + len(_END)
        if begin < 0 or (begin > start and text[begin - 1 : begin] != b"\n"):
            continue
        first_line, _, body = text[begin + len(_BEGIN) : end].partition(b"\n")
        line_end = text.find(b"\n", position)
        after = len(text) if line_end < 0 else line_end + 1
        label = first_line.rstrip()
        if not label.endswith(_DASHES) or text[position:after].rstrip() != label:
            continue
        der = _payload(body)
        if der is not None:
            return Block(label[: -len(_DASHES)].decode("utf-8", "replace"), der), after
    return None


def _payload(body: bytes) -> bytes | None:
    lines = body.split(b"\n")
    headers = 0
    while headers < len(lines) and b":" in lines[headers]:  # RFC 1421 headers, e.g. of an encrypted key
        headers += 1
    try:
        return base64.b64decode(b"".join(b"".join(lines[headers:]).split()), validate=True)
    except binascii.Error:
        return None
