"""Every behaviour in a folder of its own: objects in; graph, status and Envoy's resources out. See README.md."""

from __future__ import annotations

import pytest
from tests.golden import batch
from tests.golden.building import built, built_step_by_step, violations
from tests.golden.reading import INPUTS, OUTPUTS, ROOT, folders, golden

from contour.control.pipeline import ShapeName
from contour.testing.envoy import validate

SHAPES: tuple[ShapeName, ...] = ("scoped", "classic")


@pytest.mark.parametrize("name", folders())
def test_outputs_are_as_reviewed(name: str, request: pytest.FixtureRequest) -> None:
    write = request.config.getoption("--golden-write")
    for file, text in built(name).outputs().items():
        path = ROOT / name / file
        if write:
            path.write_text(text)
        else:
            assert path.exists(), f"{path} is missing; --golden-write writes it"
            assert text == path.read_text()


@pytest.mark.parametrize("name", folders())
def test_the_way_to_a_state_does_not_matter(name: str) -> None:
    assert built_step_by_step(name, golden(name).objects[::-1]) == built(name)


@pytest.mark.parametrize("name", folders())
def test_resources_obey_the_rules_of_the_api(name: str) -> None:
    assert not violations(name, "scoped")
    if not built(name).withheld:
        assert not violations(name, "classic")


@pytest.mark.parametrize("shape", SHAPES)
def test_envoy_takes_every_golden(shape: ShapeName) -> None:
    names = [name for name in folders() if shape == "scoped" or not built(name).withheld]
    problem = validate(batch.merged({name: built(name).shapes[shape] for name in names}))
    if problem:
        culprits = {name: text for name in names if (text := validate(batch.merged({name: built(name).shapes[shape]})))}
        pytest.fail("\n".join(f"{name}: {text}" for name, text in culprits.items()) or problem)


def test_envoy_refuses_what_is_withheld() -> None:
    """Rightly withheld: with the reference's own configuration of the same objects Envoy does not start."""
    names = [name for name in folders() if built(name).withheld]
    assert names
    for name in names:
        assert validate(batch.merged({name: built(name).shapes["classic"]})), name


def test_no_file_is_there_for_nothing() -> None:
    for name in folders():
        found = {path.name for path in (ROOT / name).iterdir()}
        assert found - set(INPUTS) == set(OUTPUTS), f"{name}: {sorted(found)}"
        assert "in.yaml" in found
