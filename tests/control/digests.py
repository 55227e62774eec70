"""A program for test_determinism: reads lists of objects (JSON), builds each, prints what came out, shortened."""

from __future__ import annotations

import hashlib
import json
import random
import sys

from tests.control.test_incremental import SETTINGS, scratch

from contour.api.decode import decode


def main() -> None:
    """Each list in an order of this process's own: `argv[1]` seeds it."""
    rng = random.Random(sys.argv[1])
    answers = []
    for number, mappings in enumerate(json.load(sys.stdin)):
        rng.shuffle(mappings)
        contents = scratch(SETTINGS[number % len(SETTINGS)], map(decode, mappings))
        answers.append({name: _digest(sorted(values.items())) for name, values in contents.items()})
    json.dump(answers, sys.stdout)


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


if __name__ == "__main__":
    main()
