"""What a client says about itself in its first request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Shape = Literal["scoped", "classic"]


class Node(msgspec.Struct, frozen=True, gc=False):
    id: str = ""
    cluster: str = ""
    agent: str = ""  # `envoy` for an Envoy
    version: str = ""  # vMAJOR.MINOR.PATCH
    metadata: Mapping[str, Any] = {}

    @property
    def is_envoy(self) -> bool:
        return self.agent == "envoy"

    @property
    def shape(self) -> Shape:
        """The shape that the client's bootstrap asks for; Contour's own bootstrap says nothing (envoy.md §2)."""
        ours = self.metadata.get("contour")
        return "scoped" if isinstance(ours, Mapping) and ours.get("shape") == "scoped" else "classic"
