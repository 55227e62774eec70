"""The result as a table, with the goals of its size beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Row = tuple[str, str, str]
Json = dict[str, Any]

# Goals by size; at other sizes those of the next larger one.
_GOALS = {
    1_000: {
        "S1": "≤ 10 / 25 ms; 0", "S2": "≤ 10 / 25 ms; 0", "S3": "≤ 6 / 25 ms", "S3 cpu": "≤ 1.0", "S6": "0",
        "S6 cpu": "≤ 1", "S8 all": "≤ 4 s", "S8": "p50 ≤ 25 ms", "S9": "≤ 3 s", "S9 kill": "0", "S11": "20 of 20; invalid",
        "memory": "≤ 150; ≤ 130 MB",
    },
    10_000: {
        "S1": "≤ 10 / 30 ms; 0", "S2": "≤ 10 / 30 ms; 0", "S3": "≤ 8 / 30 ms", "S3 cpu": "≤ 1.2", "S6": "0",
        "S6 cpu": "≤ 1", "S8 all": "≤ 30 s", "S8": "p50 ≤ 25 ms", "S9": "≤ 15 s", "S9 kill": "0",
        "S11": "20 of 20; invalid", "memory": "≤ 500; ≤ 700 MB",
    },
}  # fmt: skip


def goals(hosts: int) -> dict[str, str]:
    return _GOALS[1_000 if hosts <= 1_000 else 10_000]


def render(result: Json) -> str:
    rows = list(_rows(result))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _rows(result: Json) -> Iterator[Row]:
    found, hosts = result["machine"], result["hosts"]
    aims = goals(hosts)
    yield f"{hosts} hosts, p50 / p99 unless named", "measured", "goal"
    yield f"{found['cpu']}, {found['cores']} cores, load before {found['load'][0]}", "", ""
    yield "floor: write acknowledged after", _both(result["floor"]["write_ms"]), ""
    yield "floor: bare watcher, after that", _both(result["floor"]["event_after_acknowledgement_ms"]), ""
    yield from _load(result["load"], aims)
    for name, rows in (("S1", _s1), ("S2", _s2), ("S3", _s3), ("S6", _s6), ("S8", _s8), ("S11", _s11), ("S9", _s9)):
        if one := result["scenarios"].get(name):
            yield from rows(one, aims)
            yield f"   {name} took {one['took_s']} s", _cpu(one["cpu_s"], one["took_s"]), ""
    memory = [one["memory_mb"] for one in (result["load"], *result["scenarios"].values())]
    first, most = memory[0], {name: max(one[name] for one in memory) for name in memory[0]}
    yield (
        "memory of the controller; of Envoy",
        f"{first['controller']}; {first['envoy']} MB after the load  (most {most['controller']}; {most['envoy']})",
        aims["memory"],
    )


def _load(load: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "load: all acknowledged; last host served after that", f"{load['load_s']} s; {load['served_s']} s", ""
    yield f"   took {load['took_s']} s", _cpu(load["cpu_s"], load["took_s"]), ""
    if "statuses_s" in load:
        right = load["statuses_s"]
        said = (
            f"{right} s" if right is not None else f"{load['statuses_right']} right after {load['statuses_limit_s']} s"
        )
        yield "S8 all statuses right after the load", said, aims["S8 all"]


def _s1(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "S1 add; answers other than 404, 200", f"{_both(one['ms'])}; {_counts(one['other_answers'])}", aims["S1"]
    yield from _missed(one)


def _s2(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "S2 edit of a route", _both(one["edit_ms"]), aims["S2"]
    yield "S2 backend switch", _both(one["switch_ms"]), aims["S2"]
    yield f"   failed of {one['requests']} requests", _counts(one["failed"]), "0"
    yield from _missed(one)


def _s3(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    for key, title in (("spread", "spread over all"), ("one_service", "on one Service")):
        part = one[key]
        yield f"S3 100 slices/s, {title}", _both(part["ms"]), aims["S3"]
        rate, settled = part["updates_per_s"], part["settled_s"]
        yield "   updates/s reached; last one served after", f"{rate}; {settled} s", ""
        yield "   CPU s of the controller per 1,000", str(part["cpu_s_per_1000"]), aims["S3 cpu"]
        yield from _missed(part)


def _s6(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "S6 1,000 touches: updates of Envoy", str(one["updates"]), aims["S6"]
    yield "   sent on its connections, pings among it", f"{one['segments']} segments, {one['bytes']} bytes", ""
    yield "   CPU s of the controller per 1,000", str(one["cpu_s_per_1000"]), aims["S6 cpu"]


def _s8(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "S8 status: to invalid", _both(one["to_invalid_ms"]), aims["S8"]
    yield "   and back to valid", _both(one["to_valid_ms"]), ""
    yield from _missed(one)


def _s9(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    yield "S9 cold start until Envoy has everything", _both(one["cold_ms"]), aims["S9"]
    if one["cold_not_200"]:
        yield "   hosts that were not there then", str(one["cold_not_200"]), "0"
    yield f"S9 kill -9: failed of {one['kill_requests']} requests", _counts(one["kill_failed"]), aims["S9 kill"]
    yield "   a new host is served, from the start on", _both(one["new_host_served_after_ms"]), ""


def _s11(one: Json, aims: dict[str, str]) -> Iterator[Row]:
    said = f"{one['effective']} of {one['of']}; {one['status'] or 'none'}"
    yield "S11 good edits after a refused object; its status", said, aims["S11"]
    yield "   rejections by Envoy; a second", f"{one['rejections']}; {one['rejections_per_s']}", ""


def _missed(one: Json) -> Iterator[Row]:
    if one["missed"]:
        yield "   not within the limit", str(one["missed"]), "0"


def _both(series: Json) -> str:
    if not series["n"]:
        return "none"
    return f"{series['p50']} / {series['p99']} ms  ({series['min']} to {series['max']}, n {series['n']})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in counts.items()) or "0"


def _cpu(spent: Json | None, took: float) -> str:
    if spent is None:
        return ""
    busy = spent["others"] / took * 100
    return f"CPU s: controller {spent['controller']}, Envoy {spent['envoy']}; other programs {busy:.0f} % of a core"
