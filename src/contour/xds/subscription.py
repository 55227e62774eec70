"""Who wants what: the subscription of one resource type on one stream, in both protocol variants.

The odd rules come from the xDS protocol document (api-docs/xds_protocol), whose section is named beside each.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

WILDCARD = "*"


class Update(msgspec.Struct, frozen=True, gc=False):
    """What a request changed: `tell` must be answered whatever was sent before, `dropped` names are of no interest now."""

    tell: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    everything: bool = False  # the wildcard began
    narrowed: bool = False  # the wildcard ended: only the named resources are left


class Subscription:
    """Names and wildcard of one type. `legacy`: nothing was ever named, so that empty lists mean everything."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.wildcard = False
        self._legacy = True
        self._first = True

    def covers(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def delta(self, subscribe: Collection[str], unsubscribe: Collection[str]) -> Update:
        first, self._first = self._first, False
        if self._legacy and not subscribe:
            # "How the client specifies what resources to return": a client that never subscribed to a name is treated as if
            # it had subscribed to "*". Only names under `subscribe` end that; unsubscribing from a phantom does not.
            # "Incremental xDS": for the legacy wildcard of a first request both lists have to be empty.
            if first and unsubscribe:
                return Update()
            began, self.wildcard = not self.wildcard, True
            return Update(everything=began)
        self._legacy = False
        began = WILDCARD in subscribe and not self.wildcard
        self.wildcard = self.wildcard or began
        named = tuple(n for n in subscribe if n != WILDCARD)
        self.names.update(named)
        # "Subscribing to Resources": also names that the client is subscribed to and has the newest version of must be
        # provided again, since it may have forgotten them.
        tell = list(named)
        dropped: list[str] = []
        ended = False
        for name in unsubscribe:
            if name == WILDCARD:
                ended, self.wildcard = self.wildcard, False
            elif name in self.names:
                self.names.discard(name)
                # "Unsubscribing from Resources": a client that leaves a name while it has the wildcard too does not know
                # whether to keep the resource; it must be sent again or named as removed.
                (tell if self.wildcard else dropped).append(name)
            # else: a phantom, which the same section says to ignore
        return Update(tuple(tell), tuple(dropped), began and self.wildcard, ended)

    def state(self, names: Collection[str]) -> Update:
        """State of the world: each request has the whole list."""
        first, self._first = self._first, False
        if self._legacy and not names:
            self.wildcard = True
            return Update(everything=first)
        # Once a name was given, an empty list means nothing, not everything ("How the client specifies …").
        self._legacy = False
        wanted = set(names)
        wildcard = WILDCARD in wanted
        wanted.discard(WILDCARD)
        began, ended = wildcard and not self.wildcard, self.wildcard and not wildcard
        # Newly requested resources are sent even if they were sent before without having been asked for (same section).
        tell = tuple(n for n in names if n != WILDCARD and n not in self.names)
        dropped = tuple(self.names - wanted) if not wildcard else ()
        self.names, self.wildcard = wanted, wildcard
        return Update(tell, dropped, began, ended)
