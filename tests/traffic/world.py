"""A cluster in YAML, served: objects -> store -> graph -> shape -> hub -> xDS over a Unix socket -> a real Envoy.

What is applied is admitted as an API server would, and `apply` returns when every connected Envoy has acknowledged
what came of it. The program runs in a thread of its own, tests are synchronous.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from contour.api import yaml
from contour.api.admission import admit
from contour.api.meta import Object, ObjectRef
from contour.control.loop import Event, Loop
from contour.control.pipeline import Pipeline, ShapeName
from contour.control.settings import Settings
from contour.dag.options import Options as GraphOptions
from contour.envoy.bootstrap import Settings as BootstrapSettings
from contour.envoy.bootstrap import bootstrap
from contour.envoy.options import Options as EnvoyOptions
from contour.testing import clients
from contour.testing.backends import Backend
from contour.testing.certs import Authority, Pair
from contour.testing.clients import Address, Http1, Pairs, Response
from contour.testing.envoy import Envoy
from contour.xds.hub import Hub
from contour.xds.server import Server

T = TypeVar("T")

LIMIT = 10.0
_PAUSE = 0.002
_WARMING = 2.0  # what a test left out on purpose never comes
_LOOPBACK = "127.0.0.1"
# Keeps both listeners there when a test's own hosts are gone.
_BASE = """
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: base, namespace: base}
spec:
  virtualhost: {fqdn: base.test, tls: {secretName: base}}
  routes:
  - permitInsecure: true
    directResponsePolicy: {statusCode: 200, body: base}
"""


class World:
    """Each Envoy listens where it likes, so that several can serve the same listeners.

    A free port found beforehand is not free for long: Envoy shares it (SO_REUSEPORT) with whoever was given it meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        graph: GraphOptions = GraphOptions(),  # noqa: B008
        first: str = "",
        envoy: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
    ) -> None:
        """`first`: objects that the options refer to. `envoy`: options of Envoy that are not as usual.

        `settings`, instead of both: those of a configuration file, moved to this machine.
        """
        self.authority = Authority()
        self.envoys: list[Envoy] = []
        self._classic: list[Envoy] = []
        self.reports: list[str] = []
        self._directory = directory
        usual = Settings(envoy=EnvoyOptions(**(envoy or {})), graph=graph)
        self._settings = _on_this_machine(settings or usual)
        self._addresses: dict[tuple[Envoy, str], Address] = {}
        self.backends: dict[str, Backend] = {}
        self._objects: dict[ObjectRef, Object] = {}
        self._generation = 0
        self._events = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="contour", daemon=True)
        self._thread.start()
        self._call(self._serve())
        self.certificate("base/base", "base.test")
        self.apply(first + _BASE)
        self._base = dict(self._objects)

    def close(self) -> None:
        for envoy in self.envoys:
            envoy.stop()
        self._call(self._stop())
        self._events.call_soon_threadsafe(self._events.stop)
        self._thread.join()
        self._events.close()
        self._stop_backends()

    def envoy(self, *, shape: ShapeName = "scoped", resolver: Address | None = None) -> Envoy:
        """Start an Envoy; its first configuration is all that is there now. `resolver`: the DNS server that it asks."""
        name = f"envoy-{len(self.envoys)}"
        directory = self._directory / name
        directory.mkdir()
        config = bootstrap(
            BootstrapSettings(
                shape=shape, admin_address=str(directory / "admin.sock"), xds_socket=str(self._directory / "xds.sock")
            )
        )
        if resolver is not None:
            config["typed_dns_resolver_config"] = _asking(resolver)
        envoy = Envoy(config, directory=directory, arguments=("--service-node", name, "--service-cluster", "test"))
        self.envoys.append(envoy)
        envoy.start()
        if shape == "classic":
            self._classic.append(envoy)
            _wait_warm(envoy)
        return envoy

    # Objects

    def apply(self, text: str, *, valid: bool = True) -> None:
        """Apply a stream of YAML documents; HTTPProxies that come out otherwise than `valid` fail the test."""
        objects = [admit(document.value) for document in _documents(text)]
        self._submit((ObjectRef(one.kind, *one.ref), self._numbered(one)) for one in objects)
        for one in objects:
            if one.kind == "HTTPProxy":
                errors = self.errors(str(one.ref))
                assert valid == (not errors), f"{one.ref}: {errors}"

    def proxy(self, name: str, spec: str, *, valid: bool = True) -> None:
        """Apply the HTTPProxy `namespace/name` with this spec."""
        self.apply(_object("projectcontour.io/v1", "HTTPProxy", name, spec), valid=valid)

    def ingress(self, name: str, spec: str, annotations: dict[str, str] | None = None) -> None:
        """Apply the Ingress `namespace/name` with this spec."""
        self.apply(_object("networking.k8s.io/v1", "Ingress", name, spec, annotations))

    def ingressroute(self, name: str, spec: str) -> None:
        """Apply the IngressRoute `namespace/name` with this spec."""
        self.apply(_object("contour.heptio.com/v1beta1", "IngressRoute", name, spec))

    def description(self, name: str) -> str:
        """What the status of an IngressRoute says."""
        key = ObjectRef("IngressRoute", *name.split("/"))
        return str(self.ask(lambda: (self.pipeline.statuses.get(key) or {})["description"]))

    def knows(self, kind: str, name: str) -> bool:
        return ObjectRef(kind, *name.split("/")) in self._objects

    def delete(self, kind: str, *names: str) -> None:
        self._submit((ObjectRef(kind, *name.split("/")), None) for name in names)

    def clear(self) -> None:
        """Take away all that a test has applied."""
        self._submit((key, None) for key in tuple(self._objects) if key not in self._base)
        self._stop_backends()

    def service(
        self,
        name: str,
        *,
        annotations: dict[str, str] | None = None,
        backends: Sequence[Backend] = (),
        protocol: str = "",
    ) -> Backend:
        """A Service `namespace/name` with port 80 and a backend that runs, called `name`, unless some are given.

        `protocol`: the Service says that its port speaks it. Returns the (first) backend.
        """
        found = list(backends) or [self.backend(name)]
        annotations = dict(annotations or {})
        if protocol:
            annotations[f"projectcontour.io/upstream-protocol.{protocol}"] = "80"
        namespace, _, own = name.rpartition("/")
        self.apply(
            f"""
apiVersion: v1
kind: Service
metadata: {{name: {own}, namespace: {namespace}, annotations: {json.dumps(annotations)}}}
spec: {{ports: [{{name: http, port: 80}}]}}
"""
        )
        self.endpoints(name, *found)
        return found[0]

    def backend(self, name: str, **kwargs: Any) -> Backend:
        """A backend that lives as long as the test, whose answers say `name`."""
        self.backends[name] = Backend(name, **kwargs).start()
        return self.backends[name]

    def backend_of(self, name: str) -> Backend:
        return self.backends[name]

    def endpoints(self, service: str, *backends: Backend, ready: Callable[[Backend], bool] = lambda _: True) -> None:
        """An EndpointSlice for each backend: a slice has one port number for all its addresses."""
        namespace, _, own = service.rpartition("/")
        slices = [
            f"""
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {own}-{i}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {own}}}}}
addressType: IPv4
ports: [{{name: http, port: {backend.port}, protocol: TCP}}]
endpoints: [{{addresses: [{_LOOPBACK}], conditions: {{ready: {str(ready(backend)).lower()}}}}}]
"""
            for i, backend in enumerate(backends)
        ]
        if slices:
            self.apply("---".join(slices))
        names = (f"{service}-{i}" for i in itertools.count(len(backends)))
        old = itertools.takewhile(lambda one: self.knows("EndpointSlice", one), names)
        if gone := tuple(old):
            self.delete("EndpointSlice", *gone)

    def certificate(self, name: str, *dns_names: str, authority: Authority | None = None) -> Pair:
        """A Secret `namespace/name` that serves these names."""
        pair = (authority or self.authority).sign(*dns_names)
        self.secret(name, "kubernetes.io/tls", {"tls.crt": pair.certificate, "tls.key": pair.private_key})
        return pair

    def secret(self, name: str, type_: str, data: dict[str, bytes]) -> None:
        namespace, _, own = name.rpartition("/")
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.apply(
            f"""
apiVersion: v1
kind: Secret
metadata: {{name: {own}, namespace: {namespace}}}
type: {type_}
data: {json.dumps(encoded)}
"""
        )

    # What the program says

    def errors(self, proxy: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of what is wrong with an HTTPProxy."""
        conditions = self.status(proxy)["conditions"]
        return [(one["type"], one["reason"], one["message"]) for one in conditions[0].get("errors", ())]

    def status(self, proxy: str) -> dict[str, Any]:
        key = ObjectRef("HTTPProxy", *proxy.split("/"))
        return self.ask(lambda: self.pipeline.statuses.get(key) or {"conditions": [{}]})

    def ask(self, question: Callable[[], T]) -> T:
        """Have this answered in the program's thread."""

        async def answer() -> T:
            return question()

        return self._call(answer())

    def hub(self, shape: ShapeName = "scoped") -> Hub:
        return self._loop.hubs[shape]

    @property
    def pipeline(self) -> Pipeline:
        return self._loop.pipeline

    def restart(self, *gone: ObjectRef) -> None:
        """End the program and start it again, as another process would, with the same objects but for those `gone`."""
        self._call(self._stop())
        self._call(self._serve())
        for key in gone:
            del self._objects[key]
        self._submit(tuple(self._objects.items()))

    # Requests

    @property
    def http(self) -> Address:
        return self.address("ingress_http")

    @property
    def https(self) -> Address:
        return self.address("ingress_https")

    def address(self, listener: str, envoy: Envoy | None = None) -> Address:
        """Where an Envoy (the first) listens; it stays there, as a listener that is updated keeps its socket."""
        key = envoy or self.envoys[0], listener
        if key not in self._addresses:
            self._addresses[key] = key[0].address(listener)
        return self._addresses[key]

    def get(self, host: str | None, path: str = "/", headers: Pairs = ()) -> Response:
        return clients.get(self.http, host, path, headers)

    def get_tls(self, sni: str, path: str = "/", headers: Pairs = (), **kwargs: Any) -> Response:
        return clients.get_tls(self.https, sni, path, headers, **kwargs)

    def opened(self, envoy: Envoy, sni: str) -> Address:
        """Where an Envoy listens for TLS, once it has a certificate for this name.

        In the `classic` shape it acknowledges a listener whose certificates it has still to ask for.
        """
        address = self.address("ingress_https", envoy)

        def handshake() -> bool:
            try:
                clients.connect(address, sni=sni).close()
            except ConnectionError:
                return False
            return True

        until(handshake)
        return address

    def session(self) -> Http1:
        """A connection for many requests."""
        return Http1(clients.connect(self.http))

    # The program's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._events)
        self._events.run_forever()

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._events).result(LIMIT)

    async def _serve(self) -> None:
        self._committed = asyncio.Event()
        self._loop = Loop(
            Pipeline(self._settings), committed=lambda _: self._committed.set(), report=self.reports.append
        )
        self._server = Server(self._loop.hub_of)
        self._server.listen(f"unix:{self._directory}/xds.sock", None)
        await self._server.start()
        self._running = asyncio.create_task(self._loop.run())

    async def _stop(self) -> None:
        await self._server.stop()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    def _submit(self, events: Iterable[Event]) -> None:
        events = tuple(events)
        for key, value in events:
            if value is None:
                del self._objects[key]
            else:
                self._objects[key] = value
        self._call(self._apply(events))
        for envoy in self._classic:
            _wait_warm(envoy)

    async def _apply(self, events: tuple[Event, ...]) -> None:
        self._committed.clear()
        self._loop.submit(events)
        await self._committed.wait()
        deadline = self._events.time() + LIMIT
        while not all(_settled(hub) for hub in self._loop.hubs.values()):
            assert self._events.time() < deadline, "an Envoy does not acknowledge"
            await asyncio.sleep(_PAUSE)

    def _numbered(self, one: Object) -> Object:
        """As an API server numbers the versions of an object."""
        self._generation += 1
        metadata = msgspec.structs.replace(one.metadata, generation=self._generation)
        return msgspec.structs.replace(one, metadata=metadata)

    def _stop_backends(self) -> None:
        for backend in self.backends.values():
            backend.stop()
        self.backends.clear()


def _on_this_machine(settings: Settings) -> Settings:
    """On loopback and any port, silent, unless something else than the default is set."""
    here = {
        "http_address": _LOOPBACK, "http_port": 0, "http_access_log": "/dev/null",
        "https_address": _LOOPBACK, "https_port": 0, "https_access_log": "/dev/null",
        "stats_address": _LOOPBACK, "stats_port": 0, "admin_port": 0,
    }  # fmt: skip
    defaults = EnvoyOptions()
    changes = {name: one for name, one in here.items() if getattr(settings.envoy, name) == getattr(defaults, name)}
    return msgspec.structs.replace(
        settings,
        envoy=msgspec.structs.replace(settings.envoy, **changes),
        graph=msgspec.structs.replace(settings.graph, loopback_endpoints=True),
    )


def _asking(resolver: Address) -> dict[str, Any]:
    address, port = resolver
    return {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [{"socket_address": {"address": address, "port_value": port}}],
            "dns_resolver_options": {"no_default_search_domain": True},
        },
    }


def _wait_warm(envoy: Envoy) -> None:
    """In the `classic` shape an Envoy acknowledges clusters whose endpoints it has still to ask for, routes to them too."""
    deadline = time.monotonic() + _WARMING
    while any(envoy.stats("warming").values()) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _settled(hub: Hub) -> bool:
    """Nothing is to be sent or to be acknowledged; what is held back on purpose on streams of one type apart."""
    for session in hub.sessions:
        for channel in session.stream.channels.values():
            if channel.flight is not None or channel.due:
                return False
            if channel.due_removal and session.stream._ordered:
                return False
    return True


def _documents(text: str) -> list[yaml.Document]:
    found = [one for one in yaml.documents(text) if one.value is not None or one.error]
    assert found
    assert not any(one.error for one in found), found
    return found


def _object(api_version: str, kind: str, name: str, spec: str, annotations: dict[str, str] | None = None) -> str:
    namespace, _, own = name.rpartition("/")
    metadata = json.dumps({"name": own, "namespace": namespace, "annotations": annotations or {}})
    body = textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ")
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {metadata}\nspec:\n{body}\n"


def until(condition: Callable[[], Any], *, seconds: float = LIMIT) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(_PAUSE)


def quoted(text: str) -> str:
    """A text as a YAML scalar."""
    return json.dumps(text, ensure_ascii=False)
