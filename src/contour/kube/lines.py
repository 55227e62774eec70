"""Lines out of chunks, however they are cut."""

from __future__ import annotations

# The API server takes no object beyond 3 MB; what has no end by then is not a watch.
LIMIT = 64 << 20


class TooLong(Exception):  # noqa: N818 - what it says is enough
    """A line that does not end."""


class Lines:
    """Keeps the beginning of a line until its end comes. A line of many chunks is joined once."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._begun: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends and without empty ones. Raises TooLong."""
        head, newline, rest = chunk.partition(b"\n")
        self._begun.append(head)
        self._size += len(head)
        if self._size > self._limit:
            raise TooLong(f"a line of more than {self._limit} bytes")
        if not newline:
            return []
        found = [b"".join(self._begun), *rest.split(b"\n")]
        last = found.pop()
        self._begun, self._size = [last], len(last)
        return [line for line in found if line]
