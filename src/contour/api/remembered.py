"""Results of pure functions of what users write, remembered, as the same texts are asked about again and again.

Only those of short texts: an object may have a megabyte, and whoever edits one often enough would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 4096


def remembered(
    count: int, *, size: Callable[..., int] = len, longest: int = LONGEST
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The last `count` results, of arguments whose `size` is not above `longest`. Arguments are hashable."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        cached = cast("Callable[P, T]", lru_cache(maxsize=count)(function))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return (cached if size(*args, **kwargs) <= longest else function)(*args, **kwargs)

        return call

    return decorate
