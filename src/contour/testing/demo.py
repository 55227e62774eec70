"""`make demo`: serve a copy of examples/quickstart through a real Envoy, send requests, check and show the answers."""

from __future__ import annotations

import argparse
import base64
import collections
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from contour.testing.backends import Backend
from contour.testing.certs import Authority
from contour.testing.clients import Http1, Response, connect
from contour.testing.ports import free_port
from contour.testing.program import ProgramError
from contour.testing.running import Running

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"

# Backends by name, and the port at which the manifests expect them.
BACKENDS = {"web": 9101, "cart-v1": 9102, "cart-v2": 9103, "blog": 9104, "apps": 9105, "account": 9106}

# Of 100 requests 10 are expected at cart-v2; fewer than 1 or more than 30 happens once in 10,000 runs.
_ASKED, _FEWEST, _MOST = 100, 1, 30
_LIVE_TIMEOUT = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the answers were checked: 0 if all were right")
    once = parser.parse_args().once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            demo = Demo(stack)
            demo.requests()
            if once:
                return demo.result()
            demo.result()
            demo.invite()
            return demo.wait()
    except KeyboardInterrupt:
        return 0
    except ProgramError:
        print("contour run does not serve; see above", file=sys.stderr)
        return 1


class Demo:
    """Backends, a folder and `contour run`, until the stack is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self.wrong = 0
        self.authority = Authority("demo authority")
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contour-demo-")))
        backends = {name: stack.enter_context(Backend(name)).port for name in BACKENDS}
        _copy(self.folder, backends)
        self._add_certificate()
        ports = [f"--envoy-service-{scheme}-port={_port(usual)}" for scheme, usual in (("http", 8080), ("https", 8443))]
        self._run = Running(self.folder, *ports, show=lambda line: print(f"   | {line}", flush=True))
        print(f"$ contour {' '.join(self._run.arguments)}", flush=True)
        stack.enter_context(self._run)
        self.http, self.https = self._run.http, self._run.https

    def requests(self) -> None:
        """What the quickstart shows, one request after the other."""
        shop, secure = "shop.localhost", "secure.localhost"
        print("\n== a host, and below /cart an include from another team's namespace")
        self._ask(shop, "/", lambda answer: answer.backend == "web")
        self._ask(shop, "/cart", lambda answer: answer.backend in {"cart-v1", "cart-v2"})
        print("== weights: 90 and 10")
        self._weights()
        print("== a second host, by an Ingress; a wildcard; a host that nobody has")
        self._ask("blog.localhost", "/2026", lambda answer: answer.backend == "blog")
        self._ask("anything.apps.localhost", "/", lambda answer: answer.backend == "apps")
        self._ask("nobody.localhost", "/", lambda answer: answer.status == 404)
        print("== TLS, with the redirect of plain requests")
        self._ask(secure, "/", lambda answer: answer.backend == "account", tls=True)
        self._ask(secure, "/", lambda answer: answer.status == 301)
        print("   (as Contour does, the redirect keeps the port that was asked for; in a cluster both ports are the\n"
              "   standard ones, 80 and 443, which no address has to name)")  # fmt: skip
        print("== an edit of a file is live at once")
        self._edit()

    def result(self) -> int:
        print("\nAll answers were right." if not self.wrong else f"\n{self.wrong} answers were wrong.")
        return 1 if self.wrong else 0

    def invite(self) -> None:
        port = self.http[1]
        print(f"""
Try      curl -i http://shop.localhost:{port}/cart
Edit     {self.folder}/cart.yaml
         (change the weights, add a route; the answer changes when you save)
Stop     Ctrl-C
""", flush=True)  # fmt: skip

    def wait(self) -> int:
        """Until Ctrl-C, or until `contour run` ends."""
        return self._run.process.wait()

    def _ask(self, host: str, path: str, right: Callable[[Response], bool], *, tls: bool = False) -> None:
        scheme, port = ("https", self.https[1]) if tls else ("http", self.http[1])
        with Http1(self._connect(host, tls=tls)) as client:
            answer = client.get(f"{host}:{port}", path)
        good = right(answer)
        self.wrong += not good
        came = f" from {answer.backend}" if answer.backend else ""
        to = f" to {answer.header('location')}" if answer.header("location") else ""
        shown = f"GET {scheme}://{host}:{port}{path}"
        print(f"   {shown:52} {answer.status}{came}{to}{'' if good else '   WRONG'}")

    def _weights(self) -> None:
        with Http1(connect(self.http)) as client:
            counts = collections.Counter(client.get("shop.localhost", "/cart").backend for _ in range(_ASKED))
        good = counts["cart-v1"] + counts["cart-v2"] == _ASKED and _FEWEST <= counts["cart-v2"] <= _MOST
        self.wrong += not good
        shown = f"{_ASKED} times GET /cart"
        print(f"   {shown:52} {counts['cart-v1']} from cart-v1, {counts['cart-v2']} from cart-v2"
              f"{'' if good else '   WRONG'}")  # fmt: skip

    def _edit(self) -> None:
        """A new path for the blog: seen when it answers, then taken back."""
        file = self.folder / "blog.yaml"
        before = file.read_text()
        file.write_text(before.replace("host: blog.localhost", "host: news.localhost"))
        took = self._until("news.localhost", "blog")
        file.write_text(before)
        good = took is not None and self._until("blog.localhost", "blog") is not None
        self.wrong += not good
        shown = "blog.yaml: blog.localhost -> news.localhost"
        print(f"   {shown:52} {f'served after {took * 1000:.0f} ms' if took else 'never served'}"
              f"{'' if good else '   WRONG'}")  # fmt: skip

    def _until(self, host: str, backend: str) -> float | None:
        """Seconds until a backend answers for the host."""
        started = time.perf_counter()
        with Http1(connect(self.http)) as client:
            while (took := time.perf_counter() - started) < _LIVE_TIMEOUT:
                if client.get(host, "/").backend == backend:
                    return took
        return None

    def _connect(self, host: str, *, tls: bool) -> socket.socket:
        if tls:
            return connect(self.https, sni=host, context=self.authority.client_context())
        return connect(self.http)

    def _add_certificate(self) -> None:
        pair = self.authority.sign("secure.localhost")
        (self.folder / "tls-secret.yaml").write_text(f"""\
apiVersion: v1
kind: Secret
metadata:
  name: secure-tls
  namespace: shop
type: kubernetes.io/tls
data:
  tls.crt: {base64.b64encode(pair.certificate).decode()}
  tls.key: {base64.b64encode(pair.private_key).decode()}
""")


def _copy(folder: Path, ports: dict[str, int]) -> None:
    """The quickstart with the ports where its backends really are, so that taken ports are no obstacle."""
    for file in QUICKSTART.glob("*.yaml"):
        text = file.read_text()
        for name, port in BACKENDS.items():
            text = text.replace(f"port: {port}\n", f"port: {ports[name]}\n")
        (folder / file.name).write_text(text)


def _port(wanted: int) -> int:
    """The usual port if nobody has it, else a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", wanted))
        except OSError:
            return free_port()
    return wanted


if __name__ == "__main__":
    sys.exit(main())
