"""What the server has done, for metrics; nobody here reads it."""

from __future__ import annotations

from collections import Counter

from contour.envoy.resource import TypeUrl


class Counters:
    def __init__(self) -> None:
        self.streams = 0  # open now
        self.streams_opened = 0
        self.messages: Counter[TypeUrl] = Counter()
        self.resources: Counter[TypeUrl] = Counter()  # set or removed in messages
        self.bytes: Counter[TypeUrl] = Counter()
        self.nacks: Counter[TypeUrl] = Counter()  # refused responses
        self.refusals: Counter[TypeUrl] = Counter()  # resources found to be the cause
