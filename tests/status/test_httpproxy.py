"""The gauges of HTTPProxies (httpproxy.md §3.7): under which name each is counted, and as what."""

from __future__ import annotations

import pytest
from tests.dag.world import proxy, root, to

from contour.api.decode import decode_as
from contour.api.meta import ObjectRef
from contour.api.projectcontour import HTTPProxy
from contour.control.pipeline import Pipeline
from contour.control.settings import load
from contour.status.httpproxy import State, state


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("site", State("shop", "Shop.test", "invalid")),  # no such Service
        ("answers", State("shop", "ok.test", "valid")),
        ("blank", State("shop", "", "invalid")),
        ("one", State("shop", "same.test", "invalid")),
        ("other", State("shop", "same.test", "invalid")),
        ("child", State("shop", "", "valid")),
        ("orphan", State("shop", "", "orphaned")),
    ],
)
def test_what_an_object_is_counted_as(name: str, wanted: State) -> None:
    answer = {"directResponsePolicy": {"statusCode": 200}}
    objects = [
        root("site", "Shop.test", includes=[{"name": "child"}], routes=[to("nothing", "/x")]),
        root("answers", "ok.test", routes=[answer]),
        root("blank", " "),
        root("one", "Same.test"),
        root("other", "same.TEST"),
        proxy("child", routes=[answer]),
        proxy("orphan", routes=[answer]),
    ]
    found = {one.metadata.name: one for one in (decode_as(HTTPProxy, obj) for obj in objects)}
    pipeline = Pipeline(load(""))
    for one in found.values():
        pipeline.store.apply(one)
    pipeline.commit()
    status = pipeline.statuses.get(ObjectRef("HTTPProxy", "shop", name))
    assert status is not None
    assert state(found[name], status) == wanted
