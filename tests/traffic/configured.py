"""A program with the settings of a configuration file, and a real Envoy in front of one host: `site.test`, in both
ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.traffic.world import World

from contour.control.settings import Flags, load

SITE = """
virtualhost: {fqdn: site.test, tls: {secretName: tls}}
routes:
- permitInsecure: true
  enableWebsockets: true
  services: [{name: web, port: 80}]
"""


@contextmanager
def configured(directory: Path, text: str = "", first: str = "", **flags: Any) -> Iterator[World]:
    """`first`: objects that the settings refer to. `shop/web` is a backend that runs."""
    directory.mkdir(exist_ok=True)
    world = World(directory, first=first, settings=load(text, Flags(**flags)))
    try:
        world.certificate("shop/tls", "site.test")
        world.service("shop/web")
        world.proxy("shop/site", SITE)
        world.envoy()
        yield world
    finally:
        world.close()
