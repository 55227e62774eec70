"""Builds and edits without Envoy: objects in memory in, bytes ready out. One size a process, so that memory is its own."""

from __future__ import annotations

import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator

from bench import objects
from bench.measure import rss_mb, spread
from contour.api.meta import Object, ObjectRef
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.testing.certs import Authority

EDITS = 300
UNTOUCHED = 100  # hosts that no edit meets, for the edits that change nothing
TLS_SHARE = 5  # every fifth host terminates TLS behind the one wildcard certificate


def main(hosts: int) -> None:
    before = rss_mb()
    tls = hosts // TLS_SHARE
    loaded = list(objects.cluster(hosts, tls=tls))
    pipeline = Pipeline(Settings())
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    for obj in loaded:
        pipeline.store.apply(obj)
    pipeline.commit()
    first = time.perf_counter() - started
    gc.collect()
    gc.freeze()
    del loaded
    result: dict[str, object] = {"hosts": hosts, "first_build_s": round(first, 3)}
    memory = rss_mb()
    result["edits_ms"] = {name: spread(list(_run(pipeline, hosts, edit))) for name, edit in _edits(tls).items()}
    untouched = range(hosts - UNTOUCHED, hosts)
    result["no_op_changes"] = sum(_changes(pipeline, edit(number)) for edit in _no_ops() for number in untouched)
    result["memory_mb"] = {"start": before, "built": memory, "after": rss_mb()}
    print(json.dumps(result))


def _edits(tls: int) -> dict[str, Callable[[int], Object | ObjectRef]]:
    """One object edited for host `number`; each call has another content."""
    count = itertools.count(2)
    authority = Authority()
    pairs = itertools.cycle([authority.sign("*.example.com") for _ in range(2)])
    return {
        "HTTPProxy": lambda number: objects.proxy(
            number, generation=(n := next(count)), header=str(n), tls=number < tls
        ),
        "Service": lambda number: objects.service(
            number, annotations={"projectcontour.io/max-requests": str(next(count))}
        ),
        "EndpointSlice": lambda number: objects.endpoint_slice(number, addresses=(f"10.9.{next(count) % 250}.7",)),
        "Secret": lambda _: objects.secret(next(pairs)),
    }


def _no_ops() -> list[Callable[[int], Object]]:
    count = itertools.count()
    return [
        lambda number: objects.service(number, annotations={"touched": str(next(count))}),
        objects.endpoint_slice,
    ]


def _run(pipeline: Pipeline, hosts: int, edit: Callable[[int], Object | ObjectRef]) -> Iterator[float]:
    edited = hosts - UNTOUCHED
    for turn in range(EDITS):
        changed = edit(turn * max(1, edited // EDITS) % edited)
        started = time.perf_counter()
        pipeline.store.apply(changed)
        pipeline.commit()
        yield time.perf_counter() - started


def _changes(pipeline: Pipeline, obj: Object) -> int:
    """How many resources a commit reports."""
    pipeline.store.apply(obj)
    changes = pipeline.commit()
    return sum(
        len(changes[collection].set) + len(changes[collection].removed)
        for collection in pipeline.shape("scoped").values()
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
