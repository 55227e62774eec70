"""A cluster, a replica that reaches it through a gateway, its Envoy, and clients of hosts that nobody touches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml
from bench.cluster.prober import Prober
from bench.cluster.workload import PORT
from tests.cluster.gateway import Gateway
from tests.cluster.scratch import scratch, taken, tellable, written
from tests.cluster.site import ENVOY, SHOP, endpoints, namespace, proxy, service, wait_for, wait_until
from tests.cluster.xds_client import client

from contour.testing.cluster import Api, Cluster
from contour.testing.cluster.server import API_PORT
from contour.testing.serving import Serving

INSTALLATION = Path(__file__).parents[2] / "examples" / "contour"
RATE = 500  # requests a second
UNTOUCHED = [f"untouched{number}" for number in range(5)]
LEASE = 4.0
FLAGS = (
    f"--leader-election-lease-duration={LEASE:g}s",
    "--leader-election-renew-deadline=2s",
    "--leader-election-retry-period=500ms",
)
# The pauses after "you may not" and "there is no such kind" are ten seconds otherwise, and a token is read each minute.
PAUSES = """
from contour.kube import credentials, reflector
reflector._DENIED = reflector._ABSENT = credentials._FILE_AGE = 1.0
"""


class Scene:
    def __init__(self, cluster: Cluster, api: Api, gateway: Gateway, stack: ExitStack) -> None:
        self.cluster = cluster
        self.api = api
        self.gateway = gateway
        self.token = cluster.directory / "contour.token"
        self._stack = stack
        self._kubeconfig = _kubeconfig(cluster, gateway, self.token)
        self.edits = 0
        self.serving = self.launch()
        self.serving.wait_for(Serving.READY, 30)
        self.envoy = stack.enter_context(self.serving.envoy())
        self.prober = Prober(ENVOY[1])
        stack.callback(self.prober.stop)

    def launch(self, *flags: str, xds_port: int = 0, before: str = PAUSES) -> Serving:
        """Another replica, which nobody has waited for."""
        serving = Serving(self._kubeconfig, *FLAGS, *flags, xds_port=xds_port, before=before)
        serving.launch()
        self._stack.callback(serving.stop)
        return serving

    def edit(self) -> None:
        """Something of each sort: a host comes, one changes, one goes, pods move. The server has to be there."""
        self.edits += 1
        number = self.edits
        self.api.apply([proxy(f"new{number}"), service(f"of{number}"), proxy("changed", f"of{number}")])
        self.api.apply(endpoints(PORT, f"of{number}", f"10.244.2.{number}"))
        self.api.apply(endpoints(PORT, "moving", f"10.244.3.{number}"))
        self.api.delete(proxy(f"new{number - 1}"))

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """All is well while the block goes on, and afterwards all is as a build from scratch has it."""
        self.prober.load([f"{name}.test" for name in UNTOUCHED], RATE)
        try:
            yield
            self.settle()
        finally:
            answers = self.prober.unload()
        assert answers.keys() == {"200"}, answers

    def settle(self) -> None:
        """Replica, Envoy and statuses are at what the objects come to. Versions are hashes of contents."""
        wanted = scratch(self.api)
        with client(self.serving.xds_port) as fresh:
            fresh.wait_for(wanted.held)
        known = tellable(wanted.held)
        wait_until(lambda: taken(self.envoy) == known, 20)
        try:
            wait_until(lambda: written(self.api) == wanted.statuses, 30)
        except AssertionError as error:
            found = written(self.api)
            others = {key: found.get(key) for key in wanted.statuses if found.get(key) != wanted.statuses[key]}
            raise AssertionError("\n".join([f"statuses: {others}", *self.serving.lines[-40:]])) from error
        if self.edits:
            wait_for(f"new{self.edits}.test", 200)


@contextmanager
def scene(cluster: Cluster) -> Iterator[Scene]:
    with ExitStack() as stack:
        stack.enter_context(cluster.network.entered())
        api = stack.enter_context(cluster.api())
        gateway = stack.enter_context(Gateway(f"https://127.0.0.1:{API_PORT}", cluster.directory / "ca.crt"))
        for file in ("00-common.yaml", "02-rbac.yaml", "02-role-contour.yaml"):
            api.apply((INSTALLATION / file).read_text(encoding="utf-8"))
        api.apply([namespace(SHOP), service(), endpoints(PORT), service("moving"), endpoints(PORT, "moving")])
        api.apply([*(proxy(name) for name in UNTOUCHED), proxy("changed"), proxy("moved", "moving")])
        pods = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "bench.cluster.backend"],
            stdout=subprocess.PIPE,
        )
        assert pods.stdout
        stack.callback(pods.stdout.close)
        stack.callback(pods.wait)
        stack.callback(pods.kill)
        pods.stdout.readline()
        made = Scene(cluster, api, gateway, stack)
        wait_for("untouched0.test", 200, timeout=20)
        yield made


def _kubeconfig(cluster: Cluster, gateway: Gateway, token: Path) -> Path:
    """The rights of the installation, in a file that is read again."""
    content = yaml.safe_load(cluster.service_account("projectcontour", "contour").read_text(encoding="utf-8"))
    user = content["users"][0]["user"]
    token.write_text(user.pop("token"), encoding="utf-8")
    user["tokenFile"] = str(token)
    content["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{gateway.port}"}
    file = cluster.directory / "through-the-gateway.kubeconfig"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file
