"""Annotations without effect, as a server logs them."""

from __future__ import annotations

from typing import Any

from tests.dag.world import ingress, ingressroute, root, service

from contour.api.decode import decode
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.status import unsupported


def annotated(obj: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "annotations": dict.fromkeys(keys, "x")}}


def test_they_come_with_their_object_and_go_with_it() -> None:
    pipeline = Pipeline(Settings())
    found = unsupported.attach(pipeline.engine, pipeline.store)
    for one in (
        annotated(ingress("i", "i.test"), "projectcontour.io/b", "ingress.kubernetes.io/a", "nginx.org/x"),
        annotated(ingress("other", "i.test"), "projectcontour.io/b", "kubernetes.io/ingress.class"),
        annotated(root("p", "p.test"), "projectcontour.io/retry-on"),
        annotated(ingressroute("r", "r.test"), "owner"),
        annotated(service(), "projectcontour.io/max-requests", "contour.heptio.com/max-requests"),
    ):
        pipeline.store.apply(decode(one))
    text = "ignoring invalid or unsupported annotation"
    assert pipeline.commit()[found].set == {
        ObjectRef("Ingress", "shop", "i"): (f'{text} "ingress.kubernetes.io/a"', f'{text} "projectcontour.io/b"'),
        ObjectRef("HTTPProxy", "shop", "p"): (f'{text} "projectcontour.io/retry-on"',),
    }
    pipeline.store.apply(decode(annotated(ingress("i", "j.test"), "projectcontour.io/b", "ingress.kubernetes.io/a")))
    assert not pipeline.commit()[found].set, "told once"
    pipeline.store.delete("Ingress", Ref("shop", "i"))
    assert pipeline.commit()[found].removed == {ObjectRef("Ingress", "shop", "i")}
