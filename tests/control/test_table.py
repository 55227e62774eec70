from __future__ import annotations

from typing import Any

from contour.api.admission import admit
from contour.api.meta import ObjectRef, Ref
from contour.control.pipeline import Pipeline
from contour.control.settings import Settings
from contour.control.table import Hosts, Row


class Seen:
    """A pipeline and its table."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(Settings())
        self.hosts = Hosts(self.pipeline)

    def take(self, *objects: dict[str, Any]) -> tuple[list[Row], list[Row]]:
        for obj in objects:
            self.pipeline.store.apply(admit(obj))
        return self.hosts.update(self.pipeline.commit())

    def drop(self, kind: str, name: str) -> tuple[list[Row], list[Row]]:
        self.pipeline.store.delete(kind, Ref("shop", name))
        return self.hosts.update(self.pipeline.commit())


def obj(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def service(name: str = "web") -> dict[str, Any]:
    return obj("v1", "Service", name, {"ports": [{"port": 80}]})


def proxy(name: str, service: str = "web", fqdn: str = "") -> dict[str, Any]:
    root = {"virtualhost": {"fqdn": fqdn}} if fqdn else {}
    spec = {**root, "routes": [{"services": [{"name": service, "port": 80}]}]}
    return obj("projectcontour.io/v1", "HTTPProxy", name, spec)


def ingress(name: str, *hosts: str, service: str = "web") -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    return obj("networking.k8s.io/v1", "Ingress", name, {"rules": [{"host": host, "http": http} for host in hosts]})


def row(host: str, kind: str, name: str, status: str = "valid", text: str = "") -> Row:
    return Row(host, ObjectRef(kind, "shop", name), status, text)


def test_a_root_appears_changes_its_status_and_goes() -> None:
    seen = Seen()
    missing = 'Spec.Routes unresolved service reference: service "shop/web" not found'
    bad = row("a.test", "HTTPProxy", "a", "invalid", missing)
    good = row("a.test", "HTTPProxy", "a")
    assert seen.take(proxy("a", fqdn="a.test")) == ([bad], [])
    assert seen.take(service()) == ([good], [])
    assert seen.take(service()) == ([], [])
    assert seen.hosts.rows() == [good]
    assert seen.drop("HTTPProxy", "a") == ([], [good])
    assert seen.hosts.rows() == []


def test_a_root_under_another_name() -> None:
    seen = Seen()
    seen.take(service(), proxy("a", fqdn="a.test"))
    assert seen.take(proxy("a", fqdn="b.test")) == (
        [row("b.test", "HTTPProxy", "a")],
        [row("a.test", "HTTPProxy", "a")],
    )


def test_an_included_proxy_has_a_row_only_while_something_is_wrong_with_it() -> None:
    seen = Seen()
    changed, _ = seen.take(service(), proxy("child"))
    assert [(one.host, one.status) for one in changed] == [("", "orphaned")]
    root = obj(
        "projectcontour.io/v1", "HTTPProxy", "a", {"virtualhost": {"fqdn": "a.test"}, "includes": [{"name": "child"}]}
    )
    changed, gone = seen.take(root)
    assert changed == [row("a.test", "HTTPProxy", "a")]
    assert [one.object.name for one in gone] == ["child"]


def test_an_ingress_has_a_row_for_each_host() -> None:
    seen = Seen()
    assert seen.take(service(), ingress("i", "a.test", "b.test")) == (
        [row("a.test", "Ingress", "i"), row("b.test", "Ingress", "i")],
        [],
    )
    assert seen.take(ingress("i", "b.test")) == ([], [row("a.test", "Ingress", "i")])
    seen.take(proxy("p", fqdn="b.test"))
    assert [one.object.kind for one in seen.hosts.rows()] == ["HTTPProxy", "Ingress"]


def test_an_ingress_with_something_wrong_says_so() -> None:
    seen = Seen()
    (found,), _ = seen.take(ingress("i", "a.test", service="none"))
    assert (found.host, found.object.kind) == ("a.test", "Ingress")
    assert found.status == "invalid"
    assert "none" in found.text


def test_an_ingress_that_envoy_would_refuse_says_so() -> None:
    seen = Seen()
    bad = ingress("i", "a.test")
    bad["metadata"]["annotations"] = {"projectcontour.io/response-timeout": "-1s"}
    (found,), _ = seen.take(service(), bad)
    assert found == row("a.test", "Ingress", "i", "invalid", found.text)
    assert "timeout: must not be negative" in found.text
    assert seen.take(ingress("i", "a.test")) == ([row("a.test", "Ingress", "i")], [])


def test_the_first_rows_are_those_that_need_attention() -> None:
    seen = Seen()
    seen.take(service(), *(proxy(name, "none" if name == "c" else "web", f"{name}.test") for name in "abcd"))
    assert [one.host for one in seen.hosts.first(4)[0]] == ["a.test", "b.test", "c.test", "d.test"]
    rows, left = seen.hosts.first(2)
    assert ([one.host for one in rows], left) == (["c.test", "a.test"], 2)
    seen.take(proxy("c", fqdn="c.test"))
    seen.drop("HTTPProxy", "a")
    assert [one.host for one in seen.hosts.first(2)[0]] == ["b.test", "c.test"]
    assert [one.host for one in seen.hosts.rows()] == ["b.test", "c.test", "d.test"]


def route(name: str, fqdn: str = "", **route: Any) -> dict[str, Any]:
    root = {"virtualhost": {"fqdn": fqdn}} if fqdn else {}
    return obj("contour.heptio.com/v1beta1", "IngressRoute", name, {**root, "routes": [{"match": "/", **route}]})


def test_ingressroutes_have_rows_beside_proxies_of_their_name() -> None:
    seen = Seen()
    services = [{"name": "web", "port": 80}]
    seen.take(service(), proxy("a", fqdn="a.test"), route("a", "b.test", delegate={"name": "child"}))
    orphan = "this IngressRoute is not part of a delegation chain from a root IngressRoute"
    mine = Row("b.test", ObjectRef("IngressRoute", "shop", "a"), "valid")
    assert seen.hosts.rows() == [Row("a.test", ObjectRef("HTTPProxy", "shop", "a"), "valid"), mine]
    seen.take(route("child", services=services))
    assert len(seen.hosts.rows()) == 2
    changed, gone = seen.drop("IngressRoute", "a")
    assert (changed, gone) == ([Row("", ObjectRef("IngressRoute", "shop", "child"), "orphaned", orphan)], [mine])
    assert [row.object.kind for row in seen.hosts.rows()] == ["IngressRoute", "HTTPProxy"]
