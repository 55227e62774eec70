"""Edits until a real Envoy answers differently: the loop, the hub and the server of `contour run`, objects from memory.

The client and the backend are in a process of their own (`bench.prober`). One size a process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from bench import objects
from bench.measure import rss_mb, spread
from contour.api.meta import Object, ObjectRef
from contour.control.loop import Event, Loop
from contour.control.pipeline import Pipeline
from contour.control.ports import free
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.envoy.options import Options as EnvoyOptions
from contour.envoy.resource import LISTENER
from contour.testing.envoy import Envoy
from contour.xds.server import Server

ROUNDS = 200
WARM_UP = 3  # rounds that are not counted: some costs appear once after the first full build
SWITCHES = 100
RATE = 500
TLS_SHARE = 5


class Prober:
    """The client process, one command at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.backend = 0

    @classmethod
    async def start(cls) -> Prober:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.prober", stdin=pipe, stdout=pipe, limit=1 << 20
        )
        prober = cls(process)
        prober.backend = (await prober._answer())["backend"]
        return prober

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return await self._answer()

    async def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer


class Bench:
    def __init__(self, hosts: int, prober: Prober, directory: Path) -> None:
        self.hosts = hosts
        self.prober = prober
        self.tls = hosts // TLS_SHARE
        ports = EnvoyOptions(
            http_address="127.0.0.1", http_port=free("127.0.0.1"), https_address="127.0.0.1",
            https_port=free("127.0.0.1"), stats_address="127.0.0.1", stats_port=free("127.0.0.1"), admin_port=0,
            http_access_log="/dev/null", https_access_log="/dev/null",
        )  # fmt: skip
        self.ports = ports
        self.loop = Loop(Pipeline(Settings(envoy=ports, graph=GraphOptions(loopback_endpoints=True))))
        self.directory = directory
        self.counters = self.loop.hubs["scoped"].counters
        self.count = itertools.count(2)

    def host(self, number: int, **kwargs: Any) -> list[Object]:
        addresses = tuple(f"127.{number >> 8 & 255}.{number & 255}.{last}" for last in range(1, 6))
        port = self.prober.backend
        return [
            objects.service(number),
            objects.endpoint_slice(number, addresses=addresses, port=port),
            objects.proxy(number, **kwargs),
        ]

    def submit(self, changed: Iterable[Object], gone: Iterable[ObjectRef] = ()) -> float:
        events: list[Event] = [(ObjectRef(obj.kind, *obj.ref), obj) for obj in changed]
        events += [(key, None) for key in gone]
        self.loop.submit(events)
        return time.monotonic()

    async def timed(self, act: Callable[[], float], watch: dict[str, Any]) -> tuple[float, dict[str, int]]:
        """Seconds from handing in a change until the answer is as asked, and what else was answered until then."""
        watching = asyncio.ensure_future(
            self.prober.ask("watch", **{"port": self.ports.http_port, "header": "", "tls": False, **watch})
        )
        # The prober is polling by then, over a connection that is open as far as the backend.
        await asyncio.sleep(0.05)
        started = act()
        answer = await watching
        if answer["at"] is None:
            raise RuntimeError(f"no such answer: {watch}, but {answer['others']}")
        return answer["at"] - started, answer["others"]

    async def first(self) -> dict[str, Any]:
        loaded: list[Object] = [objects.secret()]
        for number in range(self.hosts):
            loaded += self.host(number, tls=number < self.tls)
        started = self.submit(loaded)
        while not self.loop.hubs["scoped"].ready:  # noqa: ASYNC110  # sampled, so that nothing is added to the loop
            await asyncio.sleep(0.005)
        ready = time.monotonic() - started
        del loaded
        last = self.hosts - 1
        answer = await self.prober.ask(
            "watch", port=self.ports.http_port, host=objects.fqdn(last), status=200, header="", tls=False
        )
        if answer["at"] is None:
            raise RuntimeError(f"the first load is not served: {answer['others']}")
        return {"published_s": round(ready, 2), "serving_s": round(answer["at"] - started, 2)}

    async def series(self, one: Callable[[int], Awaitable[tuple[float, dict[str, int]]]]) -> dict[str, Any]:
        times, others = [], dict[str, int]()
        for turn in range(WARM_UP + ROUNDS):
            seconds, found = await one(turn)
            if turn < WARM_UP:
                continue
            times.append(seconds)
            for status, count in found.items():
                others[status] = others.get(status, 0) + count
        return {**spread(times), "other_answers": others}

    async def add(self, turn: int) -> tuple[float, dict[str, int]]:
        number = self.hosts + turn
        watch = {"host": objects.fqdn(number), "status": 200}
        return await self.timed(lambda: self.submit(self.host(number)), watch)

    async def edit(self, turn: int) -> tuple[float, dict[str, int]]:
        number = self.tls + turn * max(1, (self.hosts - self.tls) // ROUNDS)
        value = str(next(self.count))
        changed = objects.proxy(number, generation=int(value), header=value)
        return await self.timed(
            lambda: self.submit([changed]), {"host": objects.fqdn(number), "status": 200, "header": value}
        )

    async def remove(self, turn: int) -> tuple[float, dict[str, int]]:
        number = self.hosts + turn
        name = f"h{number}"
        gone = [ObjectRef("HTTPProxy", objects.NAMESPACE, name)]
        return await self.timed(lambda: self.submit([], gone), {"host": objects.fqdn(number), "status": 404})

    async def add_tls(self, turn: int) -> tuple[float, dict[str, int]]:
        number = self.hosts + WARM_UP + ROUNDS + turn
        watch = {"host": objects.fqdn(number), "status": 200, "port": self.ports.https_port, "tls": True}
        return await self.timed(lambda: self.submit(self.host(number, tls=True)), watch)

    async def no_ops(self) -> int:
        before = sum(self.counters.messages.values())
        for number in range(100):
            touched = objects.service(self.hosts - 1 - number, annotations={"touched": str(number)})
            unrelated = objects.config_secret(f"unrelated-{number}")
            self.submit([touched, unrelated, *self.host(self.hosts - 1 - number)[1:2]])
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.2)
        return sum(self.counters.messages.values()) - before

    async def switches(self) -> dict[str, int]:
        """A route's backend becomes another, new service each time, and the old one goes."""
        number = self.hosts - 1
        await self.prober.ask("load", port=self.ports.http_port, hosts=[objects.fqdn(number)], rate=RATE)
        previous = None
        for turn in range(SWITCHES):
            fresh = self.hosts + 1000 + turn
            service, endpoints, _ = self.host(fresh)
            value = str(next(self.count))
            root = objects.proxy(number, generation=int(value), backend=f"h{fresh}", header=value)
            gone = [
                ObjectRef(kind, objects.NAMESPACE, name)
                for kind, name in (("Service", f"h{previous}"), ("EndpointSlice", f"h{previous}-x"))
                if previous
            ]
            self.submit([service, endpoints, root], gone)
            previous = fresh
            await asyncio.sleep(0.03)
        return await self.prober.ask("unload")


async def main(hosts: int) -> None:
    prober = await Prober.start()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        bench = Bench(hosts, prober, directory)
        server = Server(bench.loop.hub_of)
        server.listen(f"unix:{directory}/xds.sock", None)
        await server.start()
        running = asyncio.ensure_future(bench.loop.run())
        config = bootstrap(
            BootstrapSettings(admin_address=f"{directory}/admin.sock", xds_socket=f"{directory}/xds.sock")
        )
        node = ("--service-cluster", "bench", "--service-node", "bench")
        envoy = Envoy(config, directory=directory, concurrency=2, arguments=node)
        envoy.launch()
        try:
            result: dict[str, Any] = {"hosts": hosts, "first": await bench.first()}
            result["add_ms"] = await bench.series(bench.add)
            result["edit_ms"] = await bench.series(bench.edit)
            result["remove_ms"] = await bench.series(bench.remove)
            listeners = bench.counters.resources[LISTENER]
            result["add_tls_ms"] = await bench.series(bench.add_tls)
            result["listener_updates"] = bench.counters.resources[LISTENER] - listeners
            result["no_op_messages"] = await bench.no_ops()
            result["switch_answers"] = await bench.switches()
            result["memory_mb"] = {"contour": rss_mb(), "envoy": rss_mb(envoy.process.pid)}
        except BaseException:
            print(envoy.log()[-2000:], file=sys.stderr)
            raise
        finally:
            envoy.stop()
            running.cancel()
            await server.stop()
            await prober.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
