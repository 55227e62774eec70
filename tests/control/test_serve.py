"""What `contour serve` keeps until everything has been read; the mode as a whole: tests/cluster."""

from __future__ import annotations

from typing import Any

import pytest

from contour.api.decode import decode
from contour.api.meta import ObjectRef
from contour.control.loop import Event, Loop
from contour.control.serve import _Serve
from contour.control.serve_log import logger
from contour.control.serve_options import Options
from contour.control.settings import Settings
from contour.kube.client import Client
from contour.kube.kinds import BY_NAME
from contour.kube.kubeconfig import Configuration
from contour.kube.watch import Batch


def service(name: str, port: int) -> Event:
    mapping: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}}
    mapping["spec"] = {"ports": [{"port": port}]}
    return ObjectRef("Service", "shop", name), decode(mapping)


async def test_while_a_kind_cannot_be_read_only_the_newest_version_of_each_object_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submitted: list[Event] = []
    monkeypatch.setattr(Loop, "submit", lambda _, events: submitted.extend(events))
    client = Client(Configuration(origin="test", server="http://127.0.0.1:1"))
    serve = _Serve(Options(Settings(), None), client, None, logger("text", debug=False))
    seen = [service("a", 1), service("b", 1), service("a", 2), (ObjectRef("Service", "shop", "b"), None)]
    for event in seen:
        serve._deliver(Batch(BY_NAME["Service"], [event], 1, 0, 0, synced=False))
    assert submitted == []
    monkeypatch.setattr(type(serve._watches), "waiting_for", ())
    serve._deliver(Batch(BY_NAME["HTTPProxy"], [], 0, 0, 0, synced=True))
    assert submitted == [service("a", 2)]
