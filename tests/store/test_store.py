"""What goes into the tables, what stays out, and what the indexes answer."""

from __future__ import annotations

from typing import Any

from contour.api.decode import decode
from contour.api.meta import ObjectRef, Ref
from contour.reactive import Engine
from contour.store import Store


def store(**kwargs: Any) -> tuple[Engine, Store]:
    engine = Engine()
    return engine, Store(engine, **kwargs)


def proxy(name: str, fqdn: str, **spec: Any) -> Any:
    return decode(
        {
            "apiVersion": "projectcontour.io/v1",
            "kind": "HTTPProxy",
            "metadata": {"namespace": "ns", "name": name},
            "spec": {"virtualhost": {"fqdn": fqdn}, **spec},
        }
    )


def secret(namespace: str, kind: str) -> Any:
    return decode(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": "s"},
            "type": kind,
            "data": {"tls.crt": "eA=="},
        }
    )


def entries(engine: Engine, index: Any, key: Any) -> set[Any]:
    found = engine.collection(f"test {id(index)} {key}", (frozenset({key}),), lambda read, k: tuple(read(index, k)))
    engine.commit()
    return set(found.get(key) or ())


def test_an_object_that_changes_to_another_class_leaves() -> None:
    _, s = store()
    s.apply(proxy("a", "a.test"))
    assert Ref("ns", "a") in s.proxies
    s.apply(proxy("a", "a.test", ingressClassName="other"))
    assert Ref("ns", "a") not in s.proxies


def test_roots_are_found_by_lower_cased_fqdn_and_as_written() -> None:
    engine, s = store()
    s.apply(proxy("a", "A.test"))
    s.apply(proxy("b", "a.test"))
    assert entries(engine, s.proxies_by_fqdn, "a.test") == {Ref("ns", "a"), Ref("ns", "b")}
    assert entries(engine, s.proxies_by_host, "a.test") == {Ref("ns", "b")}
    assert entries(engine, s.proxies_by_host, "A.test") == {Ref("ns", "a")}


def test_secrets_of_other_types_lose_their_data() -> None:
    _, s = store()
    s.apply(secret("ns", "bootstrap.kubernetes.io/token"))
    kept = s.secrets.get(Ref("ns", "s"))
    assert kept is not None
    assert not kept.data
    s.apply(secret("ns", "kubernetes.io/tls"))
    kept = s.secrets.get(Ref("ns", "s"))
    assert kept is not None
    assert kept.data == {"tls.crt": b"x"}


def test_secrets_of_other_namespaces_are_kept_out() -> None:
    _, s = store(secret_namespaces=("roots",))
    s.apply(secret("ns", "Opaque"))
    s.apply(secret("roots", "Opaque"))
    assert list(s.secrets) == [Ref("roots", "s")]


def test_a_default_backend_and_an_empty_host_are_any_host() -> None:
    engine, s = store()
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": "i"},
        "spec": {"rules": [{"host": "a.test"}, {}], "tls": [{"hosts": ["b.test"], "secretName": "s"}]},
    }
    s.apply(decode(ingress))
    for host in ("a.test", "*"):
        assert entries(engine, s.ingresses_by_host, host) == {Ref("ns", "i")}
    assert entries(engine, s.ingresses_by_tls_host, "b.test") == {Ref("ns", "i")}


def test_deleting_what_is_not_there_is_no_error() -> None:
    _, s = store()
    s.delete("HTTPProxy", Ref("ns", "a"))


def test_delegations_by_secret() -> None:
    engine, s = store()
    delegation = {
        "apiVersion": "projectcontour.io/v1",
        "kind": "TLSCertificateDelegation",
        "metadata": {"namespace": "certs", "name": "d"},
        "spec": {"delegations": [{"secretName": "wild", "targetNamespaces": ["a", "b"]}]},
    }
    s.apply(decode(delegation))
    assert entries(engine, s.delegations_by_secret, Ref("certs", "wild")) == {("a", "b")}


def test_namespaces_that_are_not_watched_stay_out() -> None:
    _, s = store(watch_namespaces=("ns",))
    s.apply(proxy("a", "a.test"))
    s.apply(secret("other", "Opaque"))
    assert list(s.proxies) == [Ref("ns", "a")]
    assert not list(s.secrets)


def test_a_status_that_was_written_changes_only_what_was_observed() -> None:
    _, tables = store()
    spec = {"virtualhost": {"fqdn": "a.test"}}
    for version, status in (("7", {}), ("8", {"currentStatus": "valid"})):
        metadata = {"namespace": "shop", "name": "a", "resourceVersion": version, "uid": "u"}
        proxy = {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "metadata": metadata}
        tables.apply(decode({**proxy, "spec": spec, "status": status}))
        stored = tables.proxies.get(Ref("shop", "a"))
        assert stored is not None
        assert (stored.metadata.resource_version, stored.status.current_status) == ("", "")
    seen = tables.observed.get(ObjectRef("HTTPProxy", "shop", "a"))
    assert seen is not None
    assert (seen.resource_version, seen.uid, seen.status.current_status) == ("8", "u", "valid")
    tables.delete("HTTPProxy", Ref("shop", "a"))
    assert tables.observed.get(ObjectRef("HTTPProxy", "shop", "a")) is None
