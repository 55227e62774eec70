"""Messages assembled from pieces that are serialised already.

A protobuf message is the concatenation of its encoded fields, so a repeated field of 10,000 messages, one of which
changed, costs one join (architecture.md §3).
"""

from __future__ import annotations

_LENGTH_DELIMITED = 2  # wire type of strings, bytes and messages


def field(number: int, body: bytes) -> bytes:
    """One encoded item of the message field `number`."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
