"""What a golden's objects become: graph, status and the resources of both shapes, as values and as text."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from tests.golden import printing
from tests.golden.reading import DEFAULTS, Golden, golden

from contour.api.meta import Object
from contour.control import render
from contour.control.pipeline import Pipeline, ShapeName
from contour.control.refused import refused_status
from contour.envoy import pb, rules
from contour.envoy.resource import Withheld

State = dict[str, list[Any]]


class Built(msgspec.Struct, frozen=True):
    name: str
    graph: dict[str, Any]
    status: list[dict[str, Any]]
    shapes: dict[str, State]
    withheld: list[dict[str, Any]]

    def outputs(self) -> dict[str, str]:
        """File name -> text."""
        labels = golden(self.name).labels
        scoped, classic = (self._trimmed(shape) for shape in ("scoped", "classic"))
        if self.withheld:
            scoped["withheld"] = self.withheld
        values = {"graph": self.graph, "status": self.status, "scoped": scoped, "classic": classic}
        return {f"{name}.yaml": printing.text(value, labels) for name, value in values.items()}

    def _trimmed(self, shape: str) -> dict[str, Any]:
        state = printing.without_scripts(self.shapes[shape])
        if self.name == DEFAULTS:
            return {section: found for section, found in state.items() if found}
        trimmed = printing.trimmed(state, printing.without_scripts(built(DEFAULTS).shapes[shape]))
        return {section: printing.with_origins(found) for section, found in trimmed.items()}


@cache
def built(name: str) -> Built:
    """From scratch: all objects, then one commit."""
    one = golden(name)
    pipeline = Pipeline(one.settings)
    for obj in one.objects:
        pipeline.store.apply(obj)
    pipeline.commit()
    return _built(one, pipeline)


def built_step_by_step(name: str, objects: tuple[Object, ...]) -> Built:
    """One commit for each object, in the order given."""
    one = golden(name)
    pipeline = Pipeline(one.settings)
    for obj in objects:
        pipeline.store.apply(obj)
        pipeline.commit()
    return _built(one, pipeline)


def _built(one: Golden, pipeline: Pipeline) -> Built:
    status = render.statuses(pipeline)  # before `classic` is there: it withholds nothing
    status += [refused_status(key, text) for key, text in one.refused.items()]
    status.sort(key=lambda entry: (entry["kind"], entry["namespace"], entry["name"]))
    scoped = render.resources(pipeline, "scoped")
    pipeline.shape("classic")
    pipeline.commit()
    return Built(
        name=one.name,
        graph={name: printing.host(host) for name, host in sorted(pipeline.graph.hosts.items())},
        status=status,
        shapes={"scoped": scoped, "classic": render.resources(pipeline, "classic")},
        withheld=_withheld(pipeline),
    )


def _withheld(pipeline: Pipeline) -> list[dict[str, Any]]:
    shape = pipeline.shape("scoped")
    return [
        {"section": section, "name": name, "reason": one.reason, "objects": printing.plain(one.objects)}
        for section, type_url in render.SECTIONS.items()
        if type_url in shape
        for name, one in sorted(shape[type_url].items())
        if isinstance(one, Withheld)
    ]


def violations(name: str, shape: ShapeName) -> list[str]:
    """What breaks the rules that Envoy's API attaches to its fields."""
    found = []
    for section, resources in built(name).shapes[shape].items():
        message_class = pb.message_class(render.SECTIONS[section])
        for resource in resources:
            message = pb.from_dict(message_class, resource)
            found += [f"{section}: {resource.get('name')}: {one.path}: {one.text}" for one in rules.violations(message)]
    return found
