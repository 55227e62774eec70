"""The client, a process of its own: tells when Envoy begins to answer as asked, and loads it at a steady rate.

It asks once a millisecond and only while there is something to wait for: one that asks all the time takes the CPU that
it is to measure. Reads one JSON command a line. `Prober` is the other end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.cluster.workload import index_of
from bench.prober import Client, Load

PAUSE = 0.001
# After the first answer as asked: a data path that is half there shows by going back.
AFTERWARDS = 10


class Prober:
    """One command at a time; `begin` returns when it has had a first answer, so that a change cannot come too soon."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid

    def begin(self, host: str, *, limit: float = 10, **wanted: Any) -> None:
        """Wait for an answer with `status`, `mark`, `pod` or a pod of at least number `pod_from`."""
        self._tell(do="watch", host=host, limit=limit, wanted=wanted)
        self._answer()

    def result(self) -> tuple[float | None, dict[str, int]]:
        """When the answer was as wanted (None: not within the limit), and what else was answered."""
        answer = self._answer()
        return answer["at"], answer["others"]

    def watch(self, host: str, *, limit: float = 10, **wanted: Any) -> tuple[float | None, dict[str, int]]:
        self.begin(host, limit=limit, **wanted)
        return self.result()

    def all(self, hosts: list[str], limit: float) -> float | None:
        """When all of them were answered with 200, asked for one after the other; None: not within the limit."""
        self._tell(do="all", hosts=hosts, limit=limit)
        at: float | None = self._answer()["at"]
        return at

    def survey(self, hosts: list[str]) -> dict[str, int]:
        """One request to each; how many answered what."""
        self._tell(do="survey", hosts=hosts)
        return self._answer()

    def load(self, hosts: list[str], rate: int) -> None:
        self._tell(do="load", hosts=hosts, rate=rate)
        self._answer()

    def unload(self) -> dict[str, int]:
        """End the load; how many requests were answered what."""
        self._tell(do="unload")
        return self._answer()

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _tell(self, **command: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def watch(port: int, host: str, limit: float, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    others: Counter[str] = Counter()
    deadline = time.monotonic() + limit
    due, client, begun, found, left = time.monotonic(), None, False, None, AFTERWARDS
    while left and time.monotonic() < deadline:
        try:
            client = client or Client(port)
            status, headers = client.get(host)
        except OSError:
            client, status, headers = None, 0, {}
        now = time.monotonic()
        good = _as_wanted(status, headers, wanted)
        if good and found is None:
            found = now
        if found is not None:
            left -= 1
        if not good and (status != 200 or found is not None):
            others[str(status)] += 1
        if not begun:
            begun = True
            yield {}
        due = max(due + PAUSE, now)
        time.sleep(max(0.0, due - time.monotonic()))
    if client:
        client.close()
    yield {"at": found, "others": others}


def all_of(port: int, hosts: list[str], limit: float) -> dict[str, Any]:
    """Whoever is served already costs one request: the last one that was waited for says when all were."""
    deadline = time.monotonic() + limit
    client, waiting = None, list(reversed(hosts))
    while waiting:
        try:
            client = client or Client(port)
            status, _ = client.get(waiting[-1])
        except OSError:
            client, status = None, 0
        if status == 200:
            waiting.pop()
        elif time.monotonic() > deadline:
            return {"at": None}
        else:
            time.sleep(PAUSE)
    at = time.monotonic()
    if client:
        client.close()
    return {"at": at}


def survey(port: int, hosts: list[str]) -> dict[str, int]:
    answers: Counter[str] = Counter()
    client = None
    for host in hosts:
        try:
            client = client or Client(port)
            answers[str(client.get(host)[0])] += 1
        except OSError:
            client = None
            answers["0"] += 1
    if client:
        client.close()
    return answers


def _as_wanted(status: int, headers: dict[str, str], wanted: dict[str, Any]) -> bool:
    return (
        status == wanted.get("status", 200)
        and ("mark" not in wanted or headers.get("x-mark") == wanted["mark"])
        and ("pod" not in wanted or headers.get("x-pod") in wanted["pod"])
        and ("pod_from" not in wanted or index_of(headers.get("x-pod", "0.0.0.0")) >= wanted["pod_from"])
    )


def main() -> None:
    port = int(sys.argv[1])
    load: Load | None = None
    for line in sys.stdin:
        command = json.loads(line)
        match command.pop("do"):
            case "watch":
                for answer in watch(port, **command):
                    print(json.dumps(answer), flush=True)
                continue
            case "all":
                answer = all_of(port, **command)
            case "survey":
                answer = survey(port, **command)
            case "load":
                load, answer = Load(port, **command), {}
            case "unload":
                answer = load.stop() if load else {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
