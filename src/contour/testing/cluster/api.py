"""A client of the test's own for the API server: plain HTTPS and JSON, so that what the tests see owes nothing to us.

Objects are dictionaries, named by their `apiVersion`, `kind` and `metadata`: what was applied can be handed to `get`,
`patch`, `delete` and `wait_for`. One thread at a time.
"""

from __future__ import annotations

import http.client
import json
import ssl
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

import yaml

from contour.testing.cluster.network import Network

Object = dict[str, Any]
Patch = Literal["merge", "json", "apply", "strategic-merge"]

FIELD_MANAGER = "test"
_GONE = 410


class ApiError(Exception):
    """The server said no. `body` is its Status object, or its text."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Api:
    """Everything raises ApiError for an answer that is not of success, OSError when nobody answers."""

    def __init__(self, kubeconfig: Path, network: Network, *, timeout: float = 30) -> None:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self._netloc = urlsplit(cluster["server"]).netloc
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._headers = {"Authorization": f"Bearer {user['token']}", "Accept": "application/json"}
        self._network = network
        self._timeout = timeout
        self._connection: http.client.HTTPSConnection | None = None
        self._kinds: dict[tuple[str, str], Object] = {}
        self.made: list[Object] = []

    # --- objects ----------------------------------------------------------------------------------------------

    def create(self, obj: Object) -> Object:
        self.made.append(obj)
        created: Object = self.request("POST", self.path(obj, named=False), obj)
        return created

    def apply(self, objects: str | Object | Iterable[Object]) -> list[Object]:
        """Make the objects (YAML, one or several) be so: server-side apply, by force. What the server made of them."""
        if isinstance(objects, str):
            objects = [obj for obj in yaml.safe_load_all(textwrap.dedent(objects)) if obj]
        elif isinstance(objects, dict):
            objects = [objects]
        applied = []
        for obj in objects:
            applied.append(self.patch(obj, obj, "apply"))
            self.made.append(obj)
        return applied

    def get(self, obj: Object) -> Object:
        found: Object = self.request("GET", self.path(obj))
        return found

    def find(self, obj: Object) -> Object | None:
        """None if there is no such object."""
        try:
            return self.get(obj)
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise
            return None

    def list(self, api_version: str, kind: str, namespace: str = "", **query: str) -> list[Object]:
        obj = ref(api_version, kind, namespace, "")
        items: list[Object] = self.request("GET", f"{self.path(obj, named=False)}?{urlencode(query)}")["items"]
        return items

    def patch(self, obj: Object, body: Any, kind: Patch = "merge", *, subresource: str = "") -> Object:
        """`subresource` is `status`, …; a `json` patch's body is a list of operations."""
        query = f"?fieldManager={FIELD_MANAGER}&force=true" if kind == "apply" else ""
        content_type = "application/apply-patch+yaml" if kind == "apply" else f"application/{kind}-patch+json"
        patched: Object = self.request("PATCH", self.path(obj, subresource) + query, body, content_type)
        return patched

    def delete(self, obj: Object) -> None:
        """Nothing if it is not there."""
        try:
            self.request("DELETE", self.path(obj))
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def delete_made(self) -> None:
        """Delete what `create` and `apply` made, the last first. Namespaces stay: no controller would end them."""
        for obj in reversed(self.made):
            if obj["kind"] != "Namespace":
                self.delete(obj)
        self.made.clear()

    def wait_for(self, obj: Object, wanted: Callable[[Object], bool], timeout: float = 10) -> Object:
        """The object as soon as it is as wanted; a watch, so that nothing is missed. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        last: Object | None = None
        for last in self._states(obj, deadline):
            if wanted(last):
                return last
        raise TimeoutError(f"{_title(obj)} was not as wanted in {timeout} s: {json.dumps(last, indent=1)}")

    def watch(self, path: str, timeout: float, **query: str) -> Iterator[Object]:
        """Events of a list's path until the time is up or the server ends it, over a connection of its own."""
        deadline = time.monotonic() + timeout
        with closing(self._connect(timeout)) as connection:
            connection.request("GET", f"{path}?{urlencode({**query, 'watch': 'true'})}", headers=self._headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise ApiError(answer.status, _json(answer.read()))
            sock = connection.sock
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                try:
                    line = answer.readline()
                except TimeoutError:
                    return
                if not line:
                    return
                yield json.loads(line)

    # --- requests ---------------------------------------------------------------------------------------------

    def path(self, obj: Object, subresource: str = "", *, named: bool = True) -> str:
        """Where the object is, or with `named` False the list that it is in."""
        version, kind, metadata = obj["apiVersion"], obj["kind"], obj.get("metadata", {})
        resource = self._resource(version, kind)
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        # A list without a namespace is that of all namespaces; an object without one is in the namespace "default".
        namespace = metadata.get("namespace") or ("default" if metadata.get("name") else "")
        if resource["namespaced"] and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{resource['name']}"
        if named:
            path += f"/{metadata['name']}"
        return path + (f"/{subresource}" if subresource else "")

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": content_type} if data else self._headers
        try:
            answer = self._exchange(method, path, data, headers)
        except (ConnectionError, http.client.HTTPException):
            # The connection was an old one that a restart of the server has ended; all these requests may be repeated.
            self.close()
            try:
                answer = self._exchange(method, path, data, headers)
            except http.client.HTTPException as error:
                raise ConnectionError(str(error)) from error
        status, content = answer
        if status >= http.client.MULTIPLE_CHOICES:
            raise ApiError(status, _json(content))
        return _json(content)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _states(self, obj: Object, deadline: float) -> Iterator[Object]:
        """The object now, if it is there, and at each change until the deadline."""
        selector = {"fieldSelector": f"metadata.name={obj['metadata']['name']}"}
        while (left := deadline - time.monotonic()) > 0:
            path = self.path(obj, named=False)
            now = self.request("GET", f"{path}?{urlencode(selector)}")
            for item in now["items"]:
                yield {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **item}
            try:
                for event in self.watch(path, left, **selector, resourceVersion=now["metadata"]["resourceVersion"]):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] != "DELETED":
                        yield event["object"]
            except (ConnectionError, http.client.HTTPException):
                continue  # the server was restarted
            except ApiError as error:
                if error.status != _GONE:
                    raise

    def _resource(self, version: str, kind: str) -> Object:
        if (version, kind) not in self._kinds:
            answer = self.request("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
            for resource in answer["resources"]:
                if "/" not in resource["name"]:
                    self._kinds[version, resource["kind"]] = resource
        if (version, kind) not in self._kinds:
            raise ApiError(http.client.NOT_FOUND, f"the server has no kind {kind} in {version}")
        return self._kinds[version, kind]

    def _exchange(self, method: str, path: str, data: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect(self._timeout)
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self._netloc, timeout=timeout, context=self._context)
        with self._network.entered():
            connection.connect()
        return connection


def ref(api_version: str, kind: str, namespace: str, name: str) -> Object:
    """An object's identity alone, for `get`, `delete`, `wait_for`."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _title(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
