"""What is wrong with an Ingress, as its Events are made from it."""

from __future__ import annotations

from tests.dag.world import ingress, service

from contour.api.decode import decode
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings

KEY = ObjectRef("Ingress", "shop", "i")


def test_findings_come_and_go_with_what_is_wrong() -> None:
    pipeline = Pipeline(Settings())
    found = pipeline.findings
    one = ingress("i", "i.test")
    one["metadata"]["uid"] = "u"
    pipeline.store.apply(decode(one))
    (finding,) = pipeline.commit()[found].set[KEY].findings
    assert "shop/web" in finding.message
    assert found.get(KEY).uid == "u"

    pipeline.store.apply(decode(service()))
    assert pipeline.commit()[found].removed == {KEY}

    pipeline.store.refusals.set(KEY, ("no such thing",))
    (finding,) = pipeline.commit()[found].set[KEY].findings
    assert (finding.type, finding.reason, finding.message) == ("EnvoyError", "Rejected", "no such thing")

    pipeline.store.delete("Ingress", Ref("shop", "i"))
    assert pipeline.commit()[found].removed == {KEY}
