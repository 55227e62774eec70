"""An xDS client in a process of its own: gRPC's threads stay in the network in which the first one of them began.

Run as a program it asks for everything, and prints what it holds after each answer: name and version, by type.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from contour.envoy.resource import CLUSTER, ENDPOINTS, LISTENER, ROUTE, SCOPED_ROUTE, SECRET
from contour.xds.messages import AGGREGATED, DeltaDiscoveryRequest, DeltaDiscoveryResponse

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE, SCOPED_ROUTE, SECRET)
# Versions by the name of a resource, by type.
Held = dict[str, dict[str, str]]


class Client:
    """What a client of a replica holds. `refusing`: a text with which it takes nothing; it says that it is an Envoy."""

    def __init__(self, xds_port: int, refusing: str = "") -> None:
        self._held: Held = {}
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-P", __file__, str(xds_port), refusing],
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, wanted: Held, timeout: float = 20) -> None:
        """Until it holds exactly this."""
        deadline = time.monotonic() + timeout
        with self._news:
            while self._held != wanted:
                if not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"not as wanted after {timeout} s: {differences(self._held, wanted)}")

    @property
    def held(self) -> Held:
        with self._news:
            return self._held

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self._held = json.loads(line)
                    self._news.notify_all()


@contextmanager
def client(xds_port: int, refusing: str = "") -> Iterator[Client]:
    made = Client(xds_port, refusing)
    try:
        yield made
    finally:
        made.close()


def differences(held: Held, wanted: Held) -> dict[str, list[str]]:
    """Names of resources that are not the same in both."""
    found = {}
    for kind in held.keys() | wanted.keys():
        one, other = held.get(kind, {}), wanted.get(kind, {})
        names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        if names:
            found[kind] = names
    return found


def main(port: str, refusing: str) -> None:
    requests: queue.Queue[DeltaDiscoveryRequest | None] = queue.Queue()
    for kind in TYPES:
        request = DeltaDiscoveryRequest(type_url=kind, resource_names_subscribe=["*"])
        request.node.id, request.node.user_agent_name = "test", "envoy" if refusing else "client"
        request.node.metadata.update({"contour": {"shape": "scoped"}})
        requests.put(request)
    held: Held = {}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(
            AGGREGATED.format("Delta"), DeltaDiscoveryRequest.SerializeToString, DeltaDiscoveryResponse.FromString
        )(iter(requests.get, None))
        try:
            for response in call:
                answer = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
                if refusing:
                    answer.error_detail.message = refusing
                else:
                    known = held.setdefault(response.type_url, {})
                    known |= {resource.name: resource.version for resource in response.resources}
                    for name in response.removed_resources:
                        known.pop(name, None)
                    now = {kind: known for kind, known in held.items() if known}
                    sys.stdout.write(f"{json.dumps(now)}\n")
                    sys.stdout.flush()
                requests.put(answer)
        except grpc.RpcError:
            pass  # the replica has ended it
        finally:
            requests.put(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
