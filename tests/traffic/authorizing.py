"""What tests of external authorization have in common."""

from __future__ import annotations

import json
from typing import Any

from tests.traffic.world import World

from contour.envoy import pb
from contour.envoy.resource import SCOPED_ROUTE, Resource, Withheld
from contour.testing.authorization import Authorizer
from contour.testing.backends import Backend

PRIVATE = "x-contour-scope"
_PATIENT = {"timeoutPolicy": {"response": "20s"}}


def extension(world: World, name: str, server: Authorizer | Backend, protocol: str = "h2c", **spec: Any) -> None:
    """An ExtensionService `shop/NAME` in front of the server, which has all the time that a busy machine may take."""
    world.service(f"shop/{name}-server", backends=[server])  # type: ignore[list-item]  # its port is all that counts
    services = [{"name": f"{name}-server", "port": 80}]
    world.apply(
        json.dumps(
            {
                "apiVersion": "projectcontour.io/v1alpha1",
                "kind": "ExtensionService",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"protocol": protocol, "services": services, **_PATIENT, **spec},
            }
        )
    )


def group(world: World, host: str) -> str:
    """The group that serves a host over TLS; others have a scope for it that answers 421."""

    def serving(scope: Resource | Withheld) -> bool:
        assert isinstance(scope, Resource)
        hosts = pb.ScopedRouteConfiguration.FromString(scope.body).route_configuration.virtual_hosts
        return [one.name for one in hosts] != ["misdirected"]

    def names() -> list[str]:
        scopes = world.pipeline.shape("scoped")[SCOPED_ROUTE].items()
        return [name for name, scope in scopes if name.endswith(f"/{host}") and serving(scope)]

    (found,) = {name.partition("/")[0] for name in world.ask(names)} - {"http"}
    return found
