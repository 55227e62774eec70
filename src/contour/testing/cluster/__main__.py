"""`make cluster`: start one by hand, say how to use it, run until Ctrl-C. With `--build`: build the programs alone."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from contour.testing.cluster.binaries import PROGRAMS, GoError, binary
from contour.testing.cluster.network import NetworkError
from contour.testing.cluster.process import ServerError
from contour.testing.cluster.server import Cluster


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m contour.testing.cluster", description=__doc__)
    parser.add_argument(
        "--build", action="store_true", help="build kube-apiserver and kube-controller-manager, no more"
    )
    parser.add_argument("--controllers", action="store_true", help="start kube-controller-manager too")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return build() if arguments.build else run(controllers=arguments.controllers)
    except KeyboardInterrupt:
        return 0
    except subprocess.CalledProcessError:
        return 1  # Go has said why
    except (NetworkError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1


def build() -> int:
    try:
        for program in PROGRAMS:
            print(binary(program))
    except GoError as error:
        print(f"{error}\nWithout it the tests in tests/cluster are skipped.", file=sys.stderr)
    return 0


def run(*, controllers: bool) -> int:
    try:
        binary("kube-apiserver")
    except GoError as error:
        print(error, file=sys.stderr)
        return 1
    started = time.monotonic()
    with Cluster() as cluster:
        if controllers:
            cluster.start_controllers()
        print(f"kube-apiserver and etcd are ready after {time.monotonic() - started:.1f} s; Contour's CRDs are there")
        print(f"kubeconfig: {cluster.kubeconfig}")
        print(f"logs:       {cluster.directory}/*.log")
        print("They are in a network of their own, where every 10.244.x.y is this machine. A command gets there so:")
        print(f"  nsenter --net=/proc/{cluster.apiserver.pid}/ns/net kubectl --kubeconfig {cluster.kubeconfig} get ns")
        print(f"Ctrl-C, or `kill {os.getpid()}`, ends it and removes everything.", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
