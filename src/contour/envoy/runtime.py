"""The runtime layer (operations.md §4.10)."""

from __future__ import annotations

from collections.abc import Iterable

from contour.envoy import names, pb
from contour.envoy.options import Options
from contour.envoy.resource import Resource, Withheld, resource
from contour.reactive import Collection, Engine, Read

# RE2's own default of 100 refuses ordinary regular expressions.
_ERROR_LEVEL = 1_048_576
_WARN_LEVEL = 1_000


_LISTENERS = (names.INGRESS_HTTP, names.INGRESS_HTTPS)


def attach(
    engine: Engine, options: Options, listeners: Collection[str, Resource | Withheld]
) -> Collection[str, Resource | Withheld]:
    """The one layer. `listeners` are those of the shape: a limit is set for each that is there."""

    def one(read: Read, name: str) -> Resource:
        limited = [listener for listener in _LISTENERS if read(listeners, listener)] if _limits(options) else []
        return resource(name, layer(options, limited))

    return engine.collection("runtime", (frozenset((names.RUNTIME_LAYER,)),), one)


def _limits(options: Options) -> bool:
    return options.max_connections_per_listener > 0


def layer(options: Options, listeners: Iterable[str]) -> pb.Runtime:
    """`listeners`: names of those that are there, of requests. What the settings say themselves, no key may change;
    RE2's limits may be changed, as in the reference.
    """
    values: dict[str, str | int] = {
        "re2.max_program_size.error_level": _ERROR_LEVEL,
        "re2.max_program_size.warn_level": _WARN_LEVEL,
        **dict(options.runtime_settings),
    }
    if options.max_requests_per_io_cycle:
        values["http.max_requests_per_io_cycle"] = options.max_requests_per_io_cycle
    if options.max_connections_per_listener:
        for name in listeners:
            values[f"envoy.resource_limits.listener.{name}.connection_limit"] = options.max_connections_per_listener
    return pb.Runtime(name=names.RUNTIME_LAYER, layer=pb.struct(values))
