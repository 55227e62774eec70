"""`contour serve` as a child process, started where the caller is (a network of a test)."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.testing.envoy import Envoy
from contour.testing.ports import free_port
from contour.testing.program import Program


class Serving(Program):
    """One replica, on ports of its own, without TLS unless flags say otherwise. `lines` is its log."""

    READY = re.compile(r'msg="serving xDS"')
    WRAPPER = ("setpriv", "--pdeathsig", "KILL", "--")  # killed when the thread that starts it ends

    def __init__(self, kubeconfig: Path, *flags: str, xds_port: int = 0, before: str = "") -> None:
        self.xds_port, self.http_port = xds_port or free_port(), free_port()
        secure = any(flag.startswith("--contour-cafile") for flag in flags)
        super().__init__(
            "serve", f"--kubeconfig={kubeconfig}", f"--xds-port={self.xds_port}", f"--http-port={self.http_port}",
            f"--health-port={self.http_port}", "--http-address=127.0.0.1", "--health-address=127.0.0.1",
            *([] if secure else ["--insecure"]), *flags, before=before,
        )  # fmt: skip

    def metrics(self) -> dict[str, float]:
        """Series by their text, such as `contour_dag_cache_object{kind="Secret"}`."""
        series = (line.rpartition(" ") for line in self.page("/metrics").splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in series}

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def envoy(self, *others: Serving, **settings: Any) -> Envoy:
        """An Envoy that this replica is to serve, or one of the others; `settings` of its bootstrap."""
        config = dict(bootstrap(BootstrapSettings(xds_port=self.xds_port, **settings)))
        del config["admin"]
        (locality,) = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
        for other in others:
            (endpoint,) = bootstrap(BootstrapSettings(xds_port=other.xds_port, **settings))["static_resources"][
                "clusters"
            ][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
            locality["lb_endpoints"].append(endpoint)
        return Envoy(config, arguments=("--service-cluster", "test", "--service-node", f"test-{self.xds_port}"))

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024
