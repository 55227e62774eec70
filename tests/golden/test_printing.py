"""What the goldens leave out, they leave out only where it is constant: no change of a state goes unseen."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.golden import printing
from tests.golden.building import built
from tests.golden.reading import DEFAULTS

from contour.control.pipeline import ShapeName

# TLS chains with and without a second look, of several groups; and clusters of every kind.
STATES = ("tls-wildcard-host-over-hosts-of-others", "upstream-protocols", "listeners-of-flags")

Path = tuple[str | int, ...]


@pytest.mark.parametrize("shape", ["scoped", "classic"])
@pytest.mark.parametrize("name", STATES)
def test_every_change_of_a_state_is_seen(name: str, shape: ShapeName) -> None:
    """One field removed or one value altered at a time, each of them."""
    state, constant = copy.deepcopy(built(name).shapes[shape]), built(DEFAULTS).shapes[shape]
    unseen = []
    for section, resources in state.items():
        for resource in resources:
            # Everything is printed resource by resource; what is always there is left out by its name alone.
            alone = {name: [resource] if name == section else [] for name in state}
            before = _printed(alone, constant)
            for path, holder in list(_fields(resource, (section,))):
                key, value = path[-1], holder[path[-1]]
                if not isinstance(value, dict | list):
                    holder[key] = f"{value} altered"
                    unseen += [path] if _printed(alone, constant) == before else []
                if isinstance(holder, dict) and key not in ("name", "@type"):  # without them it is no resource
                    del holder[key]
                    unseen += [path] if _printed(alone, constant) == before else []
                holder[key] = value
    assert not unseen


def _printed(state: Any, constant: Any) -> Any:
    return printing.with_origins(printing.trimmed(state, constant))


def _fields(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field and item with the mapping or list that holds it, outermost first."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield (*path, key), value
        yield from _fields(value[key], (*path, key))
