"""What tests of external authorization have in common."""

from __future__ import annotations

import json
from typing import Any

from tests.traffic.world import World

from contour.testing.authorization import Authorizer
from contour.testing.backends import Backend

PRIVATE = "x-contour-scope"


def extension(world: World, name: str, server: Authorizer | Backend, protocol: str = "h2c", **spec: Any) -> None:
    """An ExtensionService `shop/NAME` in front of the server."""
    world.service(f"shop/{name}-server", backends=[server])  # type: ignore[list-item]  # its port is all that counts
    services = [{"name": f"{name}-server", "port": 80}]
    world.apply(
        json.dumps(
            {
                "apiVersion": "projectcontour.io/v1alpha1",
                "kind": "ExtensionService",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"protocol": protocol, "services": services, **spec},
            }
        )
    )
