"""The runtime layer (operations.md §4.10)."""

from __future__ import annotations

from contour.envoy import names, pb

# RE2's own default of 100 refuses ordinary regular expressions.
_ERROR_LEVEL = 1_048_576
_WARN_LEVEL = 1_000


def layer() -> pb.Runtime:
    values = {
        "re2.max_program_size.error_level": _ERROR_LEVEL,
        "re2.max_program_size.warn_level": _WARN_LEVEL,
    }
    return pb.Runtime(name=names.RUNTIME_LAYER, layer=pb.struct(values))
