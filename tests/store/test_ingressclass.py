"""httpproxy.md §2.2 and operations.md §5.3, row by row."""

from __future__ import annotations

import pytest

from contour.api.meta import ObjectMeta
from contour.store.ingressclass import accepts, effective_class

P, K = "projectcontour.io/ingress.class", "kubernetes.io/ingress.class"


@pytest.mark.parametrize(
    ("annotations", "spec", "effective"),
    [
        (None, None, ""),
        ({}, "spec", "spec"),
        ({P: "p"}, "spec", "p"),
        ({K: "k"}, "spec", "k"),
        ({P: "p", K: "k"}, "spec", "p"),
        # A key that is present decides even when it is empty, and hands over to the spec, not to the other annotation.
        ({P: "", K: "k"}, "spec", "spec"),
        ({P: "", K: "k"}, None, ""),
    ],
)
def test_the_first_annotation_that_is_present_decides(
    annotations: dict[str, str] | None, spec: str | None, effective: str
) -> None:
    assert effective_class(ObjectMeta(annotations=annotations), spec) == effective


@pytest.mark.parametrize(
    ("classes", "spec", "accepted"),
    [
        ((), None, True),
        ((), "contour", True),
        ((), "nginx", False),
        (("a", "b"), "b", True),
        (("a", "b"), "contour", False),
        (("a", "b"), None, False),
        (("a", ""), None, True),
    ],
)
def test_configured_classes(classes: tuple[str, ...], spec: str | None, accepted: bool) -> None:
    assert accepts(classes, ObjectMeta(), spec) is accepted


def test_the_older_spelling_comes_second() -> None:
    """operations.md §12.7."""
    older = "contour.heptio.com/ingress.class"
    assert effective_class(ObjectMeta(annotations={older: "h", K: "k"}), None) == "h"
    assert effective_class(ObjectMeta(annotations={P: "p", older: "h"}), None) == "p"
