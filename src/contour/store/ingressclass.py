"""Which Ingress and HTTPProxy objects are ours (httpproxy.md §2.2, operations.md §5.3, §12.7)."""

from __future__ import annotations

from collections.abc import Sequence

from contour.api.annotations import CLASSES
from contour.api.meta import ObjectMeta

_DEFAULT_CLASS = "contour"


def effective_class(metadata: ObjectMeta, spec_class: str | None) -> str:
    """The first class annotation that is present decides, unless it is empty; then the spec does."""
    annotations = metadata.annotations or {}
    for key in CLASSES:
        if key in annotations:
            if annotations[key]:
                return annotations[key]
            break
    return spec_class or ""


def accepts(class_names: Sequence[str], metadata: ObjectMeta, spec_class: str | None) -> bool:
    """Without configured classes: none or `contour`. With them: exactly one of the list, and none is no member."""
    effective = effective_class(metadata, spec_class)
    if not class_names:
        return effective in ("", _DEFAULT_CLASS)
    return effective in class_names
