"""Text of users as it may be shown: one line that commands no terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """Escapes for what is not printable: control characters, directions of writing, bytes of names that are no text."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    # Python holds a byte of a file name that is not UTF-8 as one of these surrogates (PEP 383).
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
