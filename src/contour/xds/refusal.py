"""Which resources a refused response was refused for: what Envoy's text names, else halves that are tried again."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from contour.envoy.resource import CLUSTER, LISTENER, TypeUrl

# Envoy applies the other clusters or listeners of a response and lists those that it refuses: `NAME: REASON` (clusters
# are separated by ", ", listeners by a newline). Without this prefix the whole response was refused.
_PREFIX = {CLUSTER: "Error adding/updating cluster(s) ", LISTENER: "Error adding/updating listener(s) "}


def named(type_url: TypeUrl, names: Collection[str], text: str) -> list[str]:
    """The names that Envoy itself blames; empty when the text blames nobody and nothing of the response was applied.

    A reason may contain text that looks like another name, so more than one name is a suspicion, not a verdict.
    """
    prefix = _PREFIX.get(type_url)
    _, found, blamed = text.partition(prefix) if prefix else ("", "", "")
    if not found:
        return []
    return [n for n in names if re.search(rf"(?:^|, |\n){re.escape(n)}: ", blamed)]


# Parts of texts that say that it is not the resource but the machine of this one Envoy, now.
_PASSING = ("cannot bind", "Address already in use", "unable to open file")


def passing(text: str) -> bool:
    """The same resource may be accepted later, or by another Envoy."""
    return any(part in text for part in _PASSING)


def halves(names: Sequence[str]) -> list[Sequence[str]]:
    middle = (len(names) + 1) // 2
    return [part for part in (names[:middle], names[middle:]) if part]
