"""Making many hosts at once: processes with a few connections each, since one Python thread is slower than the server.

python -m bench.cluster.load KUBECONFIG FIRST LAST      a share of it, as a process
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from pathlib import Path

from bench.cluster import workload
from bench.cluster.wire import Wire

PROCESSES = 2
CONNECTIONS = 8


def load(kubeconfig: Path, hosts: int) -> None:
    """Make the first N hosts; returns when all is acknowledged. Raises CalledProcessError."""
    bounds = [hosts * share // PROCESSES for share in range(PROCESSES + 1)]
    started = [
        subprocess.Popen([sys.executable, "-m", __name__, str(kubeconfig), str(first), str(last)])
        for first, last in itertools.pairwise(bounds)
    ]
    for process in started:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)


def share(kubeconfig: Path, numbers: range) -> list[BaseException]:
    waiting = iter(numbers)
    turn = threading.Lock()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with Wire(kubeconfig) as wire:
                while not failed:
                    with turn:
                        number = next(waiting, None)
                    if number is None:
                        return
                    for path, body in workload.creation(number):
                        wire.post(path, body)
        except BaseException as error:  # noqa: BLE001  # told to whoever started the process
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


if __name__ == "__main__":
    if errors := share(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3]))):
        sys.exit(str(errors[0]))
