"""Objects that nobody would write: each is refused with the path of a field, or rendered to what Envoy accepts.

A few hundred in the suite; `--fuzz N` makes it N objects (20,000 take some minutes).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.dag.world import delegation, secret, service, serving
from tests.envoy.site import endpoints
from tests.fuzz.objects import kinds, objects
from tests.golden.batch import merged
from tests.traces.test_scoped_validates import unreported

from contour.api.admission import AdmissionError, admit
from contour.api.decode import decode
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy.resource import Withheld
from contour.testing import envoy, static
from contour.testing.certs import Authority

BATCH = 40
PER_WORLD = 5  # at most

Json = dict[str, Any]
State = dict[str, list[Json]]

CA = Authority()
SURROUNDINGS = [
    *(
        service(name, {"name": "http", "port": 80}, {"name": "tls", "port": 443})
        for name in ("web", "other/web", "api")
    ),
    service("bare", {"port": 80}),
    service("external", {"port": 80}, spec={"type": "ExternalName", "externalName": "external.test"}),
    endpoints("web", 8080),
    serving("serving", "a.test", "*.a.test"),
    serving("other/serving", "b.test"),
    secret("ca", "Opaque", **{"ca.crt": CA.certificate}),
    secret("opaque", "Opaque", x=b"y"),
    delegation("other/grants", "serving", "*"),
]
SETTINGS = Settings(graph=GraphOptions(enable_external_name=True))


class Rendered(msgspec.Struct):
    objects: list[Json]
    state: State


def worlds() -> st.SearchStrategy[list[Json]]:
    kind = st.sampled_from((*kinds(), "HTTPProxy", "HTTPProxy"))
    return st.lists(kind.flatmap(objects), min_size=1, max_size=PER_WORLD)


@pytest.mark.timeout(7200)
def test_refused_with_a_path_or_accepted_by_envoy(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = request.config.getoption("--fuzz")
    counts: Counter[str] = Counter()
    waiting: list[Rendered] = []
    refused: list[str] = []

    def check() -> None:
        refused.extend(_refused(waiting))
        waiting.clear()

    @settings(
        max_examples=wanted // 3,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(worlds())
    def render(world: list[Json]) -> None:
        pipeline = Pipeline(SETTINGS)
        for one in SURROUNDINGS:
            pipeline.store.apply(decode(one))
        admitted = [one for one in world if _admitted(pipeline, one, counts)]
        pipeline.commit()
        shape = pipeline.shape("scoped")
        withheld = [one for held in shape.values() for _, one in held.items() if isinstance(one, Withheld)]
        assert not [text for one in withheld for text in unreported(pipeline, one)]
        counts["withheld"] += len(withheld)
        counts["invalid"] += sum(status.get("currentStatus") == "invalid" for _, status in pipeline.statuses.items())
        if not withheld:
            pipeline.shape("classic")
            pipeline.commit()
            waiting.append(Rendered(admitted, static.state_of(pipeline.shape("classic"))))
        waiting.append(Rendered(admitted, static.state_of(shape)))
        if len(waiting) >= BATCH:
            check()

    render()
    check()
    with capsys.disabled():
        print("\nfuzz: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))  # noqa: T201
    assert counts["admitted"]
    assert counts["refused"]
    assert not counts["refused without a path"]
    assert not refused, "\n\n".join(refused[:10])


def _admitted(pipeline: Pipeline, source: Json, counts: Counter[str]) -> bool:
    counts["objects"] += 1
    counts[source["kind"]] += 1
    try:
        pipeline.store.apply(admit(source))
    except AdmissionError as error:
        counts["refused"] += 1
        counts["refused without a path"] += not error.path or any(not one.path for one in error.errors)
        return False
    counts["admitted"] += 1
    return True


def _refused(batch: list[Rendered]) -> list[str]:
    """Envoy names the first that it does not like, if any: halve until there is only one to blame."""
    if not batch:
        return []
    text = envoy.validate(merged({str(number): one.state for number, one in enumerate(batch)}))
    if text is None:
        return []
    if len(batch) == 1:
        return [f"{text[-600:]}\n{json.dumps(batch[0].objects)}"]
    half = len(batch) // 2
    return _refused(batch[:half]) + _refused(batch[half:])
